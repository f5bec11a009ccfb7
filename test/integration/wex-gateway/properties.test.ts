import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PartialEmbeddingResult } from '#src/core/ports/embedding-provider.js';
import { isAiProviderError, type PartialEmbeddingError } from '#src/errors.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding, type GatewayFault } from '#src/testing/index.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
const dimension = 4;
const timeoutMs = 60;
/** What strikes requests at random: mostly what passes, sometimes what does not, rarely what costs time. */
const fault: fc.Arbitrary<GatewayFault | undefined> = fc.oneof(
  { weight: 12, arbitrary: fc.constant(undefined) },
  {
    weight: 8,
    arbitrary: fc.constantFrom<GatewayFault>(
      { kind: 'status', status: 429, headers: { 'retry-after-ms': '1' } },
      { kind: 'status', status: 500 },
      { kind: 'status', status: 503, error: 'no JSON' },
      { kind: 'reset' },
      { kind: 'reset_in_body' },
      { kind: 'truncated_json' },
    ),
  },
  {
    weight: 8,
    arbitrary: fc.constantFrom<GatewayFault>(
      { kind: 'shuffled' },
      { kind: 'float' },
      { kind: 'nan' },
      { kind: 'zero_vector' },
      { kind: 'wrong_dimension' },
      { kind: 'wrong_count' },
      { kind: 'repeated_index' },
      { kind: 'unknown_encoding' },
      { kind: 'no_usage' },
      { kind: 'latency', delayMs: 3 },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<GatewayFault>(
      { kind: 'status', status: 400 },
      { kind: 'status', status: 401 },
      { kind: 'status', status: 413 },
      { kind: 'echoed_key' },
      { kind: 'stall_in_body' },
      { kind: 'stall' },
    ),
  },
);

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'poison', '字', 'same text', 'Same text', ' same text') },
  { weight: 2, arbitrary: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 5, unit: 'binary' }) },
);

describe('whatever the texts and the faults', () => {
  it('every vector belongs to its text, every text has a vector or an error, and requests stay within their bound', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 24 }),
        fc.array(fault, { maxLength: 30 }),
        fc.record({
          batchSize: fc.integer({ min: 1, max: 8 }),
          concurrency: fc.integer({ min: 1, max: 5 }),
          maxRetries: fc.integer({ min: 0, max: 3 }),
        }),
        fc.boolean(),
        async (texts, faults, options, hasPoison) => {
          // One of its own: a request that was given up in an earlier run may still arrive.
          await using gateway = await FakeGateway.start({
            apiKey,
            dimension,
            fault: ({ number, inputs }) =>
              hasPoison && inputs.includes('poison') ? { kind: 'status', status: 422 } : faults[number - 1],
          });
          const provider = new WexGatewayProvider({
            baseUrl: gateway.baseUrl,
            apiKey,
            retryDelayMs: 1,
            timeoutMs,
            deadlineMs: 10_000,
            dimensions: dimension,
            ...options,
          });
          const seen = new Map<number, Float32Array>();
          const outcome = await provider
            .generateEmbeddings(texts, {
              onBatch: ({ positions, embeddings }) =>
                positions.forEach((position, i) => {
                  seen.set(position, embeddings[i]!);
                }),
            })
            .catch((error: unknown) => error);
          await provider.close();

          const unique = new Set(texts).size;
          const batchSizes = Array.from({ length: Math.ceil(unique / options.batchSize) }, (_, i) =>
            Math.min(options.batchSize, unique - i * options.batchSize),
          );
          const isRefused =
            hasPoison ||
            // A 500 may be that of a text as well.
            faults.some((each) => each?.kind === 'status' && [400, 413, 500].includes(each.status)) ||
            faults.some((each) => each?.kind === 'echoed_key');
          // A batch is one request; if inputs are refused, it may be cut down to each of them.
          const requests = batchSizes.reduce((sum, size) => sum + (isRefused ? 2 * size + 1 : 1), 0);
          const bound = requests * (1 + options.maxRetries);
          expect(gateway.requests.length).toBeLessThanOrEqual(bound);

          if (!(outcome instanceof Error)) {
            const { embeddings } = outcome as { embeddings: Float32Array[] };
            expect(embeddings).toEqual(texts.map((each) => fakeEmbedding(each, dimension)));
            expect([...seen.keys()].sort((a, b) => a - b)).toEqual(texts.map((_, position) => position));
            return;
          }
          if (!isAiProviderError(outcome)) throw outcome;
          if (outcome.code !== 'embedding_partially_failed') {
            expect(seen.size).toBe(0);
            return;
          }
          const { failures, partialResult } = outcome as PartialEmbeddingError<PartialEmbeddingResult>;
          const failed = new Set(failures.map(({ position }) => position));
          expect(failed.size).toBe(failures.length);
          texts.forEach((each, position) => {
            const embedding = partialResult.embeddings[position];
            expect(failed.has(position)).toBe(embedding === undefined);
            expect(seen.get(position)).toBe(embedding);
            if (embedding !== undefined) expect(embedding).toEqual(fakeEmbedding(each, dimension));
            if (hasPoison && each === 'poison') expect(embedding).toBeUndefined();
          });
        },
      ),
      { numRuns: 1000 },
    );
  }, 600_000);
});
