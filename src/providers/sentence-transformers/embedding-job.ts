import type { QueuedText } from './batch-queue.js';
import type { TokenizedTexts } from './worker-protocol.js';

export interface EmbedOptions {
  readonly signal: AbortSignal;
  /** Put before each text; may be empty. */
  readonly prompt: string;
  /** Urgent texts overtake all others. */
  readonly isUrgent: boolean;
  readonly maxTextsPerRun: number;
  /** Makes of a pooled vector what the caller gets; called as each run ends, so that a large call never holds up the host's thread. */
  finish(vector: Float32Array): Float32Array;
}

export interface EmbeddedTexts {
  /** Views into one buffer a run. */
  readonly vectors: Float32Array[];
  readonly tokenCount: number;
}

/** What a caller waits for. */
export interface Job {
  readonly texts: readonly string[];
  readonly options: EmbedOptions;
  readonly vectors: Float32Array[];
  /** The first text that was not yet sent to a tokenizer. */
  nextText: number;
  remaining: number;
  tokenCount: number;
  isSettled: boolean;
  settle(error?: unknown): void;
}

export interface TokenizedText extends QueuedText {
  readonly job: Job;
  readonly position: number;
}

/** The texts as one request to a worker. */
export function concatenate(texts: readonly TokenizedText[]): TokenizedTexts {
  const lengths = Int32Array.from(texts, (text) => text.tokenIds.length);
  const skipped = Int32Array.from(texts, (text) => text.skipped);
  const tokenIds = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const text of texts) {
    tokenIds.set(text.tokenIds, offset);
    offset += text.tokenIds.length;
  }
  return { tokenIds, lengths, skipped };
}

/** Hands a text's vector to its job, which settles with the last one. */
export function deliver({ job, position }: TokenizedText, vector: Float32Array): void {
  job.vectors[position] = job.options.finish(vector);
  if (--job.remaining === 0) job.settle();
}
