import pLimit from 'p-limit';
import { type AiProviderError, type EmbeddingFailure, isAiProviderError } from '../../errors.js';

/** What one request brought: by position in the batch, a vector or why there is none. */
export type BatchOutcome = readonly (Float32Array | AiProviderError)[];

export interface EmbedTextsOptions {
  readonly batchSize: number;
  readonly concurrency: number;
  /** Makes one request, with its retries; fails with an `AiProviderError` where no input of the batch got a vector. */
  embedBatch(inputs: readonly string[]): Promise<BatchOutcome>;
  /** Whether a smaller part of a failed batch may succeed. */
  isWorthSplitting(error: AiProviderError): boolean;
}

export interface EmbedTextsResult {
  readonly embeddings: (Float32Array | undefined)[];
  /** Ordered by position. */
  readonly failures: readonly EmbeddingFailure[];
}

/**
 * Embeds texts in batches through a sliding window of requests. Identical texts are sent once. A refused batch is halved until the input that is
 * refused stands alone. What requests did is in the result; an abort or a bug is thrown.
 */
export async function embedTexts(texts: readonly string[], options: EmbedTextsOptions): Promise<EmbedTextsResult> {
  const positions = positionsByText(texts);
  const embeddings = new Array<Float32Array | undefined>(texts.length).fill(undefined);
  const failures: EmbeddingFailure[] = [];
  let successCount = 0;

  const settle = (input: string, outcome: Float32Array | AiProviderError) => {
    positions.get(input)?.forEach((position, nth) => {
      if (isAiProviderError(outcome)) failures.push({ position, error: outcome });
      // A copy for each: whoever changes one vector in place must not change another.
      else embeddings[position] = nth === 0 ? outcome : outcome.slice();
    });
  };

  /** Refusals are counted as long as nothing succeeds: a request that no input would make acceptable must not be cut up to the last one. */
  const embed = async (batch: readonly string[], refusals: { left: number }): Promise<void> => {
    try {
      const outcome = await options.embedBatch(batch);
      successCount++;
      batch.forEach((input, index) => {
        settle(input, outcome[index] as Float32Array | AiProviderError);
      });
    } catch (error) {
      if (!isAiProviderError(error)) throw error;
      refusals.left--;
      const isHopeless = refusals.left <= 0 && successCount === 0;
      if (batch.length === 1 || isHopeless || !options.isWorthSplitting(error)) {
        for (const input of batch) settle(input, error);
        return;
      }
      const middle = batch.length >> 1;
      await embed(batch.slice(0, middle), refusals);
      await embed(batch.slice(middle), refusals);
    }
  };

  const limit = pLimit(options.concurrency);
  const batches = batchesOf([...positions.keys()], options.batchSize);
  await Promise.all(batches.map((batch) => limit(() => embed(batch, { left: refusalsBeforeGivingUp(batch.length) }))));
  failures.sort((a, b) => a.position - b.position);
  return { embeddings, failures };
}

/** Enough to reach a single input from the whole batch and to pass a few bad neighbours. */
function refusalsBeforeGivingUp(batchSize: number): number {
  return 8 + 2 * Math.ceil(Math.log2(batchSize));
}

function positionsByText(texts: readonly string[]): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  texts.forEach((text, position) => {
    const known = positions.get(text);
    if (known) known.push(position);
    else positions.set(text, [position]);
  });
  return positions;
}

function batchesOf(inputs: readonly string[], size: number): string[][] {
  const batches: string[][] = [];
  for (let start = 0; start < inputs.length; start += size) batches.push(inputs.slice(start, start + size));
  return batches;
}
