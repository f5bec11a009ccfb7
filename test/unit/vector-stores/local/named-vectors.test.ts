import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';

const dense = { '': [1, 0] };
const words = (indices: number[], values = indices.map(() => 1)) => ({ words: { indices, values } });

let folder: string;
let client: LocalQdrantClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'named-vectors-'));
  client = await LocalQdrantClient.open({ location: folder });
  await client.createCollection('docs', {
    vectors: { size: 2, distance: 'Cosine' },
    sparse_vectors: { words: {}, weighted: { modifier: 'idf' } },
  });
});
afterEach(async () => {
  await client.close();
  await rm(folder, { recursive: true });
});

const idsOf = (result: { points: { id: unknown }[] }): unknown[] => result.points.map(({ id }) => id);

describe('sparse vectors', () => {
  it('rank by their dot product; a point without a common index is not a hit', async () => {
    await client.upsert('docs', {
      points: [
        { id: 1, vector: { ...dense, ...words([1, 2], [1, 3]) } },
        { id: 2, vector: { ...dense, ...words([7]) } },
        { id: 3, vector: { ...dense, ...words([1, 9], [2, 100]) } },
        { id: 4, vector: [1, 0] },
      ],
    });
    const { points } = await client.query('docs', { query: { indices: [1, 2], values: [2, 0.5] }, using: 'words' });
    expect(points.map(({ id, score }) => [id, score])).toEqual([
      [3, 4],
      [1, 3.5],
    ]);
  });

  it('weigh rare indices more with the idf modifier', async () => {
    const weighted = (indices: number[]) => ({ ...dense, weighted: { indices, values: indices.map(() => 1) } });
    await client.upsert('docs', {
      points: [
        { id: 1, vector: weighted([1]) },
        { id: 2, vector: weighted([1]) },
        { id: 3, vector: weighted([2]) },
      ],
    });
    const { points } = await client.query('docs', { query: { indices: [1, 2], values: [1, 1] }, using: 'weighted' });
    expect(points.map(({ id }) => id)).toEqual([3, 1, 2]);
    expect(points[0]?.score).toBeCloseTo(Math.log(1 + 2.5 / 1.5));
    await client.delete('docs', { points: [3] });
    const after = await client.query('docs', { query: { indices: [1, 2], values: [1, 1] }, using: 'weighted' });
    expect(after.points[0]?.score).toBeCloseTo(Math.log(1 + 0.5 / 2.5));
  });

  it('are refused if they are malformed or unknown', async () => {
    const upsert = (vector: unknown) => client.upsert('docs', { points: [{ id: 1, vector }] });
    const refused = expect.objectContaining({ status: expect.any(Number) });
    await expect(upsert({ ...dense, ...words([1, 1]) })).rejects.toEqual(refused);
    await expect(upsert({ ...dense, ...words([1], []) })).rejects.toEqual(refused);
    await expect(upsert({ ...dense, ...words([-1]) })).rejects.toEqual(refused);
    await expect(upsert({ ...dense, ...words([1], [Number.NaN]) })).rejects.toEqual(refused);
    await expect(upsert({ ...dense, others: [1] })).rejects.toEqual(refused);
    await expect(upsert(words([1]))).rejects.toEqual(refused);
    await expect(client.query('docs', { query: [1, 0], using: 'absent' })).rejects.toEqual(refused);
    expect(await client.count('docs')).toEqual({ count: 0 });
  });
});

it('replaces all vectors of a point, also those that the new one has not', async () => {
  await client.upsert('docs', { points: [{ id: 1, vector: { ...dense, ...words([1]) } }] });
  const withWords = { filter: { must: [{ has_vector: 'words' }] } };
  expect(await client.count('docs', withWords)).toEqual({ count: 1 });
  await client.upsert('docs', { points: [{ id: 1, vector: [0, 1] }] });
  expect(await client.count('docs', withWords)).toEqual({ count: 0 });
  // Of one id twice in a request, the later point counts, and it alone.
  await client.upsert('docs', {
    points: [
      { id: 1, vector: { ...dense, ...words([1]) } },
      { id: 1, vector: [0, 1] },
    ],
  });
  expect(await client.count('docs', withWords)).toEqual({ count: 0 });
  expect((await client.retrieve('docs', { ids: [1], with_vector: true }))[0]?.vector).toEqual([0, 1]);
});

it('keeps several dense vectors of a point, which may lack one', async () => {
  await client.createCollection('pairs', {
    vectors: { title: { size: 2, distance: 'Dot' }, body: { size: 3, distance: 'Cosine' } },
  });
  await client.upsert('pairs', {
    points: [
      { id: 1, vector: { title: [1, 2], body: [1, 0, 0] } },
      { id: 2, vector: { title: [3, 4] } },
      { id: 3, vector: { body: [0, 2, 0] } },
    ],
  });
  expect(idsOf(await client.query('pairs', { query: [1, 1], using: 'title' }))).toEqual([2, 1]);
  expect(idsOf(await client.query('pairs', { query: [0, 1, 0], using: 'body' }))).toEqual([3, 1]);
  await client.close();
  client = await LocalQdrantClient.open({ location: folder });
  const { points } = await client.scroll('pairs', { with_vector: true, with_payload: false });
  expect(points.map(({ vector }) => vector)).toEqual([
    { title: [1, 2], body: [1, 0, 0] },
    { title: [3, 4] },
    { body: [0, 1, 0] },
  ]);
});

describe('hybrid search', () => {
  beforeEach(async () => {
    await client.upsert('docs', {
      points: [
        { id: 1, vector: { '': [1, 0], ...words([5], [1]) }, payload: { tenant: 1 } },
        { id: 2, vector: { '': [1, 1], ...words([5], [3]) }, payload: { tenant: 1 } },
        { id: 3, vector: { '': [0, 1], ...words([5], [9]) }, payload: { tenant: 2 } },
      ],
    });
  });
  const prefetch = [
    { query: [1, 0], limit: 5 },
    { query: { indices: [5], values: [1] }, using: 'words', limit: 5 },
  ];

  it('fuses by reciprocal rank', async () => {
    const { points } = await client.query('docs', { prefetch, query: { fusion: 'rrf' } });
    // Dense: 1, 2, 3. Sparse: 3, 2, 1. Qdrant's constant is 2, positions count from 0.
    expect(points.map(({ id, score }) => [id, score])).toEqual([
      [1, 1 / 2 + 1 / 4],
      [3, 1 / 4 + 1 / 2],
      [2, 1 / 3 + 1 / 3],
    ]);
  });

  it('fuses by distribution', async () => {
    const { points } = await client.query('docs', { prefetch, query: { fusion: 'dbsf' } });
    const scale = (scores: number[]): number[] => {
      const mean = scores.reduce((a, b) => a + b) / scores.length;
      const deviation = Math.sqrt(scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / (scores.length - 1));
      return scores.map((score) => (score - mean + 3 * deviation) / (6 * deviation));
    };
    const [denseScores, sparseScores] = [scale([1, Math.SQRT1_2, 0]), scale([1, 3, 9])];
    for (const { id, score } of points) {
      const at = (id as number) - 1;
      expect(score).toBeCloseTo((denseScores[at] as number) + (sparseScores[at] as number), 6);
    }
  });

  it('holds the outer filter in every prefetch', async () => {
    const filter = { must: [{ key: 'tenant', match: { value: 1 } }] };
    const { points } = await client.query('docs', { prefetch, query: { fusion: 'rrf' }, filter });
    expect(points.map(({ id, score }) => [id, score])).toEqual([
      [1, 1 / 2 + 1 / 3],
      [2, 1 / 3 + 1 / 2],
    ]);
  });

  it('ranks the prefetched points again by another vector', async () => {
    const { points } = await client.query('docs', { prefetch: { ...prefetch[1], limit: 2 }, query: [1, 0] });
    expect(idsOf({ points })).toEqual([2, 3]);
  });
});

it('searches by the vector of a stored point, which is not a hit itself', async () => {
  await client.upsert('docs', { points: [1, 2, 3].map((id) => ({ id, vector: [1, id] })) });
  expect(idsOf(await client.query('docs', { query: 1 }))).toEqual([2, 3]);
  expect(idsOf(await client.query('docs', { query: { nearest: 3 }, limit: 1 }))).toEqual([2]);
  await expect(client.query('docs', { query: 9 })).rejects.toMatchObject({ status: 400 });
});
