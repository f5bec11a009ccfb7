import { expect, it } from 'vitest';
import { Collection } from '#src/vector-stores/local/collection.js';
import { parseCreateCollection } from '#src/vector-stores/local/collection-config.js';
import { runScan } from '../../../../fixtures/local-engine/run-scan.js';

it('counts once, and what changes from then on', async () => {
  const collection = new Collection(parseCreateCollection('docs', { vectors: {} }));
  const count = (key: string) => runScan(collection, (scan) => collection.valueCounts.at(key, scan));
  const store = (ids: number[], payloadOf: (id: number) => Record<string, unknown>) =>
    collection.apply({ kind: 'upsert', ids, payloads: ids.map(payloadOf), dense: {}, sparse: {} });
  store(
    Array.from({ length: 1000 }, (_, id) => id),
    (id) => (id % 4 === 0 ? { tag: id } : { other: [] }),
  );
  collection.apply({ kind: 'delete', ids: [0] });
  expect(await count('tag')).toBe(249);
  expect(await count('other')).toBe(750);
  store([1], () => ({ tag: null }));
  store([2], () => ({}));
  expect(await count('tag')).toBe(250);
  expect(await count('other')).toBe(748);
});

it('counts what changes while it counts once', async () => {
  const collection = new Collection(parseCreateCollection('docs', { vectors: {} }));
  const ids = Array.from({ length: 20_000 }, (_, id) => id);
  collection.apply({ kind: 'upsert', ids, payloads: ids.map(() => ({ tag: 1 })), dense: {}, sparse: {} });
  const counting = runScan(collection, (scan) => collection.valueCounts.at('tag', scan));
  collection.apply({ kind: 'delete', ids: [0, 1, 2] });
  collection.apply({ kind: 'upsert', ids: [3, -1], payloads: [{}, { tag: 2 }], dense: {}, sparse: {} });
  expect(await counting).toBe(20_000 - 4 + 1);
});
