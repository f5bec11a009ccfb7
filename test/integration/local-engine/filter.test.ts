import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { filters, payloads, pointIds } from '../../fixtures/local-engine/arbitraries.js';
import { naiveFilter } from '../../fixtures/local-engine/naive-filter.js';

const points = fc.uniqueArray(fc.record({ id: pointIds, payload: payloads }), {
  selector: ({ id }) => id,
  maxLength: 12,
});

async function store(stored: readonly { id: number | string; payload: object }[]): Promise<LocalQdrantClient> {
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', { vectors: { size: 1, distance: 'Dot' } });
  await client.upsert('docs', { points: stored.map((point) => ({ ...point, vector: [1] })) });
  return client;
}

const isStringId = (id: unknown): number => (typeof id === 'string' ? 1 : 0);
const inOrder = (left: number | string, right: number | string): number =>
  isStringId(left) - isStringId(right) || (left < right ? -1 : 1);

it('filters as an independent evaluator does, point by point', async () => {
  await fc.assert(
    fc.asyncProperty(points, fc.array(filters, { minLength: 1, maxLength: 5 }), async (stored, asked) => {
      const client = await store(stored);
      for (const filter of asked) {
        const expected = stored
          .filter((point) => naiveFilter(filter, point))
          .map(({ id }) => id)
          .sort(inOrder);
        const found = await client.scroll('docs', { filter, limit: 100 });
        expect(found.points.map(({ id }) => id)).toEqual(expected);
        const hits = await client.query('docs', { query: [1], filter, limit: 100 });
        expect(hits.points.map(({ id }) => id)).toEqual(expected);
      }
    }),
    { numRuns: 2000 },
  );
});

it('filters alike with columns, while points come and go', { timeout: 120_000 }, async () => {
  const many = fc.array(payloads, { minLength: 1, maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      many,
      fc.array(filters, { minLength: 5, maxLength: 20 }),
      fc.infiniteStream(fc.nat()),
      async (kinds, asked, numbers) => {
        // Enough points for columns to be built.
        const stored = new Map(Array.from({ length: 1200 }, (_, id) => [id, kinds[id % kinds.length] as object]));
        const client = await store(Array.from(stored, ([id, payload]) => ({ id, payload })));
        for (const filter of asked) {
          const expected = [...stored]
            .filter(([id, payload]) => naiveFilter(filter, { id, payload }))
            .map(([id]) => id);
          const { points: found } = await client.scroll('docs', { filter, limit: 5000, with_payload: false });
          expect(found.map(({ id }) => id)).toEqual(expected.sort((a, b) => a - b));
          // Change some points under the columns that were just built.
          for (let change = 0; change < 60; change++) {
            const [id, kind] = [numbers.next().value % 1300, numbers.next().value];
            if (kind % 3 === 0) {
              stored.delete(id);
              await client.delete('docs', { points: [id] });
            } else {
              const payload = kinds[kind % kinds.length] as object;
              stored.set(id, payload);
              await client.upsert('docs', { points: [{ id, payload, vector: [1] }] });
            }
          }
        }
      },
    ),
    { numRuns: 60 },
  );
});
