import { describe, expect, it } from 'vitest';
import type { QdrantCollectionOptions } from '#src/index.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { interceptedClient } from '../../helpers/intercepted-client.js';

const condition = (key: string) => ({ must: [{ key, match: { value: 'x' } }] });

/** A table, the parameters of its searches, and what was logged. */
async function table(options: QdrantCollectionOptions) {
  const params: unknown[] = [];
  const warnings: string[] = [];
  const client = await interceptedClient((method, values, goOn) => {
    if (method === 'query') params.push(values[1].params);
    return goOn();
  });
  const silent = () => {};
  const logger = {
    debug: silent,
    info: silent,
    error: silent,
    warn: (_: unknown, message: string) => warnings.push(message),
  };
  const store = new PulseQdrantClient({ client, logger });
  await store.createCollection(7, 'docs', { vectorSize: 2, ...options });
  const search = (filter?: Record<string, unknown>) => store.searchSimilar(7, 'docs', [1, 0], { filter });
  return { search, params, warnings };
}

describe('a search', () => {
  it('has the parameters of the platform without a filter, and a wider walk with one', async () => {
    const { search, params, warnings } = await table({ payloadIndexes: { a: 'keyword', 'n[].b': 'keyword' } });
    await search();
    await search(condition('a'));
    await search({ must: [{ key: '"a"', match: { any: ['x'] } }, { is_empty: { key: 'a' } }] });
    await search({ must: [{ nested: { key: 'n', filter: condition('b') } }] });
    await search({ must_not: [{ has_id: [1] }] });
    expect(params).toEqual([{ hnsw_ef: 128 }, ...Array(4).fill({ hnsw_ef: 512 })]);
    expect(warnings).toEqual([]);
  });

  it('is exact if its filter asks for a field without an index, which is said once', async () => {
    const { search, params, warnings } = await table({ payloadIndexes: { a: 'keyword' } });
    await search(condition('b'));
    await search({ should: [condition('a'), condition('b')] });
    await search({ min_should: { conditions: [{ must: [{ is_null: { key: 'c' } }] }], min_count: 1 } });
    expect(params).toEqual(Array(3).fill({ hnsw_ef: 512, exact: true }));
    expect(warnings).toEqual([expect.stringContaining("'b': 'keyword'"), expect.stringContaining("'c': 'keyword'")]);
  });

  it.each([
    ['scalar', 384, 2],
    ['binary', 384, 32],
    ['binary', 768, 16],
    ['binary', 1536, 8],
    ['binary', 8192, 4],
    ['binary', 2, 64],
  ] as const)(
    'of a collection with a %s copy of %i dimensions rescores %i times its hits',
    async (kind, size, times) => {
      const params: { quantization?: unknown }[] = [];
      const client = await interceptedClient((method, values, goOn) => {
        if (method === 'query') params.push(values[1].params);
        return goOn();
      });
      const store = new PulseQdrantClient({ client });
      await store.createCollection(7, 'docs', { vectorSize: size, quantization: kind });
      await store.searchSimilar(7, 'docs', new Float32Array(size).fill(1));
      expect(params[0]!.quantization).toEqual({ rescore: true, oversampling: times });
    },
  );
});
