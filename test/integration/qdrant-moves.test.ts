import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { VectorRecord } from '../../src/core/vector-store.js';
import { LocalQdrantClient } from '../../src/vector-stores/local/local-qdrant-client.js';
import { PulseQdrantClient } from '../../src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '../../src/vector-stores/qdrant/qdrant-client-like.js';

// The waits for other processes to notice: here every reader is a new process, that has nothing to forget.
vi.mock('node:timers/promises', async (importOriginal) => ({
  ...(await importOriginal<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

const records: VectorRecord[] = Array.from({ length: 600 }, (_, i) => ({
  recordId: i % 2 ? i : `r${i}`,
  vector: [Math.cos(i), Math.sin(i), 1],
  metadata: { number: i, nested: { list: [i, null] } },
}));
const changing = [
  'createCollection',
  'updateCollection',
  'deleteCollection',
  'createPayloadIndex',
  'updateCollectionAliases',
  'upsert',
  'delete',
];

/** A process that dies at its n-th change: before it, or after the server made it and before its answer came. */
function dyingClient(
  local: QdrantClientLike,
  dieAt: number,
  isBefore: boolean,
  afterEach: () => Promise<void>,
): { client: QdrantClientLike; changeCount: () => number } {
  let count = 0;
  const client = new Proxy(local, {
    get(target, key) {
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return async (...values: unknown[]) => {
        if (!changing.includes(String(key))) return value.apply(target, values);
        if (count >= dieAt && dieAt > 0) throw new Error('dead');
        count++;
        if (count === dieAt && isBefore) throw new Error('dead');
        const result = await value.apply(target, values);
        await afterEach();
        if (count === dieAt) throw new Error('dead');
        return result;
      };
    },
  });
  return { client, changeCount: () => count };
}

let local: QdrantClientLike;
const openStore = (): PulseQdrantClient => new PulseQdrantClient({ client: local });

beforeEach(async () => {
  local = (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
  for (const tenantId of [1, 2]) {
    await openStore().createCollection(tenantId, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
    await openStore().upsertVectorsBatch(tenantId, 'docs', records);
  }
});

async function everythingOf(tenantId: number): Promise<unknown[]> {
  const listed: { recordId: unknown; metadata: unknown; vector: number[] }[] = [];
  for await (const { recordId, metadata, vector } of openStore().listRecords(tenantId, 'docs', { withVectors: true })) {
    listed.push({ recordId, metadata, vector: Array.from(vector!, (value) => Math.round(value * 1e5) / 1e5) });
  }
  return listed.sort((a, b) => String(a.recordId).localeCompare(String(b.recordId)));
}

async function readersSeeEverything(): Promise<void> {
  for (const tenantId of [1, 2]) expect(await openStore().countRecords(tenantId, 'docs')).toBe(records.length);
}

describe('moveTenant', () => {
  it('moves there and back, with every record as it was', async () => {
    const before = await everythingOf(1);
    for (const to of ['shared', 'collection', 'shared'] as const) {
      expect(await openStore().moveTenant(1, 'docs', to)).toBe(records.length);
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ mode: to, embeddingSpace: 'a' });
      expect(await everythingOf(1)).toEqual(before);
      expect(await openStore().moveTenant(1, 'docs', to)).toBe(records.length);
    }
    await openStore().moveTenant(2, 'docs', 'shared');
    expect((await local.getCollections()).collections).toEqual([{ name: 'shared_docs' }]);
    expect(await everythingOf(2)).toEqual(before);
  });

  it.each([
    ['shared', true],
    ['shared', false],
    ['collection', true],
    ['collection', false],
  ] as const)('to %s goes on where it died, at whichever step (before it: %s)', async (to, isBefore) => {
    const from = to === 'shared' ? 'collection' : 'shared';
    const before = await everythingOf(1);
    let steps = 0;
    for (let dieAt = 1; ; dieAt++) {
      await openStore().moveTenant(1, 'docs', from);
      const { client, changeCount } = dyingClient(local, dieAt, isBefore, readersSeeEverything);
      const died = await new PulseQdrantClient({ client }).moveTenant(1, 'docs', to).then(
        () => false,
        () => true,
      );
      await readersSeeEverything();
      expect(await openStore().moveTenant(1, 'docs', to)).toBe(records.length);
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ mode: to });
      expect(await everythingOf(1)).toEqual(before);
      expect(await everythingOf(2)).toEqual(before);
      if (!died) break;
      steps = changeCount();
    }
    expect(steps).toBeGreaterThanOrEqual(5);
  });

  it('refuses writes meanwhile, as retryable, and takes them again after', async () => {
    const outcomes: unknown[] = [];
    const { client } = dyingClient(local, 0, true, async () => {
      const { collections } = await local.getCollections();
      const isMoving = collections.some(({ name }) => name === 'client_1_docs');
      const write = openStore().upsertVectorsBatch(1, 'docs', [{ recordId: 'new', vector: [1, 1, 1] }]);
      const outcome = await write.then(
        () => 'written',
        (error) => [error.code, error.isRetryable],
      );
      if (isMoving) outcomes.push(outcome);
    });
    await new PulseQdrantClient({ client }).moveTenant(1, 'docs', 'shared');
    // The first two steps make the shared collection and its index; from the mark on, nothing is written.
    expect(outcomes.slice(0, 2)).toEqual(['written', 'written']);
    expect(outcomes.length).toBeGreaterThan(3);
    for (const outcome of outcomes.slice(2)) expect(outcome).toEqual(['unavailable', true]);
    expect(await openStore().countRecords(1, 'docs')).toBe(records.length + 1);
  });

  it.each(['shared', 'collection'] as const)(
    'lets one of two calls go on, to %s, and loses nothing that is written after',
    async (to) => {
      if (to === 'collection') await openStore().moveTenant(1, 'docs', 'shared');
      const move = async (delay: number): Promise<unknown> => {
        for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
        await openStore().moveTenant(1, 'docs', to);
        // The tenant writes as soon as it can.
        return openStore().upsertVectorsBatch(1, 'docs', [{ recordId: `after ${delay}`, vector: [1, 1, 1] }]);
      };
      for (let delay = 0; delay < 40; delay += 3) {
        const outcomes = await Promise.allSettled([move(0), move(delay)]);
        const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
        for (const failure of failures) expect(failure).toMatchObject({ name: 'VectorStoreError' });
        await openStore().moveTenant(1, 'docs', to);
        const kept = await openStore().getRecords(1, 'docs', ['after 0', `after ${delay}`]);
        const written = new Set([0, delay].filter((_, i) => outcomes[i]!.status === 'fulfilled'));
        expect(kept.length).toBeGreaterThanOrEqual(written.size);
        await openStore().deleteRecords(1, 'docs', ['after 0', `after ${delay}`]);
        expect(await openStore().countRecords(1, 'docs')).toBe(records.length);
        await openStore().moveTenant(1, 'docs', to === 'shared' ? 'collection' : 'shared');
      }
    },
  );

  it('gives points that the platform stored under ids of its own the ids of this library', async () => {
    const payload = { client_id: 3, table_name: 'docs', record_id: 5, title: 'x' };
    await local.createCollection('client_3_docs', { vectors: { size: 3, distance: 'Cosine' } });
    await local.upsert('client_3_docs', {
      points: [{ id: '00000000-0000-4000-8000-000000000000', vector: [1, 0, 0], payload }],
    });
    await openStore().createCollection(3, 'docs', { vectorSize: 3 });
    await openStore().moveTenant(3, 'docs', 'shared');
    const ids = await openStore().upsertVectorsBatch(3, 'docs', [{ recordId: 5, vector: [0, 1, 0] }]);
    expect(await openStore().searchSimilar(3, 'docs', [0, 1, 0])).toMatchObject([{ id: ids[0], recordId: 5 }]);
    expect(await openStore().countRecords(3, 'docs')).toBe(1);
  });

  it('does not take somebody else’s collection for a shared one', async () => {
    await local.createCollection('shared_docs', { vectors: { size: 3, distance: 'Cosine' } });
    await expect(openStore().createCollection(9, 'docs', { vectorSize: 3, mode: 'shared' })).rejects.toMatchObject({
      code: 'unsupported_operation',
    });
    await expect(openStore().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject({ code: 'collection_not_found' });
    await openStore().createCollection(9, 'docs', { vectorSize: 3 });
    await readersSeeEverything();
  });

  it('does not put two embedding spaces together', async () => {
    await openStore().createCollection(9, 'docs', { vectorSize: 3, embeddingSpace: 'b', mode: 'shared' });
    await expect(openStore().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject({ code: 'unsupported_operation' });
    await readersSeeEverything();
  });

  it('says that there is nothing to move', async () => {
    const code = 'collection_not_found';
    await expect(openStore().moveTenant(5, 'docs', 'shared')).rejects.toMatchObject({ code });
    await expect(openStore().moveTenant(5, 'docs', 'collection')).rejects.toMatchObject({ code });
  });
});

describe('rebuildCollection', () => {
  const rebuilt = records.map(({ recordId, metadata }, i) => ({ recordId, metadata, vector: [i, 1, 1, 1] }));
  const options = { vectorSize: 4, embeddingSpace: 'b' };

  it.each(['collection', 'shared'] as const)(
    'swaps in a collection of another model, mode %s, again and again',
    async (mode) => {
      if (mode === 'shared') for (const tenantId of [1, 2]) await openStore().moveTenant(tenantId, 'docs', 'shared');
      const name = mode === 'shared' ? 'shared_docs' : 'client_1_docs';
      for (const [generation, space] of [
        [2, 'b'],
        [3, 'c'],
        [4, 'd'],
      ] as const) {
        const store = openStore();
        const rebuild = await store.rebuildCollection(1, 'docs', { vectorSize: 4, embeddingSpace: space });
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

  it.each([true, false])('goes on where it died, at whichever step (before it: %s)', async (isBefore) => {
    let generation = 1;
    let steps = 0;
    for (let dieAt = 1; ; dieAt++) {
      const { client, changeCount } = dyingClient(local, dieAt, isBefore, readersSeeEverything);
      const attempt = async (store: PulseQdrantClient): Promise<void> => {
        const rebuild = await store.rebuildCollection(1, 'docs', { vectorSize: 4, embeddingSpace: `space ${dieAt}` });
        await rebuild.upsertVectorsBatch(1, rebuilt);
        await rebuild.commit();
      };
      const died = await attempt(new PulseQdrantClient({ client })).then(
        () => false,
        () => true,
      );
      await readersSeeEverything();
      const description = await openStore().describeCollection(1, 'docs');
      if (description!.embeddingSpace !== `space ${dieAt}`) await attempt(openStore());
      else
        await openStore()
          .rebuildCollection(1, 'docs', options)
          .then((rebuild) => rebuild.abort());
      generation++;
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({
        embeddingSpace: `space ${dieAt}`,
        collection: `client_1_docs@${generation}`,
        pointCount: records.length,
      });
      expect((await local.getCollections()).collections.map(({ name }) => name).toSorted()).toEqual([
        `client_1_docs@${generation}`,
        'client_2_docs',
      ]);
      expect((await local.getAliases()).aliases).toHaveLength(1);
      if (!died) break;
      steps = changeCount();
    }
    expect(steps).toBeGreaterThanOrEqual(4);
  });

  it('serves readers that looked the collection up before the swap', async () => {
    const reader = openStore();
    await reader.searchSimilar(1, 'docs', [1, 1, 1]);
    const rebuild = await openStore().rebuildCollection(1, 'docs', options);
    await rebuild.upsertVectorsBatch(1, rebuilt);
    await rebuild.commit();
    expect(await reader.searchSimilar(1, 'docs', [1, 1, 1, 1], { embeddingSpace: 'b', limit: 1 })).toHaveLength(1);
    expect(await reader.countRecords(1, 'docs')).toBe(records.length);
  });

  it('refuses to commit fewer points than there were, and other tenants’ records', async () => {
    const rebuild = await openStore().rebuildCollection(1, 'docs', options);
    await rebuild.upsertVectorsBatch(1, rebuilt.slice(1));
    await expect(rebuild.commit()).rejects.toMatchObject({ code: 'vector_store_failed' });
    await expect(rebuild.upsertVectorsBatch(2, rebuilt)).rejects.toMatchObject({ code: 'isolation_violated' });
    await rebuild.commit({ allowFewer: true });
    expect(await openStore().countRecords(1, 'docs')).toBe(records.length - 1);
    await expect(rebuild.abort()).rejects.toMatchObject({ code: 'unsupported_operation' });
  });

  it('does not go back to an older build that was begun before', async () => {
    const older = await openStore().rebuildCollection(1, 'docs', options);
    const same = await openStore().rebuildCollection(1, 'docs', options);
    await same.upsertVectorsBatch(1, rebuilt);
    await same.commit();
    const later = await openStore().rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'c' });
    await later.upsertVectorsBatch(1, rebuilt);
    await later.commit();
    await expect(older.commit({ allowFewer: true })).rejects.toMatchObject({ code: 'unsupported_operation' });
    expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ embeddingSpace: 'c' });
  });

  it('is taken up again only with the same options, and can be given up', async () => {
    const store = openStore();
    const begun = await store.rebuildCollection(1, 'docs', options);
    await begun.upsertVectorsBatch(1, rebuilt.slice(0, 5));
    expect((await store.rebuildCollection(1, 'docs', options)).collection).toBe(begun.collection);
    await expect(store.rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'x' })).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
    });
    await begun.abort();
    await readersSeeEverything();
    await store.rebuildCollection(1, 'docs', { ...options, embeddingSpace: 'x' });
  });
});

describe('bulkLoad', () => {
  const thresholdOf = async (): Promise<unknown> =>
    (await local.getCollection('client_1_docs')).config.optimizer_config?.indexing_threshold;

  it('puts the index off while it runs, and restores the setting however it ends', async () => {
    await local.updateCollection('client_1_docs', { optimizers_config: { indexing_threshold: 12_345 } });
    const result = await openStore().bulkLoad(1, 'docs', async () => {
      expect(await thresholdOf()).toBe(0);
      return 'loaded';
    });
    expect(result).toBe('loaded');
    expect(await thresholdOf()).toBe(12_345);
    const failure = new Error('the source is gone');
    await expect(openStore().bulkLoad(1, 'docs', () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await thresholdOf()).toBe(12_345);
  });

  it('restores the server’s own setting after a load that died twice', async () => {
    for (let time = 0; time < 2; time++) {
      const { client } = dyingClient(local, 3, true, async () => {});
      await expect(new PulseQdrantClient({ client }).bulkLoad(1, 'docs', async () => {})).rejects.toThrow();
      expect(await thresholdOf()).toBe(0);
    }
    await openStore().bulkLoad(1, 'docs', async () => {});
    expect(await thresholdOf()).toBe(10_000);
  });

  it('is restored by the next write after a process that died in it, and not before its time', async () => {
    await local.updateCollection('client_1_docs', { optimizers_config: { indexing_threshold: 12_345 } });
    const { client } = dyingClient(local, 3, true, async () => {});
    await expect(new PulseQdrantClient({ client }).bulkLoad(1, 'docs', async () => {})).rejects.toThrow();
    const write = (): Promise<unknown> => openStore().upsertVectorsBatch(1, 'docs', records.slice(0, 1));
    await write();
    expect(await thresholdOf()).toBe(0);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6 * 60_000 });
    try {
      await write();
    } finally {
      vi.useRealTimers();
    }
    expect(await thresholdOf()).toBe(12_345);
    expect(await openStore().bulkLoad(1, 'docs', thresholdOf)).toBe(0);
    expect(await thresholdOf()).toBe(12_345);
  });
});
