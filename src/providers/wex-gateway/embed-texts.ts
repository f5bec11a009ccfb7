import pLimit from 'p-limit';
import type { EmbeddingOptions } from '../../core/embedding-provider.js';
import { type AiProviderError, type EmbeddingFailure, isAiProviderError } from '../../errors.js';
import type { Batch, BatchPlan } from './embedding-batches.js';

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
  let doneCount = 0;
  let successCount = 0;

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

  const embed = async (batch: Batch, refusals: { left: number }, leaveWindow = () => {}): Promise<void> => {
    let outcome: BatchOutcome;
    try {
      outcome = await options.embedBatch(batch, () => {
        // An endpoint whose answers are all of no use is not sent more than a window of them.
        if (successCount > 0) leaveWindow();
      });
    } catch (error) {
      if (!isAiProviderError(error)) throw error;
      refusals.left--;
      // A request that no input would make acceptable must not be cut up to the last one.
      const isHopeless = refusals.left <= 0 && successCount === 0;
      if (batch.inputs.length === 1 || isHopeless || !options.isWorthSplitting(error)) {
        settle(batch.inputs, () => error);
        return;
      }
      for (const half of halvesOf(batch)) await embed(half, refusals);
      return;
    }
    successCount++;
    const embedded = settle(batch.inputs, (index) => outcome[index] as Float32Array | AiProviderError);
    await options.onBatch?.({
      positions: embedded,
      embeddings: embedded.map((position) => embeddings[position] as Float32Array),
      doneCount,
      totalCount,
    });
  };

  const inWindow = slidingWindow(options.concurrency);
  await Promise.all(
    batches.map((batch) =>
      inWindow((leave) => embed(batch, { left: refusalsBeforeGivingUp(batch.inputs.length) }, leave)),
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
