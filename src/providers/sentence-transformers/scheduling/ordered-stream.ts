import { TextChunks, type TextSource } from './text-chunks.js';

/** So many chunks are under way: enough to keep all workers busy, and what bounds the memory. */
const chunksAhead = 4;

interface ChunkUnderWay<Result> {
  readonly results: Promise<readonly Result[]>;
  isSettled: boolean;
}

/**
 * Maps a stream chunk by chunk, several at a time, and yields the results in the order of the input, each chunk's as soon as it is there.
 * Reads no further ahead than `chunksAhead` chunks, so its memory does not grow with the stream. A failure, of a chunk or of the source,
 * comes after the results before it.
 *
 * @param signal - Its reason is thrown at once, also while the source or a chunk is waited for. A source that was not read to its end is
 *   told to end, and not waited for.
 */
export async function* orderedStream<Result>(
  texts: TextSource,
  map: (chunk: readonly string[], firstPosition: number) => Promise<readonly Result[]>,
  signal: AbortSignal,
): AsyncGenerator<Result, void, undefined> {
  // One promise at a time for whatever comes next: racing one of the whole stream would collect a callback a text.
  let wake = (): void => {};
  const onEvent = (): void => wake();
  const nextEvent = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
    });
  const chunks = new TextChunks(texts, onEvent);
  const underWay: ChunkUnderWay<Result>[] = [];
  const start = (chunk: readonly string[], firstPosition: number): void => {
    const results = map(chunk, firstPosition);
    const entry = { results, isSettled: false };
    const settle = (): void => {
      entry.isSettled = true;
      onEvent();
    };
    results.then(settle, settle);
    underWay.push(entry);
  };
  signal.addEventListener('abort', onEvent);
  try {
    for (;;) {
      signal.throwIfAborted();
      if (underWay[0]?.isSettled) {
        yield* await underWay.shift()!.results;
        continue;
      }
      const next = underWay.length < chunksAhead ? chunks.read(underWay.length === 0) : undefined;
      if (next !== undefined) start(next.texts, next.firstPosition);
      else if (underWay.length === 0 && chunks.isAtEnd) return chunks.throwFailure();
      else await nextEvent();
    }
  } finally {
    signal.removeEventListener('abort', onEvent);
    chunks.leave();
  }
}
