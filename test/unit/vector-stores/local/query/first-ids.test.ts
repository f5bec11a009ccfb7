import { expect, it } from 'vitest';
import { Collection } from '#src/vector-stores/local/collection.js';
import { parseCreateCollection } from '#src/vector-stores/local/collection-config.js';
import { firstIds } from '#src/vector-stores/local/query/first-ids.js';

it('finds the lowest ids among many rows, from a given one on', async () => {
  const collection = new Collection(parseCreateCollection('docs', { vectors: {} }));
  const ids = Array.from({ length: 5000 }, (_, at) => (at * 2741) % 5000);
  collection.apply({ kind: 'upsert', ids, payloads: ids.map(() => ({})), dense: {}, sparse: {} });
  const rows = Uint32Array.from(ids, (_, row) => row);
  expect(await firstIds(collection, rows, 3)).toEqual([0, 1, 2]);
  expect(await firstIds(collection, rows, 4, 4990)).toEqual([4990, 4991, 4992, 4993]);
  expect(await firstIds(collection, rows, 20, 4990)).toEqual(Array.from({ length: 10 }, (_, at) => 4990 + at));
  expect(await firstIds(collection, rows.subarray(0, 0), 3)).toEqual([]);
});
