import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';

const uuid = '550e8400-e29b-41d4-a716-446655440000';
const statusOf = async (call: Promise<unknown>): Promise<number> =>
  call.then(
    () => 200,
    (error) => error.status,
  );

describe.each(['memory', 'folder'])('LocalQdrantClient in a %s', (kind) => {
  let folder: string;
  let client: LocalQdrantClient;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'local-qdrant-'));
    client = await LocalQdrantClient.open({ location: kind === 'memory' ? ':memory:' : folder });
    await client.createCollection('docs', { vectors: { size: 2, distance: 'Cosine' }, metadata: { owner: 7 } });
    await client.upsert('docs', {
      points: [
        { id: uuid, vector: [1, 1], payload: { tag: ['a', 'b'] } },
        { id: 1, vector: [3, 0], payload: { tag: 'a', nested: { deep: true } } },
        { id: 2, vector: new Float32Array([0, 2]), payload: { tag: 'c' } },
        { id: 3, vector: [5, 0] },
      ],
    });
  });

  afterEach(async () => {
    await client.close();
    await rm(folder, { recursive: true });
  });

  it('ranks by cosine similarity, equal scores by id', async () => {
    const { points } = await client.query('docs', { query: [1, 0], with_payload: true });
    expect(points.map(({ id, score }) => [id, score])).toEqual([
      [1, 1],
      [3, 1],
      [uuid, Math.fround(Math.SQRT1_2)],
      [2, 0],
    ]);
    expect(points[0]?.payload).toEqual({ tag: 'a', nested: { deep: true } });
  });

  it('takes limit, offset and a score threshold that hits must be above, as on a server', async () => {
    const ids = async (request: object) =>
      (await client.query('docs', { query: [1, 0], ...request })).points.map(({ id }) => id);
    expect(await ids({ limit: 2, offset: 1 })).toEqual([3, uuid]);
    expect(await ids({ score_threshold: 1 })).toEqual([]);
    expect(await ids({ score_threshold: 0.999 })).toEqual([1, 3]);
    expect(await ids({ offset: 9 })).toEqual([]);
  });

  it('returns stored vectors normalised, and only what is asked for', async () => {
    const { points } = await client.scroll('docs', { filter: { must: { has_id: [1] } }, with_vector: true });
    expect(points).toEqual([{ id: 1, payload: { tag: 'a', nested: { deep: true } }, vector: [1, 0] }]);
    const hits = await client.query('docs', { query: [1, 0], limit: 1 });
    expect(hits.points).toEqual([{ id: 1, version: 0, score: 1, payload: null }]);
    const some = await client.query('docs', { query: [1, 0], limit: 1, with_payload: ['nested.deep'] });
    expect(some.points[0]?.payload).toEqual({ nested: { deep: true } });
  });

  it('scrolls in the order of the ids, page by page', async () => {
    const first = await client.scroll('docs', { limit: 3, with_payload: false });
    expect(first.points.map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(first.next_page_offset).toBe(uuid);
    const second = await client.scroll('docs', { limit: 3, offset: first.next_page_offset });
    expect(second.points.map(({ id }) => id)).toEqual([uuid]);
    expect(second.next_page_offset).toBeNull();
  });

  it('replaces payload and vector of an existing id', async () => {
    await client.upsert('docs', { points: [{ id: 1, vector: [0, 1], payload: { new: true } }] });
    expect(await client.retrieve('docs', { ids: [1], with_vector: true })).toEqual([
      { id: 1, payload: { new: true }, vector: [0, 1] },
    ]);
    expect(await client.count('docs')).toEqual({ count: 4 });
  });

  it('deletes by id and by filter', async () => {
    await client.delete('docs', { points: [2, 99] });
    await client.delete('docs', { filter: { must: [{ key: 'tag', match: { value: 'b' } }] } });
    expect((await client.scroll('docs')).points.map(({ id }) => id)).toEqual([1, 3]);
  });

  it('counts facets of an indexed key', async () => {
    expect(await statusOf(client.facet('docs', { key: 'tag' }))).toBe(400);
    await client.createPayloadIndex('docs', { field_name: 'tag', field_schema: 'keyword', wait: true });
    expect(await client.facet('docs', { key: 'tag' })).toEqual({
      hits: [
        { value: 'a', count: 2 },
        { value: 'b', count: 1 },
        { value: 'c', count: 1 },
      ],
    });
    expect((await client.getCollection('docs')).payload_schema).toMatchObject({
      tag: { data_type: 'keyword', points: 3 },
    });
  });

  it('tells how many points have a value at an indexed key, through changes of them', async () => {
    const pointsWith = async (key: string) =>
      ((await client.getCollection('docs')).payload_schema as Record<string, { points: number }>)[key]?.points;
    for (const key of ['tag', 'nested.deep']) {
      await client.createPayloadIndex('docs', { field_name: key, field_schema: 'keyword' });
    }
    expect([await pointsWith('tag'), await pointsWith('nested.deep')]).toEqual([3, 1]);
    await client.upsert('docs', { points: [{ id: 1, vector: [1, 0], payload: { tag: 'b' } }] });
    await client.upsert('docs', { points: [{ id: 2, vector: [1, 0] }] });
    await client.upsert('docs', { points: [{ id: 9, vector: [1, 0], payload: { nested: { deep: 1 } } }] });
    expect([await pointsWith('tag'), await pointsWith('nested.deep')]).toEqual([2, 1]);
    await client.delete('docs', { points: [uuid, 9, 77] });
    expect([await pointsWith('tag'), await pointsWith('nested.deep')]).toEqual([1, 0]);
  });

  it('groups hits by a payload value', async () => {
    const { groups } = await client.queryGroups('docs', { query: [1, 0], group_by: 'tag', group_size: 1, limit: 2 });
    expect(groups.map(({ id, hits }) => [id, hits.map((hit) => hit.id)])).toEqual([
      ['a', [1]],
      ['b', [uuid]],
    ]);
  });

  it('describes a collection and merges metadata', async () => {
    await client.updateCollection('docs', { metadata: { space: 'x' } });
    expect(await client.getCollection('docs')).toMatchObject({
      status: 'green',
      points_count: 4,
      config: { params: { vectors: { size: 2, distance: 'Cosine' } }, metadata: { owner: 7, space: 'x' } },
    });
  });

  it('lists, aliases and drops collections', async () => {
    await client.updateCollectionAliases({
      actions: [{ create_alias: { collection_name: 'docs', alias_name: 'live' } }],
    });
    expect(await client.count('live')).toEqual({ count: 4 });
    expect(await client.getAliases()).toEqual({ aliases: [{ alias_name: 'live', collection_name: 'docs' }] });
    expect(await client.getCollections()).toEqual({ collections: [{ name: 'docs' }] });
    expect(await client.deleteCollection('docs')).toBe(true);
    expect(await client.deleteCollection('docs')).toBe(false);
    expect(await client.collectionExists('live')).toEqual({ exists: false });
  });

  it('fails as the real client does', async () => {
    await expect(client.count('absent')).rejects.toMatchObject({
      status: 404,
      data: { status: { error: "Not found: Collection `absent` doesn't exist!" } },
    });
    expect(await statusOf(client.createCollection('docs', { vectors: { size: 2, distance: 'Cosine' } }))).toBe(409);
    expect(await statusOf(client.upsert('docs', { points: [{ id: 9, vector: [1] }] }))).toBe(400);
    expect(await statusOf(client.upsert('docs', { points: [{ id: 9, vector: [1, Number.NaN] }] }))).toBe(400);
    expect(await statusOf(client.upsert('docs', { points: [{ id: 'nine', vector: [1, 1] }] }))).toBe(400);
    expect(await statusOf(client.query('docs', { query: [1, 2, 3] }))).toBe(400);
    expect(await statusOf(client.query('docs', { query: [1, 2], filter: { must_be: [] } }))).toBe(400);
    expect(await statusOf(client.query('docs', { query: [1, 2], limit: 0 }))).toBe(422);
    expect(await statusOf(client.delete('docs', {}))).toBe(400);
    expect(await client.count('docs')).toEqual({ count: 4 });
  });

  it('stores all points of a request or none', async () => {
    const points = [
      { id: 8, vector: [1, 1] },
      { id: 9, vector: [1, 1, 1] },
    ];
    expect(await statusOf(client.upsert('docs', { points }))).toBe(400);
    expect(await client.count('docs')).toEqual({ count: 4 });
  });

  it('keeps what a caller holds apart from what is stored', async () => {
    const payload = { list: [1] };
    await client.upsert('docs', { points: [{ id: 1, vector: [1, 0], payload }] });
    payload.list.push(2);
    const [found] = await client.retrieve('docs', { ids: [1] });
    (found?.payload?.list as number[] | undefined)?.push(3);
    expect((await client.retrieve('docs', { ids: [1] }))[0]?.payload).toEqual({ list: [1] });
  });
});

it.each(['', 'a\u0000b', 7, undefined])('refuses the location %j', async (location) => {
  await expect(LocalQdrantClient.open({ location: location as string })).rejects.toMatchObject({
    code: 'invalid_input',
  });
});

it('keeps the payload of one tenant out of what another finds', async () => {
  await using client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', { vectors: { size: 1, distance: 'Dot' } });
  const own = Array.from({ length: 1200 }, (_, id) => ({ id, vector: [1], payload: { tenant: 1, a: id % 10 } }));
  // As JSON, which is what a list is told apart by, the two values of `a` look alike.
  const foreign = { id: 8000, vector: [1], payload: { tenant: 2, a: '\u0000[[1]]' } };
  const list = { id: 9000, vector: [1], payload: { tenant: 1, a: [1] } };
  await client.upsert('docs', { points: [foreign, ...own, list] });
  const must = [
    { key: 'tenant', match: { value: 1 } },
    { key: 'a', match: { value: 1 } },
  ];
  expect(await client.count('docs', { filter: { must } })).toEqual({ count: 121 });
});

it('finds everything again after it was closed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'local-qdrant-'));
  const first = await LocalQdrantClient.open({ location: folder });
  await first.createCollection('docs', { vectors: { size: 2, distance: 'Cosine' }, metadata: { owner: 7 } });
  await first.updateCollectionAliases({ actions: [{ create_alias: { collection_name: 'docs', alias_name: 'live' } }] });
  await first.upsert('docs', { points: [1, 2, 3].map((id) => ({ id, vector: [id, 1], payload: { id } })) });
  await first.delete('docs', { points: [2] });
  const before = await first.scroll('live', { with_vector: true });
  await first.close();
  await first.close();
  await expect(first.count('docs')).rejects.toMatchObject({ code: 'aborted_by_close' });

  const second = await LocalQdrantClient.open({ location: folder });
  expect(await second.scroll('live', { with_vector: true })).toEqual(before);
  expect(await second.getCollection('docs')).toMatchObject({ config: { metadata: { owner: 7 } } });
  await second.close();
  await rm(folder, { recursive: true });
});
