import { withResolvers } from '../../../internal/with-resolvers.js';
import { lookedAt } from '../threads/text-start.js';
import type { TokenizedTexts } from '../threads/worker-protocol.js';
import type { QueuedText } from './batch-queue.js';

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
  readonly result: Promise<EmbeddedTexts>;
  settle(error?: unknown): void;
}

export interface TokenizedText extends QueuedText {
  readonly job: Job;
  readonly position: number;
}

/** A job that fails with the reason of its signal when that aborts. @param onSettled - Called once. */
export function createJob(
  texts: readonly string[],
  options: EmbedOptions,
  onSettled: (hasFailed: boolean) => void,
): Job {
  const { promise: result, resolve, reject } = withResolvers<EmbeddedTexts>();
  const onAbort = (): void => job.settle(options.signal.reason);
  const job: Job = {
    texts,
    options,
    result,
    vectors: new Array<Float32Array>(texts.length),
    nextText: 0,
    remaining: texts.length,
    tokenCount: 0,
    isSettled: false,
    settle: (...failure: [unknown?]) => {
      if (job.isSettled) return;
      job.isSettled = true;
      options.signal.removeEventListener('abort', onAbort);
      if (failure.length === 0) resolve({ vectors: job.vectors, tokenCount: job.tokenCount });
      else reject(failure[0]);
      onSettled(failure.length > 0);
    },
  };
  options.signal.addEventListener('abort', onAbort, { once: true });
  return job;
}

const maxTextsPerSlice = 64;
const maxCharactersPerSlice = 40_000;

/** Takes the next texts of a job for one request to the tokenizer: at least one. */
export function takeSlice(job: Job, maxTokens: number): { readonly start: number; readonly texts: readonly string[] } {
  const start = job.nextText;
  const texts: string[] = [];
  let characters = 0;
  do {
    // What is never looked at is not copied to the worker either.
    const text = lookedAt(job.texts[job.nextText++]!, maxTokens);
    texts.push(text);
    characters += text.length;
  } while (job.nextText < job.texts.length && texts.length < maxTextsPerSlice && characters < maxCharactersPerSlice);
  return { start, texts };
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
