import { afterAll, describe, expect, it } from 'vitest';
import { VectorStoreError } from '#src/errors.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { makeMetadata } from '#src/vector-stores/qdrant/collections/metadata.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { dyingClient } from '../../helpers/dying-client.js';
import { storesUnderTest, tenantSequence } from '../../helpers/qdrant-server.js';

for (const { name, open, clean } of storesUnderTest('collections of PulseQdrantClient')) {
  describe(`collections ${name}`, () => {
    const tenants = tenantSequence();
    afterAll(() => clean(tenants.used));

    it('makes an index that is missing, and refuses one of another type than the one there is', async () => {
      await using store = await open();
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, payloadIndexes: { number: 'integer' } });
      const both = { number: 'integer', colour: 'keyword' } as const;
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, payloadIndexes: both });
      expect(await store.describeCollection(tenantId, 'docs')).toMatchObject({ payloadIndexes: both });
      await expect(
        store.createCollection(tenantId, 'docs', { vectorSize: 3, payloadIndexes: { number: 'keyword' } }),
      ).rejects.toMatchObject({ code: 'unsupported_operation', message: expect.stringContaining('integer') });
    });

    it('rebuilds a shared collection with all points of each tenant', async () => {
      await using store = await open();
      const [one, other] = [tenants.next(), tenants.next()];
      const table = `docs_${one}`;
      const records = [1, 2, 3].map((recordId) => ({ recordId, vector: [1, recordId, 0] }));
      for (const tenantId of [one, other]) {
        await store.createCollection(tenantId, table, { vectorSize: 3, mode: 'shared' });
        await store.upsertVectorsBatch(tenantId, table, records);
      }
      const rebuild = await new QdrantAdmin(store).rebuildSharedCollection(table);
      await rebuild.upsertVectorsBatch(one, [...records, { recordId: 4, vector: [1, 0, 0] }]);
      await rebuild.upsertVectorsBatch(other, records.slice(1));
      await expect(rebuild.commit()).rejects.toMatchObject({ code: 'vector_store_failed' });
      await rebuild.upsertVectorsBatch(other, records);
      await rebuild.commit();
      expect(await store.describeCollection(one, table)).toMatchObject({
        collection: `shared_${table}@2`,
        pointCount: 4,
      });
      expect(await store.countRecords(other, table)).toBe(3);
    });
  });
}

const openLocal = async (): Promise<QdrantClientLike> =>
  (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;

describe('two processes that create a table in two modes at once', () => {
  const create = (client: QdrantClientLike, mode?: 'collection' | 'shared') =>
    new PulseQdrantClient({ client }).createCollection(7, 'docs', { vectorSize: 2, mode });

  /** What one does, with all of the other's call right before or after its `createCollection`. */
  async function withOther(isBefore: boolean, mine: 'collection' | 'shared' | undefined, theirs: typeof mine) {
    const local = await openLocal();
    let hasRun = false;
    let outcome: unknown;
    const other = async (): Promise<void> => {
      if (hasRun) return;
      hasRun = true;
      outcome = await create(local, theirs).catch((error) => error);
    };
    const client = new Proxy(local, {
      get(target, key) {
        // A client for one caller would not be seen.
        if (key === 'forCaller') return undefined;
        const value = Reflect.get(target, key, target);
        if (key !== 'createCollection') return typeof value === 'function' ? value.bind(target) : value;
        return async (...values: unknown[]) => {
          if (isBefore) await other();
          const result = await value.apply(target, values);
          await other();
          return result;
        };
      },
    });
    const own = await create(client, mine).catch((error) => error);
    return { local, own, outcome };
  }

  it.each([true, false])('leaves one of them in use (the other one first: %s)', async (isBefore) => {
    const { local, own, outcome } = await withOther(isBefore, 'collection', 'shared');
    const failures = [own, outcome].filter((result) => result instanceof VectorStoreError);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ code: 'unsupported_operation' });
    const { mode } = (await new PulseQdrantClient({ client: local }).describeCollection(7, 'docs'))!;
    expect(mode).toBe(own === undefined ? 'collection' : 'shared');
  });

  it('has the one that shares the table come again while the other one gives way', async () => {
    const local = await openLocal();
    const { client } = dyingClient(local, 0, true, async () => {
      if ((await local.getCollections()).collections.some(({ name }) => name === 'client_7_docs')) return;
      const scope = { tenantId: 7, tableName: 'docs', mode: 'collection', collection: 'client_7_docs' } as const;
      const metadata = { ...makeMetadata(scope, undefined), pulse_moving_to: 'collection' };
      await local.createCollection('client_7_docs', { vectors: { size: 2, distance: 'Cosine' }, metadata });
    });
    await expect(create(client, 'shared')).rejects.toMatchObject({ code: 'unavailable', isRetryable: true });
  });

  it('takes what there is where it is asked for no mode', async () => {
    const { local, own, outcome } = await withOther(true, undefined, 'shared');
    expect([own, outcome]).toEqual([undefined, undefined]);
    expect(await new PulseQdrantClient({ client: local }).describeCollection(7, 'docs')).toMatchObject({
      mode: 'shared',
    });
  });

  it('loses no record that was stored, at whatever distance', async () => {
    for (let distance = 0; distance < 20; distance++) {
      const local = await openLocal();
      // Each request takes some turns, so that the two get in between each other's.
      const turns = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
      };
      const { client } = dyingClient(local, 0, true, () => turns(3));
      const store = async (mode: 'collection' | 'shared', recordId: string): Promise<string> => {
        const own = new PulseQdrantClient({ client });
        await own.createCollection(7, 'docs', { vectorSize: 2, mode });
        await own.upsertVectorsBatch(7, 'docs', [{ recordId, vector: [1, 0] }]);
        return recordId;
      };
      const outcomes = await Promise.allSettled([
        store('shared', 'a'),
        turns(distance).then(() => store('collection', 'b')),
      ]);
      const stored = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      const found = await new PulseQdrantClient({ client: local }).getRecords(7, 'docs', ['a', 'b']).catch(() => []);
      expect(found.map(({ recordId }) => recordId).toSorted()).toEqual(stored.toSorted());
    }
  });
});

it('lists a tenant’s tables beside a collection that somebody else made under such a name', async () => {
  const local = await openLocal();
  const store = new PulseQdrantClient({ client: local });
  await store.createCollection(7, 'docs', { vectorSize: 2 });
  await local.createCollection('client_7_images', { vectors: { img: { size: 2, distance: 'Cosine' } } });
  expect(await store.listCollections(7)).toMatchObject([{ tableName: 'docs' }]);
  await expect(store.describeCollection(7, 'images')).rejects.toMatchObject({ code: 'invalid_response' });
});
