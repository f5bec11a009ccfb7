import { expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';

const pointCount = 6_000;

async function filled(): Promise<LocalQdrantClient> {
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', {
    vectors: { size: 2, distance: 'Cosine' },
    sparse_vectors: { words: { modifier: 'idf' } },
  });
  await store(
    client,
    Array.from({ length: pointCount }, (_, id) => id),
    'old',
  );
  return client;
}

const store = (client: LocalQdrantClient, ids: readonly number[], state: string) =>
  client.upsert('docs', {
    points: ids.map((id) => ({
      id,
      vector: { '': [1, id], words: { indices: [id % 7], values: [1] } },
      payload: { state, list: [id, 'a', 'b'] },
    })),
  });

/** Slow: no column serves a condition of so many different lists. */
const slowFilter = (state: string) => ({
  must: [
    { key: 'state', match: { value: state } },
    ...Array.from({ length: 40 }, (_, n) => ({ nested: { key: `list[${n}]`, filter: {} } })).map((one) => ({
      must_not: [one],
    })),
  ],
});

it('changes at once while scans run, which go on seeing what there was', async () => {
  const client = await filled();
  const events: string[] = [];
  const counting = client.count('docs', { filter: slowFilter('old') }).then((answer) => {
    events.push('counted');
    return answer;
  });
  await store(client, [1, 2, 3], 'new');
  await client.delete('docs', { points: [4, 5] });
  await store(client, [pointCount + 1], 'old');
  events.push('changed');
  expect(await counting).toEqual({ count: pointCount });
  expect(events).toEqual(['changed', 'counted']);
  expect(await client.count('docs', { filter: slowFilter('old') })).toEqual({ count: pointCount - 5 + 1 });
  expect(await client.count('docs', { filter: slowFilter('new') })).toEqual({ count: 3 });
  expect((await client.retrieve('docs', { ids: [1] }))[0]?.payload?.state).toBe('new');
});

it('uses the rows of old points again when no scan reads them any more', async () => {
  const client = await filled();
  for (let round = 0; round < 5; round++) {
    const counting = client.count('docs', { filter: slowFilter('old') });
    await store(client, [1, 2, 3], 'old');
    expect(await counting).toEqual({ count: pointCount });
  }
  const { points } = await client.scroll('docs', { limit: pointCount + 10, with_payload: false });
  expect(points.map(({ id }) => id)).toEqual(Array.from({ length: pointCount }, (_, id) => id));
});

it('ends a scan with the signal of its caller', async () => {
  const client = await filled();
  const controller = new AbortController();
  const reason = new Error('given up');
  const counting = client.forCaller({ signal: controller.signal }).count('docs', { filter: slowFilter('old') });
  setImmediate(() => controller.abort(reason));
  await expect(counting).rejects.toBe(reason);
});

it('counts how rare a word is among the points of the corpus alone', async () => {
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', { vectors: {}, sparse_vectors: { words: { modifier: 'idf' } } });
  const put = (id: number, tenant: number, indices: number[]) =>
    client.upsert('docs', {
      points: [{ id, vector: { words: { indices, values: indices.map(() => 1) } }, payload: { tenant } }],
    });
  await put(1, 1, [5]);
  await put(2, 1, [6]);
  const filter = { must: { key: 'tenant', match: { value: 1 } } };
  const scores = async (params: object) => {
    const query = { indices: [5, 6], values: [1, 2] };
    const { points } = await client.query('docs', { query, using: 'words', filter, params });
    return points.map(({ id, score }) => [id, score]);
  };
  const own = { idf: { corpus: filter } };
  const before = await scores(own);
  expect(before.map(([id]) => id)).toEqual([2, 1]);
  for (let id = 10; id < 40; id++) await put(id, 2, [6, 7]);
  expect(await scores(own)).toEqual(before);
  expect(await scores({})).not.toEqual(before);
});
