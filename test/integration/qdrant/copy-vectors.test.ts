import { execFile } from 'node:child_process';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VectorRecord } from '#src/core/ports/vector-store.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { copyVectorStore } from '#src/vector-stores/qdrant/admin/copy-vector-store.js';
import { isSameJson } from '#src/vector-stores/qdrant/admin/same-content.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { RestServer } from '../../helpers/rest-server.js';

const pulseAi = new URL('../../../dist/pulse-ai.js', import.meta.url).pathname;
const records: VectorRecord[] = Array.from({ length: 700 }, (_, i) => ({
  recordId: i % 2 ? i : `r${i}`,
  vector: Float32Array.of(Math.cos(i), Math.sin(i), 1),
  sparseVector: i % 3 ? { indices: [i, 1000], values: [0.1 * i, 1 / 3] } : undefined,
  metadata: { number: i, nested: { list: [i, null, Math.sqrt(i + 2)] } },
}));
/** Without what only the first table has a place for. */
const plainRecords = records.map(({ sparseVector: _, ...record }) => record);

let folder: string;
let server: RestServer;
let url: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pulse-copy-'));
  server = await RestServer.start();
  url = `http://127.0.0.1:${server.port}`;
  const store = new PulseQdrantClient({ location: folder });
  await store.createCollection(1, 'docs', {
    vectorSize: 3,
    embeddingSpace: 'a',
    payloadIndexes: { number: 'integer' },
    hasSparseVectors: true,
  });
  await store.upsertVectorsBatch(1, 'docs', records);
  for (const tenantId of [2, 3]) {
    await store.createCollection(tenantId, 'notes', { vectorSize: 3, mode: 'shared' });
    await store.upsertVectorsBatch(tenantId, 'notes', plainRecords.slice(0, tenantId));
  }
  await store.close();
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const expected = [
  { tenantId: 1, tableName: 'docs', mode: 'collection', pointCount: 700 },
  { tenantId: 2, tableName: 'notes', mode: 'shared', pointCount: 2 },
  { tenantId: 3, tableName: 'notes', mode: 'shared', pointCount: 3 },
];

describe('copyVectorStore', () => {
  it('copies a folder to a server: pins, modes, indexes, every record; again does no harm', async () => {
    for (let time = 0; time < 2; time++) expect(await copyVectorStore({ location: folder }, { url })).toEqual(expected);
    const [source, target] = [new PulseQdrantClient({ location: folder }), new PulseQdrantClient({ url })];
    expect(await target.describeCollection(1, 'docs')).toEqual(await source.describeCollection(1, 'docs'));
    const search = { limit: 50, scoreThreshold: -1, withVectors: true };
    const [from, to] = await Promise.all(
      [source, target].map((store) => store.searchSimilar(1, 'docs', [1, 0, 0], search)),
    );
    expect(to!.map(({ id, recordId }) => ({ id, recordId }))).toEqual(
      from!.map(({ id, recordId }) => ({ id, recordId })),
    );
    expect(to!.every(({ metadata }, i) => isSameJson(from![i]!.metadata, metadata))).toBe(true);
    const sparse = { indices: [7], values: [1] };
    const hybrid = await target.searchHybrid(1, 'docs', [0, 0, 1], sparse, { limit: 2 });
    expect(hybrid.map(({ recordId }) => recordId)).toContain(7);
    await source.close();
    await target.close();
  });

  it('fixes what differs in the target, and removes what the source has not if a mirror is asked for', async () => {
    await copyVectorStore({ location: folder }, { url });
    const target = new PulseQdrantClient({ url });
    await target.upsertVectorsBatch(1, 'docs', [
      { recordId: 1, vector: [9, 9, 9], metadata: records[1]!.metadata },
      { recordId: 3, vector: records[3]!.vector, metadata: { number: -1 } },
      { recordId: 'extra', vector: [1, 1, 1] },
      { ...records[7]!, sparseVector: { indices: [7, 1000], values: [0.7, 0.5] } },
      { ...records[8]!, sparseVector: undefined },
    ]);
    await target.deleteRecords(1, 'docs', [5]);
    await expect(copyVectorStore({ location: folder }, { url })).rejects.toMatchObject({
      code: 'unsupported_operation',
      message: expect.stringContaining('"extra"'),
    });
    // Nothing was written: what the target has may be newer.
    expect(await target.getRecords(1, 'docs', [3])).toMatchObject([{ metadata: { number: -1 } }]);
    expect(await copyVectorStore({ location: folder }, { url }, { mirror: true })).toEqual(expected);
    const repaired = await target.getRecords(1, 'docs', [1, 3, 5, 'extra'], { withVectors: true });
    expect(repaired.map(({ recordId }) => recordId).toSorted()).toEqual([1, 3, 5]);
    for (const { recordId, metadata, vector } of repaired) {
      const record = records[Number(recordId)]!;
      expect(isSameJson(record.metadata, metadata)).toBe(true);
      const length = Math.hypot(...Array.from(record.vector));
      vector!.forEach((value, i) => void expect(value).toBeCloseTo(record.vector[i]! / length, 5));
    }
    const written: number[] = [];
    const ends = [new PulseQdrantClient({ location: folder }), target];
    for (const { sparseVector, vector } of [records[7]!, records[8]!]) {
      const [mine, theirs] = await Promise.all(
        ends.map((end) => end.searchHybrid(1, 'docs', vector, sparseVector!, { limit: 5 })),
      );
      expect(theirs!.map(({ recordId }) => recordId)).toEqual(mine!.map(({ recordId }) => recordId));
      written.push(mine!.length);
    }
    expect(written).toEqual([5, 5]);
    await Promise.all(ends.map((end) => end.close()));
  });

  it('leaves collections alone that only look like ours, and says so', async () => {
    const other = await LocalQdrantClient.open({ location: folder });
    await other.createCollection('shared_theirs', { vectors: { size: 2, distance: 'Dot' } });
    await other.createCollection('client_1_images', { vectors: { img: { size: 2, distance: 'Cosine' } } });
    await other.close();
    const foreign: string[] = [];
    const onForeign = (collection: string): void => void foreign.push(collection);
    expect(await copyVectorStore({ location: folder }, { url }, { onForeign })).toEqual(expected);
    expect(foreign.toSorted()).toEqual(['client_1_images', 'shared_theirs']);
  });

  it('copies a record that the platform stored several times once, and knows it again', async () => {
    const at = (id: number, record_id: unknown, version: string, vector = [id, 1, 0]) => ({
      id: `00000000-0000-4000-8000-00000000000${id}`,
      vector,
      payload: { client_id: 9, table_name: 'docs', record_id, version },
    });
    const platform = await LocalQdrantClient.open({ location: folder });
    await platform.createCollection('client_9_docs', { vectors: { size: 3, distance: 'Cosine' } });
    await platform.upsert('client_9_docs', { points: [at(1, 6, 'a'), at(2, 'x', 'a'), at(3, 6, 'b')] });
    await platform.close();
    for (let time = 0; time < 2; time++) {
      expect(await copyVectorStore({ location: folder }, { url })).toContainEqual(
        expect.objectContaining({ tenantId: 9, pointCount: 2 }),
      );
    }
    await using target = new PulseQdrantClient({ url });
    const found = await target.getRecords(9, 'docs', [6, 'x']);
    expect(found.map(({ recordId, metadata }) => [recordId, metadata.version]).toSorted()).toEqual([
      [6, 'a'],
      ['x', 'a'],
    ]);
  });

  it('names the records that cannot be stored again, before anything of their table is written', async () => {
    const platform = await LocalQdrantClient.open({ location: folder });
    await platform.createCollection('client_9_docs', { vectors: { size: 3, distance: 'Cosine' } });
    const payload = { client_id: 9, table_name: 'docs', record_id: 'zero' };
    await platform.upsert('client_9_docs', { points: [{ id: 1, vector: [0, 0, 0], payload }] });
    await platform.close();
    await expect(copyVectorStore({ location: folder }, { url })).rejects.toMatchObject({
      code: 'unsupported_operation',
      message: expect.stringContaining('"zero"'),
    });
    await using target = new PulseQdrantClient({ url });
    expect(await target.describeCollection(9, 'docs')).toBeUndefined();
  });

  it('does not lose sparse vectors in a target that has no place for them', async () => {
    await using target = new PulseQdrantClient({ url });
    await target.createCollection(1, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
    await expect(copyVectorStore({ location: folder }, { url })).rejects.toMatchObject({
      code: 'unsupported_operation',
      message: expect.stringContaining('sparse'),
    });
  });

  it('does not make a source that is invalid, to copy nothing from it', async () => {
    const mistyped = join(folder, 'vectosr');
    await expect(copyVectorStore({ location: mistyped }, { url })).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining(mistyped),
    });
    await expect(access(mistyped)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('does not mix embedding spaces', async () => {
    const target = new PulseQdrantClient({ url });
    await target.createCollection(1, 'docs', { vectorSize: 3, embeddingSpace: 'b' });
    await expect(copyVectorStore({ location: folder }, { url })).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
    });
    expect(await target.countRecords(1, 'docs')).toBe(0);
    await target.close();
  });
});

describe('pulse-ai copy-vectors', () => {
  const run = promisify(execFile);

  it('copies, says what it copied, and exits with 0', async () => {
    const { stdout } = await run(process.execPath, [pulseAi, 'copy-vectors', folder, url]);
    expect(stdout).toContain('tenant 1  docs (collection)  700 points, verified');
    expect(stdout).toContain('3 tables, 705 points, all equal in both stores.');
  });

  it('takes the target from the environment', async () => {
    const env = { ...process.env, QDRANT_HOST: '127.0.0.1', QDRANT_PORT: String(server.port) };
    const { stdout } = await run(process.execPath, [pulseAi, 'copy-vectors', folder], { env });
    expect(stdout).toContain('705 points');
  });

  it('tells its usage if it is asked for it', async () => {
    const { stdout } = await run(process.execPath, [pulseAi, 'copy-vectors', '--help']);
    expect(stdout).toContain('--mirror');
  });

  it('takes a scheme in capitals for one, and deletes in the target only with --mirror', async () => {
    const store = new PulseQdrantClient({ url });
    await store.createCollection(1, 'docs', { vectorSize: 3, embeddingSpace: 'a', hasSparseVectors: true });
    await store.upsertVectorsBatch(1, 'docs', [{ recordId: 'only here', vector: [1, 1, 1] }]);
    const capitals = url.replace('http', 'HTTP');
    await expect(run(process.execPath, [pulseAi, 'copy-vectors', folder, capitals])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('"only here"'),
    });
    await run(process.execPath, [pulseAi, 'copy-vectors', '--mirror', folder, capitals]);
    expect(await store.countRecords(1, 'docs')).toBe(700);
    await store.close();
  });

  it('exits with 1 and the reason if it fails, and with 2 and its usage if it is used wrongly', async () => {
    await expect(run(process.execPath, [pulseAi, 'copy-vectors', folder, 'http://127.0.0.1:1'])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('http://127.0.0.1:1'),
    });
    for (const wrong of [[], [folder, url, 'more'], [folder, url, '--miror']]) {
      await expect(run(process.execPath, [pulseAi, 'copy-vectors', ...wrong])).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringContaining('<from>'),
      });
    }
  });
});
