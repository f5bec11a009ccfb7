import pLimit from 'p-limit';
import type { EmbeddingOptions } from '../../../core/ports/embedding-provider.js';
import { type AiProviderError, type EmbeddingFailure, isAiProviderError } from '../../../errors.js';
import type { Batch, BatchPlan } from './batches.js';

/** What one request brought: by position in the batch, a vector or why there is none. */
export type BatchOutcome = readonly (Float32Array | AiProviderError)[];

export interface EmbedTextsOptions {
  readonly concurrency: number;
  /**
   * Makes one request, with its retries; fails with an `AiProviderError` where no input of the batch got a vector.
   *
   * @param onAnswered - To be called when the answer is here in full: the next request may start while this one is made sense of.
   */
  embedBatch(batch: Batch, onAnswered: () => void): Promise<BatchOutcome>;
  /** Whether a smaller part of a failed batch may succeed. */
  isWorthSplitting(error: AiProviderError): boolean;
  readonly onBatch: EmbeddingOptions['onBatch'];
}

/** A part of a batch that was refused as a whole, when nothing had been embedded yet. */
interface GivenUp {
  readonly batch: Batch;
  readonly error: AiProviderError;
}

/** So many answers without a single vector, and nothing else, and the rest is not sent. */
const mostUselessAnswers = 4;

export interface EmbedTextsResult {
  readonly embeddings: (Float32Array | undefined)[];
  /** Ordered by position. */
  readonly failures: readonly EmbeddingFailure[];
}

/**
 * Embeds `totalCount` texts in batches through a sliding window of requests. A refused batch is halved until the input that is refused stands alone.
 * What requests did is in the result; an abort, a failure of `onBatch` or a bug is thrown.
 */
export async function embedTexts(
  { positions, batches }: BatchPlan,
  totalCount: number,
  options: EmbedTextsOptions,
): Promise<EmbedTextsResult> {
  const embeddings = new Array<Float32Array | undefined>(totalCount).fill(undefined);
  const failures: EmbeddingFailure[] = [];
  const givenUp: GivenUp[] = [];
  let doneCount = 0;
  let successCount = 0;
  let uselessCount = 0;
  let useless: AiProviderError | undefined;

  /** Returns the positions that got a vector. */
  const settle = (
    inputs: readonly string[],
    outcomeOf: (index: number) => Float32Array | AiProviderError,
  ): number[] => {
    const embedded: number[] = [];
    inputs.forEach((input, index) => {
      const outcome = outcomeOf(index);
      const at = positions.get(input) ?? [];
      doneCount += at.length;
      if (isAiProviderError(outcome)) {
        for (const position of at) failures.push({ position, error: outcome });
        return;
      }
      // A copy for each further one: whoever changes a vector in place must not change another.
      for (const position of at) {
        embeddings[position] = position === at[0] ? outcome : outcome.slice();
        embedded.push(position);
      }
    });
    return embedded;
  };

  const noteUseless = (error: AiProviderError) => {
    if (error.code === 'invalid_response' && ++uselessCount >= mostUselessAnswers && successCount === 0)
      useless = error;
  };

  const embed = async (batch: Batch, refusals: { left: number }, leaveWindow = () => {}): Promise<void> => {
    let outcome: BatchOutcome;
    try {
      if (useless !== undefined) throw useless;
      outcome = await options.embedBatch(batch, () => {
        // An endpoint whose answers are all of no use is not sent more than a window of them.
        if (successCount > 0) leaveWindow();
      });
    } catch (error) {
      if (!isAiProviderError(error)) throw error;
      noteUseless(error);
      refusals.left--;
      if (batch.inputs.length === 1 || !options.isWorthSplitting(error)) settle(batch.inputs, () => error);
      // A request that no input would make acceptable must not be cut up to the last one.
      else if (refusals.left <= 0 && successCount === 0) givenUp.push({ batch, error });
      else await embedHalves(batch, refusals);
      return;
    }
    const embedded = settle(batch.inputs, (index) => outcome[index] as Float32Array | AiProviderError);
    if (embedded.length === 0) return noteUseless(outcome[0] as AiProviderError);
    successCount++;
    await telling(() =>
      options.onBatch?.({
        positions: embedded,
        embeddings: embedded.map((position) => embeddings[position] as Float32Array),
        doneCount,
        totalCount,
      }),
    );
  };

  const embedHalves = async (batch: Batch, refusals: { left: number }): Promise<void> => {
    for (const half of halvesOf(batch)) await embed(half, refusals);
  };

  // As many again may have been answered, and wait for `onBatch`: a slow one holds the requests up.
  const inHand = pLimit(2 * options.concurrency);
  const inWindow = slidingWindow(options.concurrency);
  const telling = pLimit(options.concurrency);
  await Promise.all(
    batches.map((batch) =>
      inHand(() => inWindow((leave) => embed(batch, { left: refusalsBeforeGivingUp(batch.inputs.length) }, leave))),
    ),
  );
  // Something was embedded in the end, so that it is the inputs that are to blame after all.
  const isWorthGoingOn = successCount > 0;
  await Promise.all(
    givenUp.map(({ batch, error }) =>
      isWorthGoingOn
        ? inWindow(() => embedHalves(batch, { left: Number.POSITIVE_INFINITY }))
        : settle(batch.inputs, () => error),
    ),
  );
  failures.sort((a, b) => a.position - b.position);
  return { embeddings, failures };
}

/** Runs at most `size` pieces of work at once; one that has left early, or has ended, no longer counts. */
function slidingWindow(size: number) {
  const limit = pLimit(size);
  return (work: (leave: () => void) => Promise<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      void limit(() => new Promise<void>((leave) => work(leave).finally(leave).then(resolve, reject)));
    });
}

function halvesOf({ inputs, tokenCount }: Batch): Batch[] {
  const middle = inputs.length >> 1;
  return [inputs.slice(0, middle), inputs.slice(middle)].map((half) => ({
    inputs: half,
    tokenCount: Math.ceil((tokenCount * half.length) / inputs.length),
  }));
}

/** While nothing succeeds: enough to get from the whole batch to a single input, and past a few bad neighbours. */
function refusalsBeforeGivingUp(batchSize: number): number {
  return 8 + 2 * Math.ceil(Math.log2(batchSize));
}
