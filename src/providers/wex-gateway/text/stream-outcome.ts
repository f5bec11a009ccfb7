import { memoizeAsync } from '../../../internal/memoize-async.js';
import { withDeadline } from '../../../internal/with-deadline.js';
import type { CallOutcome } from '../calls/telemetry.js';
import type { TextStreamReader } from './stream-reader.js';

/**
 * How a stream ended, which is decided once, by whoever comes first: its end, a failure, or an abort while nobody
 * waits.
 */
export class StreamOutcome {
  /** Puts on record what was used; once, however often it is called. */
  readonly record: () => Promise<void>;
  readonly #finish: (outcome: CallOutcome) => void;
  readonly #reader: TextStreamReader;
  #isOver = false;

  constructor(finish: (outcome: CallOutcome) => void, reader: TextStreamReader, record: () => Promise<void>) {
    this.#finish = finish;
    this.#reader = reader;
    this.record = memoizeAsync(record);
  }

  end(outcome: CallOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    void this.record();
    const { inputTokens, outputTokens } = this.#reader.usage;
    this.#finish({ inputTokens, outputTokens, ...outcome });
  }
}

export interface ChunkOptions {
  readonly signal: AbortSignal;
  /** How long to wait for the next chunk. */
  timeoutMs(): number;
  /** Nothing more is needed: a silence is the end, and what still comes is read no longer than one `timeoutMs`. */
  isWhole(): boolean;
  timeoutError(): Error;
  onChunk(): void;
}

/**
 * The chunks of a body, each waited for no longer than it may take. The connection is freed, however the reading
 * ends.
 */
export async function* chunksUntil(
  body: AsyncIterable<Uint8Array>,
  { signal, timeoutMs, isWhole, timeoutError, onChunk }: ChunkOptions,
): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  let wholeSince: number | undefined;
  try {
    for (;;) {
      if (isWhole()) wholeSince ??= performance.now();
      const leftMs = wholeSince === undefined ? timeoutMs() : wholeSince + timeoutMs() - performance.now();
      if (leftMs <= 0) return;
      const chunk = await withDeadline(() => chunks.next(), { timeoutMs: leftMs, signals: [signal], timeoutError });
      if (chunk.done) return;
      onChunk();
      yield chunk.value;
    }
  } finally {
    // Not waited for: it may hang as long as the server does.
    void Promise.resolve(chunks.return?.()).catch(() => {});
  }
}
