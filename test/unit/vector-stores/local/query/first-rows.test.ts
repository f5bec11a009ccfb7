import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Collection } from '#src/vector-stores/local/collection.js';
import { parseCreateCollection } from '#src/vector-stores/local/collection-config.js';
import { parseFilter } from '#src/vector-stores/local/filter/filter.js';
import { firstRows } from '#src/vector-stores/local/query/first-rows.js';
import { runScan } from '../../../../fixtures/local-engine/run-scan.js';

function collectionOf(
  ids: readonly number[],
  payloadOf: (id: number) => Record<string, unknown> = () => ({}),
): Collection {
  const collection = new Collection(parseCreateCollection('docs', { vectors: {} }));
  store(collection, ids, payloadOf);
  return collection;
}

function store(
  collection: Collection,
  ids: readonly number[],
  payloadOf = (_: number): Record<string, unknown> => ({}),
) {
  collection.apply({ kind: 'upsert', ids, payloads: ids.map(payloadOf), dense: {}, sparse: {} });
}

const firstIds = (collection: Collection, count: number, from?: number, filter?: object) =>
  runScan(collection, async (scan) => {
    const rows = await firstRows(scan, filter && parseFilter(filter, () => undefined), count, from);
    return rows.map((row) => collection.points.idOf(row));
  });

it('finds the lowest ids among many rows, from a given one on', async () => {
  const collection = collectionOf(Array.from({ length: 5000 }, (_, at) => (at * 2741) % 5000));
  expect(await firstIds(collection, 3)).toEqual([0, 1, 2]);
  expect(await firstIds(collection, 4, 4990)).toEqual([4990, 4991, 4992, 4993]);
  expect(await firstIds(collection, 20, 4990)).toEqual(Array.from({ length: 10 }, (_, at) => 4990 + at));
  expect(await firstIds(collectionOf([]), 3)).toEqual([]);
});

it.each([2, 100])('finds the lowest of those that match, of one in %i', async (part) => {
  const collection = collectionOf(
    Array.from({ length: 5000 }, (_, at) => (at * 2741) % 5000),
    (id) => ({ kind: id % part }),
  );
  const filter = { must: { key: 'kind', match: { value: 1 } } };
  expect(await firstIds(collection, 3, 1000, filter)).toEqual([1, 2, 3].map((at) => 1000 + (at - 1) * part + 1));
  expect(await firstIds(collection, 3, 1000, { must: [filter, { has_id: [1, 2 * part + 1001] }] })).toEqual([
    2 * part + 1001,
  ]);
});

it('keeps the order right while points come, go and come again', async () => {
  const change = fc.record({ isDelete: fc.boolean(), ids: fc.array(fc.nat(60), { maxLength: 8 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 30 }), async (changes) => {
      const collection = collectionOf(Array.from({ length: 1500 }, (_, at) => 2 * at));
      const ids = new Set(Array.from({ length: 1500 }, (_, at) => 2 * at));
      for (const one of changes) {
        for (const id of one.ids) one.isDelete ? ids.delete(id) : ids.add(id);
        if (one.isDelete) collection.apply({ kind: 'delete', ids: one.ids });
        else store(collection, [...new Set(one.ids)]);
        const expected = [...ids].sort((left, right) => left - right);
        expect(await firstIds(collection, 50)).toEqual(expected.slice(0, 50));
        expect(await firstIds(collection, 50, 21)).toEqual(expected.filter((id) => id >= 21).slice(0, 50));
      }
    }),
    { numRuns: 50 },
  );
});
