import { beforeEach, describe, expect, it } from 'vitest';
import type { VectorRecord } from '#src/core/ports/vector-store.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { copyVectorStore } from '#src/vector-stores/qdrant/admin/copy-vector-store.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { dyingClient } from '../../helpers/dying-client.js';
import { instantClock } from '../../helpers/instant-clock.js';

const records: VectorRecord[] = Array.from({ length: 600 }, (_, i) => ({
  recordId: i % 2 ? i : `r${i}`,
  vector: [Math.cos(i), Math.sin(i), 1],
  metadata: { number: i, nested: { list: [i, null] } },
}));
let local: QdrantClientLike;
const openStore = (): PulseQdrantClient => new PulseQdrantClient({ client: local, clock: instantClock });
const openAdmin = (): QdrantAdmin => new QdrantAdmin(openStore());

beforeEach(async () => {
  local = (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
  for (const tenantId of [1, 2]) {
    await openStore().createCollection(tenantId, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
    await openStore().upsertVectorsBatch(tenantId, 'docs', records);
  }
});

async function readersSeeEverything(): Promise<void> {
  for (const tenantId of [1, 2]) expect(await openStore().countRecords(tenantId, 'docs')).toBe(records.length);
}

describe('rebuildCollection', () => {
  const rebuilt = records.map(({ recordId, metadata }, i) => ({ recordId, metadata, vector: [i, 1, 1, 1] }));
  const options = { vectorSize: 4, embeddingSpace: 'b' };

  it.each(['collection', 'shared'] as const)(
    'swaps in a collection of another model, mode %s, again and again',
    async (mode) => {
      if (mode === 'shared') for (const tenantId of [1, 2]) await openAdmin().moveTenant(tenantId, 'docs', 'shared');
      const name = mode === 'shared' ? 'shared_docs' : 'client_1_docs';
      for (const [generation, space] of [
        [2, 'b'],
        [3, 'c'],
        [4, 'd'],
      ] as const) {
        const store = openStore();
        const rebuild = await (mode === 'shared'
          ? new QdrantAdmin(store).rebuildSharedCollection('docs', { vectorSize: 4, embeddingSpace: space })
          : new QdrantAdmin(store).rebuildCollection(1, 'docs', { vectorSize: 4, embeddingSpace: space }));
        expect(rebuild.collection).toBe(`${name}@${generation}`);
        expect(await store.describeCollection(1, 'docs')).not.toMatchObject({ embeddingSpace: space });
        await rebuild.upsertVectorsBatch(1, rebuilt);
        if (mode === 'shared') await rebuild.upsertVectorsBatch(2, rebuilt);
        await rebuild.commit();
        await rebuild.commit();
        expect(await store.describeCollection(1, 'docs')).toMatchObject({
          embeddingSpace: space,
          vectorSize: 4,
          collection: `${name}@${generation}`,
          pointCount: records.length,
        });
        // For readers that know nothing of builds, the plain name is an alias.
        expect((await local.getAliases()).aliases).toEqual([
          { alias_name: name, collection_name: `${name}@${generation}` },
        ]);
        expect(await store.searchSimilar(1, 'docs', [5, 1, 1, 1], { embeddingSpace: space, limit: 1 })).toHaveLength(1);
      }
      await openStore().dropCollection(1, 'docs');
      expect(await openStore().countRecords(2, 'docs')).toBe(records.length);
      if (mode === 'collection') {
        expect(await openStore().describeCollection(1, 'docs')).toBeUndefined();
        expect((await local.getCollections()).collections).toEqual([{ name: 'client_2_docs' }]);
        expect((await local.getAliases()).aliases).toEqual([]);
      }
    },
  );

  it.each([
    [true, 'first'],
    [false, 'first'],
    [true, 'later'],
    [false, 'later'],
  ])('resumes after it died at whichever step (before it: %s), in a table’s %s rebuild', async (isBefore, which) => {
    let steps = 0;
    for (let dieAt = 1; ; dieAt++) {
      if (which === 'first') {
        await openStore().dropCollection(1, 'docs');
        await openStore().createCollection(1, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
        await openStore().upsertVectorsBatch(1, 'docs', records);
      }
      const everythingIsThere = async (): Promise<void> => {
        await readersSeeEverything();
        expect(await openStore().listCollections(1)).toMatchObject([{ tableName: 'docs', pointCount: records.length }]);
        const copied = await copyVectorStore({ client: local }, { location: ':memory:' });
        expect(copied).toMatchObject([{ tenantId: 1 }, { tenantId: 2 }]);
      };
      const { client, changeCount } = dyingClient(local, dieAt, isBefore, everythingIsThere);
      const attempt = async (store: PulseQdrantClient): Promise<void> => {
        const rebuild = await new QdrantAdmin(store).rebuildCollection(1, 'docs', {
          vectorSize: 4,
          embeddingSpace: `space ${dieAt}`,
        });
        await rebuild.upsertVectorsBatch(1, rebuilt);
        await rebuild.commit();
      };
      const died = await attempt(new PulseQdrantClient({ client, clock: instantClock })).then(
        () => false,
        () => true,
      );
      await everythingIsThere();
      const { embeddingSpace } = (await openStore().describeCollection(1, 'docs'))!;
      if (embeddingSpace !== `space ${dieAt}`) await attempt(openStore());
      else
        await openAdmin()
          .rebuildCollection(1, 'docs')
          .then((rebuild) => rebuild.abort());
      const description = await openStore().describeCollection(1, 'docs');
      expect(description).toMatchObject({ embeddingSpace: `space ${dieAt}`, pointCount: records.length });
      // Nothing is left over but what serves.
      const { collections } = await local.getCollections();
      expect(collections.map(({ name }) => name).toSorted()).toEqual([description!.collection, 'client_2_docs']);
      expect((await local.getAliases()).aliases).toHaveLength(1);
      if (!died) break;
      steps = changeCount();
    }
    expect(steps).toBeGreaterThanOrEqual(4);
  });

  it('serves readers that looked the collection up before the swap', async () => {
    const reader = openStore();
    await reader.searchSimilar(1, 'docs', [1, 1, 1]);
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', options);
    await rebuild.upsertVectorsBatch(1, rebuilt);
    await rebuild.commit();
    expect(await reader.searchSimilar(1, 'docs', [1, 1, 1, 1], { embeddingSpace: 'b', limit: 1 })).toHaveLength(1);
    expect(await reader.countRecords(1, 'docs')).toBe(records.length);
  });

  it('refuses to commit fewer points than there were, and other tenants’ records', async () => {
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', options);
    await rebuild.upsertVectorsBatch(1, rebuilt.slice(1));
    await expect(rebuild.commit()).rejects.toMatchObject({ code: 'vector_store_failed' });
    await expect(rebuild.upsertVectorsBatch(2, rebuilt)).rejects.toMatchObject({ code: 'isolation_violated' });
    await rebuild.commit({ allowFewer: true });
    expect(await openStore().countRecords(1, 'docs')).toBe(records.length - 1);
    await expect(rebuild.abort()).rejects.toMatchObject({ code: 'unsupported_operation' });
  });

  it('does not go back to an older build that was begun before', async () => {
    const older = await openAdmin().rebuildCollection(1, 'docs', options);
    const same = await openAdmin().rebuildCollection(1, 'docs', { ...options, resume: true });
    await same.upsertVectorsBatch(1, rebuilt);
    await same.commit();
    const later = await openAdmin().rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'c' });
    await later.upsertVectorsBatch(1, rebuilt);
    await later.commit();
    await expect(older.commit({ allowFewer: true })).rejects.toMatchObject({ code: 'unsupported_operation' });
    expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ embeddingSpace: 'c' });
  });

  it('begins with nothing, also if an earlier one was left; that one’s job comes to an end', async () => {
    const left = await openAdmin().rebuildCollection(1, 'docs', options);
    await left.upsertVectorsBatch(1, [{ recordId: 'stale', vector: [1, 1, 1, 1] }]);
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'x' });
    await expect(left.upsertVectorsBatch(1, rebuilt)).rejects.toMatchObject({
      upsertedCount: 0,
      cause: { code: 'collection_not_found' },
    });
    await expect(left.commit({ allowFewer: true })).rejects.toMatchObject({ code: 'collection_not_found' });
    await rebuild.upsertVectorsBatch(1, rebuilt);
    await rebuild.commit();
    await readersSeeEverything();
    expect(await openStore().getRecords(1, 'docs', ['stale'])).toEqual([]);
  });

  it('goes on with one that was left if that is asked for, and only with the same vectors', async () => {
    const begun = await openAdmin().rebuildCollection(1, 'docs', options);
    await begun.upsertVectorsBatch(1, rebuilt.slice(0, 300));
    await expect(
      openAdmin().rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'x', resume: true }),
    ).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
    const resumed = await openAdmin().rebuildCollection(1, 'docs', { ...options, resume: true });
    await resumed.upsertVectorsBatch(1, rebuilt.slice(300));
    await resumed.commit();
    await readersSeeEverything();
    await expect(openAdmin().rebuildCollection(1, 'docs', { resume: true })).rejects.toMatchObject({
      code: 'collection_not_found',
    });
  });

  it('takes over what it is not told: size, space, indexes, sparse vectors and storage', async () => {
    const store = openStore();
    await store.createCollection(3, 'docs', {
      vectorSize: 3,
      embeddingSpace: 'a',
      hasSparseVectors: true,
      payloadIndexes: { number: 'integer', title: 'text' },
      preset: 'small',
      quantization: 'scalar',
      onDiskVectors: true,
      shardNumber: 3,
    });
    const before = (await local.getCollection('client_3_docs')).config;
    await (await new QdrantAdmin(store).rebuildCollection(3, 'docs')).commit();
    const { config, payload_schema } = await local.getCollection('client_3_docs@2');
    const { metadata: _, ...settings } = config;
    expect(settings).toEqual({ ...settings, ...before, metadata: undefined });
    expect(payload_schema).toMatchObject({ number: { data_type: 'integer' }, title: { data_type: 'text' } });
    expect(await store.describeCollection(3, 'docs')).toMatchObject({ embeddingSpace: 'a', vectorSize: 3 });
    // What is given goes before it, a preset before all of the storage.
    const changed = await new QdrantAdmin(store).rebuildCollection(3, 'docs', {
      preset: 'large',
      hasSparseVectors: false,
      embeddingSpace: null,
      payloadIndexes: { number: 'keyword' },
    });
    await changed.commit();
    const now = await local.getCollection('client_3_docs@3');
    expect(now.config.params).toMatchObject({ shard_number: 2, vectors: { on_disk: true } });
    expect(now.config.params).not.toHaveProperty('sparse_vectors');
    expect(now.config.optimizer_config.default_segment_number).toBe(0);
    expect(now.payload_schema.number).toMatchObject({ data_type: 'keyword' });
    expect(await store.describeCollection(3, 'docs')).toMatchObject({ embeddingSpace: null });
  });

  it('wants to be told the embedding space of vectors of another size', async () => {
    await expect(openAdmin().rebuildCollection(1, 'docs', { vectorSize: 4 })).rejects.toMatchObject({
      code: 'dimension_mismatch',
      message: expect.stringContaining('embeddingSpace'),
    });
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', { vectorSize: 4, embeddingSpace: null });
    await rebuild.abort();
  });

  it('reads records as the store does: no further than the signal, and only what can be read', async () => {
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', options);
    const controller = new AbortController();
    const reason = new Error('enough');
    async function* waiting() {
      yield rebuilt[0]!;
      controller.abort(reason);
      await new Promise(() => {});
    }
    await expect(rebuild.upsertVectorsBatch(1, waiting(), controller)).rejects.toBe(reason);
    await expect(rebuild.upsertVectorsBatch(1, undefined as never)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('serves a build that was restored under the plain name', async () => {
    await openStore().createCollection(3, 'docs', { vectorSize: 3 });
    await local.updateCollection('client_3_docs', { metadata: { pulse_generation: 2 } });
    await openStore().upsertVectorsBatch(3, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
    const rebuild = await openAdmin().rebuildCollection(3, 'docs');
    await rebuild.upsertVectorsBatch(3, [{ recordId: 2, vector: [1, 0, 0] }]);
    await rebuild.commit();
    expect(await openStore().getRecords(3, 'docs', [1, 2])).toMatchObject([{ recordId: 2 }]);
    await openStore().dropCollection(3, 'docs');
    expect((await local.getCollections()).collections).toHaveLength(2);
  });

  it('waits for a move that was interrupted', async () => {
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', options);
    await rebuild.upsertVectorsBatch(1, rebuilt);
    const { client } = dyingClient(local, 5, true);
    await expect(new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'shared')).rejects.toThrow();
    const refused = { code: 'unavailable', isRetryable: true };
    await expect(rebuild.commit()).rejects.toMatchObject(refused);
    await expect(openAdmin().rebuildCollection(1, 'docs')).rejects.toMatchObject(refused);
    await openAdmin().cancelMove(1, 'docs');
    await rebuild.commit();
    await readersSeeEverything();
  });

  it('leaves a build alone that was committed while another one began', async () => {
    const first = await openAdmin().rebuildCollection(1, 'docs', options);
    await first.upsertVectorsBatch(1, rebuilt);
    const { client } = dyingClient(local, 0, true, async () => {
      await first.commit();
    });
    const second = await new QdrantAdmin({ client, clock: instantClock }).rebuildCollection(1, 'docs', options);
    await readersSeeEverything();
    await second.abort();
    expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ collection: first.collection });
  });

  it.each(['drop', 'move'])('cannot take the place of a table that is gone meanwhile, by %s', async (way) => {
    const rebuild = await openAdmin().rebuildCollection(1, 'docs', options);
    if (way === 'drop') await openStore().dropCollection(1, 'docs');
    else await openAdmin().moveTenant(1, 'docs', 'shared');
    await expect(rebuild.commit({ allowFewer: true })).rejects.toMatchObject({ code: 'collection_not_found' });
  });
});

describe('rebuildSharedCollection', () => {
  const all = { vectorSize: 3, embeddingSpace: 'a' };

  beforeEach(async () => {
    for (const tenantId of [1, 2]) await openAdmin().moveTenant(tenantId, 'docs', 'shared');
  });

  it('is not to be had in a tenant’s name', async () => {
    const refusal = { code: 'unsupported_operation', message: expect.stringContaining('rebuildSharedCollection') };
    await expect(openAdmin().rebuildCollection(1, 'docs')).rejects.toMatchObject(refusal);
    const store = new PulseQdrantClient({ url: 'http://127.0.0.1:1', apiKeyForTenant: () => 'a key' });
    await expect(new QdrantAdmin(store).rebuildSharedCollection('docs')).rejects.toMatchObject({
      code: 'unsupported_operation',
    });
    await expect(openAdmin().rebuildSharedCollection('notes')).rejects.toMatchObject({ code: 'collection_not_found' });
  });

  it('is committed only with all points of each tenant, unless fewer are allowed', async () => {
    const rebuild = await openAdmin().rebuildSharedCollection('docs', all);
    await rebuild.upsertVectorsBatch(2, records.slice(1));
    const more = Array.from({ length: 2 * records.length }, (_, i) => ({ recordId: `more${i}`, vector: [1, i, 0] }));
    await rebuild.upsertVectorsBatch(1, more);
    await expect(rebuild.commit()).rejects.toMatchObject({ code: 'vector_store_failed' });
    await readersSeeEverything();
    await rebuild.commit({ allowFewer: true });
    expect(await openStore().countRecords(2, 'docs')).toBe(records.length - 1);
  });

  it.each(['drop', 'move'])('does not bring back the points of a tenant that left meanwhile, by %s', async (way) => {
    const rebuild = await openAdmin().rebuildSharedCollection('docs', all);
    for (const tenantId of [1, 2]) await rebuild.upsertVectorsBatch(tenantId, records);
    if (way === 'drop') await openStore().dropCollection(2, 'docs');
    else await openAdmin().moveTenant(2, 'docs', 'collection');
    await rebuild.commit();
    const { hits } = await local.facet('shared_docs', { key: 'client_id', exact: true });
    expect(hits).toEqual([{ value: '1', count: records.length }]);
  });
});

describe('dropCollection', () => {
  it.each([true, false])('resumes after it died at whichever step (before it: %s)', async (isBefore) => {
    for (let dieAt = 1; ; dieAt++) {
      await openStore().createCollection(3, 'docs', { vectorSize: 3 });
      const first = await openAdmin().rebuildCollection(3, 'docs');
      await first.upsertVectorsBatch(3, records);
      await first.commit();
      const second = await openAdmin().rebuildCollection(3, 'docs');
      await second.upsertVectorsBatch(3, records);
      const namesOf = async (): Promise<string[]> =>
        (await local.getCollections()).collections.map(({ name }) => name).filter((name) => name.includes('_3_'));
      const { client } = dyingClient(local, dieAt, isBefore);
      const died = await new PulseQdrantClient({ client, clock: instantClock }).dropCollection(3, 'docs').then(
        () => false,
        () => true,
      );
      // What is left is what served, whole.
      if ((await namesOf()).length > 0) expect(await openStore().countRecords(3, 'docs')).toBe(records.length);
      await openStore().dropCollection(3, 'docs');
      expect(await namesOf()).toEqual([]);
      if (!died) break;
    }
  });

  it('removes builds that nothing leads to', async () => {
    const rebuild = await openAdmin().rebuildCollection(1, 'docs');
    await local.deleteCollection('client_1_docs');
    await openStore().dropCollection(1, 'docs');
    expect((await local.getCollections()).collections).toEqual([{ name: 'client_2_docs' }]);
    await expect(rebuild.commit()).rejects.toMatchObject({ code: 'collection_not_found' });
  });

  it('removes the copy of a move that was interrupted before what serves', async () => {
    await openAdmin().moveTenant(1, 'docs', 'shared');
    const mover = dyingClient(local, 6, false);
    await expect(
      new QdrantAdmin({ client: mover.client, clock: instantClock }).moveTenant(1, 'docs', 'collection'),
    ).rejects.toThrow();
    const { client } = dyingClient(local, 1, false);
    await expect(new PulseQdrantClient({ client, clock: instantClock }).dropCollection(1, 'docs')).rejects.toThrow();
    await readersSeeEverything();
    await openStore().dropCollection(1, 'docs');
    expect(await openStore().listCollections(1)).toEqual([]);
  });
});
