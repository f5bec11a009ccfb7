import { beforeEach, describe, expect, it } from 'vitest';
import type { VectorRecord } from '#src/core/ports/vector-store.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { makeMetadata } from '#src/vector-stores/qdrant/collections/metadata.js';
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
    await openStore().createCollection(tenantId, 'docs', {
      vectorSize: 3,
      embeddingSpace: 'a',
      payloadIndexes: { number: 'integer' },
    });
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

/** The types of the indexes of the collection that serves a tenant. */
async function indexTypesOf(tenantId: number): Promise<Record<string, unknown>> {
  const { collection } = (await openStore().describeCollection(tenantId, 'docs'))!;
  const schema: Record<string, { data_type: unknown }> = (await local.getCollection(collection)).payload_schema;
  return Object.fromEntries(Object.entries(schema).map(([field, { data_type }]) => [field, data_type]));
}

async function readersSeeEverything(): Promise<void> {
  for (const tenantId of [1, 2]) expect(await openStore().countRecords(tenantId, 'docs')).toBe(records.length);
}

describe('moveTenant', () => {
  it('moves there and back, with every record as it was', async () => {
    const before = await everythingOf(1);
    for (const to of ['shared', 'collection', 'shared'] as const) {
      expect(await openAdmin().moveTenant(1, 'docs', to)).toBe(records.length);
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ mode: to, embeddingSpace: 'a' });
      expect(await everythingOf(1)).toEqual(before);
      expect(await openAdmin().moveTenant(1, 'docs', to)).toBe(records.length);
    }
    await openAdmin().moveTenant(2, 'docs', 'shared');
    expect((await local.getCollections()).collections).toEqual([{ name: 'shared_docs' }]);
    expect(await everythingOf(2)).toEqual(before);
  });

  it.each([
    ['shared', true],
    ['shared', false],
    ['collection', true],
    ['collection', false],
  ] as const)('to %s resumes after it died at whichever step (before it: %s)', async (to, isBefore) => {
    const from = to === 'shared' ? 'collection' : 'shared';
    const before = await everythingOf(1);
    let steps = 0;
    for (let dieAt = 1; ; dieAt++) {
      await openAdmin().moveTenant(1, 'docs', from);
      const { client, changeCount } = dyingClient(local, dieAt, isBefore, readersSeeEverything);
      const died = await new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', to).then(
        () => false,
        () => true,
      );
      await readersSeeEverything();
      expect(await openAdmin().moveTenant(1, 'docs', to)).toBe(records.length);
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ mode: to });
      const client_id = to === 'shared' ? 'keyword' : 'integer';
      expect(await indexTypesOf(1)).toEqual({ client_id, number: 'integer' });
      expect(await everythingOf(1)).toEqual(before);
      expect(await everythingOf(2)).toEqual(before);
      const names = (await local.getCollections()).collections.map(({ name }) => name);
      expect(names.includes('client_1_docs')).toBe(to === 'collection');
      if (to === 'collection') expect(await local.count('shared_docs', {})).toEqual({ count: 0 });
      // So that each move makes the shared collection, too.
      await openAdmin().moveTenant(1, 'docs', 'collection');
      await local.deleteCollection('shared_docs');
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
    await new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'shared');
    // The first steps make the shared collection and its indexes; from the mark on nothing is written, until all has
    // arrived.
    expect(outcomes.slice(0, 4)).toEqual(['written', 'written', 'written', 'written']);
    expect(outcomes.length).toBeGreaterThan(5);
    for (const outcome of outcomes.slice(4, -1)) expect(outcome).toEqual(['unavailable', true]);
    expect(outcomes.at(-1)).toBe('written');
    expect(await openStore().countRecords(1, 'docs')).toBe(records.length + 1);
  });

  it.each(['shared', 'collection'] as const)(
    'lets one of two calls go on, to %s, and loses nothing that is written after',
    async (to) => {
      if (to === 'collection') await openAdmin().moveTenant(1, 'docs', 'shared');
      const move = async (delay: number): Promise<unknown> => {
        for (let turn = 0; turn < delay; turn++) await new Promise((resolve) => setImmediate(resolve));
        await openAdmin().moveTenant(1, 'docs', to);
        // The tenant writes as soon as it can.
        return openStore().upsertVectorsBatch(1, 'docs', [{ recordId: `after ${delay}`, vector: [1, 1, 1] }]);
      };
      for (let delay = 0; delay < 40; delay += 3) {
        const outcomes = await Promise.allSettled([move(0), move(delay)]);
        const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
        for (const failure of failures) expect(failure).toMatchObject({ name: 'VectorStoreError' });
        await openAdmin().moveTenant(1, 'docs', to);
        const kept = await openStore().getRecords(1, 'docs', ['after 0', `after ${delay}`]);
        const written = new Set([0, delay].filter((_, i) => outcomes[i]!.status === 'fulfilled'));
        expect(kept.length).toBeGreaterThanOrEqual(written.size);
        await openStore().deleteRecords(1, 'docs', ['after 0', `after ${delay}`]);
        expect(await openStore().countRecords(1, 'docs')).toBe(records.length);
        await openAdmin().moveTenant(1, 'docs', to === 'shared' ? 'collection' : 'shared');
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
    await openAdmin().moveTenant(3, 'docs', 'shared');
    const ids = await openStore().upsertVectorsBatch(3, 'docs', [{ recordId: 5, vector: [0, 1, 0] }]);
    expect(await openStore().searchSimilar(3, 'docs', [0, 1, 0])).toMatchObject([{ id: ids[0], recordId: 5 }]);
    expect(await openStore().countRecords(3, 'docs')).toBe(1);
  });

  it('does not take somebody else’s collection for a shared one', async () => {
    await local.createCollection('shared_docs', { vectors: { size: 3, distance: 'Cosine' } });
    await expect(openStore().createCollection(9, 'docs', { vectorSize: 3, mode: 'shared' })).rejects.toMatchObject({
      code: 'unsupported_operation',
    });
    await expect(openAdmin().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject({ code: 'collection_not_found' });
    await openStore().createCollection(9, 'docs', { vectorSize: 3 });
    await readersSeeEverything();
  });

  it('does not put two embedding spaces together', async () => {
    await openStore().createCollection(9, 'docs', { vectorSize: 3, embeddingSpace: 'b', mode: 'shared' });
    await expect(openAdmin().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject({ code: 'unsupported_operation' });
    await readersSeeEverything();
  });

  it('says that there is nothing to move', async () => {
    const code = 'collection_not_found';
    await expect(openAdmin().moveTenant(5, 'docs', 'shared')).rejects.toMatchObject({ code });
    await expect(openAdmin().moveTenant(5, 'docs', 'collection')).rejects.toMatchObject({ code });
  });

  it.each(['ended', 'died in its last step'])(
    'does not take up again what another call has moved when its own mark comes, if that one %s',
    async (way) => {
      await openAdmin().moveTenant(1, 'docs', 'shared');
      let isFirst = true;
      const other = async (): Promise<void> => {
        const hasArrived = async (): Promise<boolean> =>
          (await local.getCollection('client_1_docs')).config.metadata.pulse_moved_to === 'collection';
        const { client } = dyingClient(local, 0, true, async () => {
          if (way !== 'ended' && (await hasArrived())) throw new Error('dead');
        });
        await new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'collection').catch(() => {});
        await openStore().upsertVectorsBatch(1, 'docs', [{ recordId: 'since', vector: [1, 1, 1] }]);
      };
      const client = new Proxy(local, {
        get(target, key) {
          // A client for one caller would not be seen.
          if (key === 'forCaller') return undefined;
          const value = Reflect.get(target, key, target);
          if (key !== 'updateCollection') return typeof value === 'function' ? value.bind(target) : value;
          return async (...values: unknown[]) => {
            if (isFirst) await other();
            isFirst = false;
            return value.apply(target, values);
          };
        },
      });
      await expect(
        new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'collection'),
      ).rejects.toMatchObject({
        code: 'unavailable',
        isRetryable: true,
      });
      expect(await openAdmin().moveTenant(1, 'docs', 'collection')).toBe(records.length + 1);
      expect(await openStore().getRecords(1, 'docs', ['since'])).toHaveLength(1);
    },
  );

  it('ends a move that died in its last step before it begins another', async () => {
    for (const [to, back] of [
      ['shared', 'collection'],
      ['collection', 'shared'],
    ] as const) {
      await openAdmin().moveTenant(1, 'docs', back);
      const { client } = dyingClient(local, 0, true, async () => {
        const { collections } = await local.getCollections();
        if (!collections.some(({ name }) => name === 'client_1_docs')) return;
        const { metadata } = (await local.getCollection('client_1_docs')).config;
        if (metadata.pulse_moved_to) throw new Error('dead');
      });
      await expect(new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', to)).rejects.toThrow();
      expect(await openStore().describeCollection(1, 'docs')).toMatchObject({ mode: to });
      await openStore().upsertVectorsBatch(1, 'docs', [{ recordId: 'since', vector: [1, 1, 1] }]);
      expect(await openAdmin().moveTenant(1, 'docs', back)).toBe(records.length + 1);
      await openStore().deleteRecords(1, 'docs', ['since']);
    }
  });

  it.each(['shared', 'collection'] as const)(
    'to %s deletes nothing if both places have points and no move says which are to stay',
    async (to) => {
      await openAdmin().moveTenant(1, 'docs', 'shared');
      const code = 'unsupported_operation';
      const message = expect.stringContaining('nothing was deleted');
      // As the platform makes one, which is not adopted then, and as this library does.
      await local.createCollection('client_1_docs', { vectors: { size: 3, distance: 'Cosine' } });
      await expect(openStore().createCollection(1, 'docs', { vectorSize: 3 })).rejects.toMatchObject({ code, message });
      const scope = { tenantId: 1, tableName: 'docs', mode: 'collection', collection: 'client_1_docs' } as const;
      await local.updateCollection('client_1_docs', { metadata: makeMetadata(scope, 'a') });
      await expect(openAdmin().moveTenant(1, 'docs', to)).rejects.toMatchObject({ code, message });
      expect(await local.count('shared_docs', {})).toEqual({ count: records.length });
      await local.deleteCollection('client_1_docs');
      await readersSeeEverything();
    },
  );
});

describe('a move that cannot be done', () => {
  const sparse = { indices: [1], values: [1] };
  const stillWrites = (tenantId: number) =>
    openStore().upsertVectorsBatch(tenantId, 'docs', [{ recordId: 'new', vector: [1, 1, 1] }]);

  it.each([
    ['a vector of zeros', { id: 7, vector: [0, 0, 0], payload: { record_id: 'zero' } }, '"zero"'],
    ['no record id', { id: 7, vector: [1, 0, 0], payload: {} }, 'point 7'],
  ])('because of %s is refused before it begins', async (_, { payload, ...point }, name) => {
    await local.createCollection('client_3_docs', { vectors: { size: 3, distance: 'Cosine' } });
    const owner = { client_id: 3, table_name: 'docs' };
    await local.upsert('client_3_docs', { points: [{ ...point, payload: { ...owner, ...payload } }] });
    const failure = await openAdmin()
      .moveTenant(3, 'docs', 'shared')
      .catch((error) => error);
    expect(failure).toMatchObject({ code: 'unsupported_operation', message: expect.stringContaining(name) });
    await stillWrites(3);
  });

  it('because of sparse vectors that the other side has no place for is refused before it begins', async () => {
    await openStore().createCollection(3, 'docs', { vectorSize: 3, hasSparseVectors: true });
    await openStore().upsertVectorsBatch(3, 'docs', [{ recordId: 1, vector: [1, 0, 0], sparseVector: sparse }]);
    await openStore().createCollection(4, 'docs', { vectorSize: 3, mode: 'shared' });
    const refused = { code: 'unsupported_operation', message: expect.stringContaining('sparse') };
    await expect(openAdmin().moveTenant(3, 'docs', 'shared')).rejects.toMatchObject(refused);
    await stillWrites(3);
  });

  it('because a field has another index there is refused before it begins', async () => {
    await openStore().createCollection(4, 'docs', {
      vectorSize: 3,
      embeddingSpace: 'a',
      mode: 'shared',
      payloadIndexes: { number: 'keyword' },
    });
    const refused = { code: 'unsupported_operation', message: expect.stringContaining('number') };
    await expect(openAdmin().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject(refused);
    await stillWrites(1);
  });
});

it('moves a record that the platform stored several times once: as this library stored it, or the first of them', async () => {
  const at = (id: number, record_id: unknown, version: string) => ({
    id: `00000000-0000-4000-8000-00000000000${id}`,
    vector: [id, 1, 0],
    payload: { client_id: 3, table_name: 'docs', record_id, version },
  });
  await local.createCollection('client_3_docs', { vectors: { size: 3, distance: 'Cosine' } });
  await openStore().createCollection(3, 'docs', { vectorSize: 3 });
  await openStore().upsertVectorsBatch(3, 'docs', [{ recordId: 5, vector: [1, 0, 0], metadata: { version: 'ours' } }]);
  const points = [at(1, 5, 'a'), at(2, 6, 'a'), at(3, 6, 'b'), at(4, 5, 'b'), at(5, 6, 'c')];
  await local.upsert('client_3_docs', { points });
  expect(await openAdmin().moveTenant(3, 'docs', 'shared')).toBe(2);
  const found = await openStore().getRecords(3, 'docs', [5, 6]);
  expect(found.map(({ recordId, metadata }) => [recordId, metadata.version]).toSorted()).toEqual([
    [5, 'ours'],
    [6, 'a'],
  ]);
});

it('gives the new place the storage of the old one', async () => {
  await openStore().createCollection(3, 'docs', { vectorSize: 3, preset: 'large', quantization: 'binary' });
  await openAdmin().moveTenant(3, 'docs', 'shared');
  const { params, quantization_config } = (await local.getCollection('shared_docs')).config;
  expect(params).toMatchObject({ shard_number: 2, on_disk_payload: true, vectors: { on_disk: true } });
  expect(quantization_config).toHaveProperty('binary');
});

describe('cancelMove', () => {
  it.each(['shared', 'collection'] as const)(
    'takes back a move to %s, wherever it died, as long as not all points have arrived',
    async (to) => {
      const from = to === 'shared' ? 'collection' : 'shared';
      await openAdmin().moveTenant(1, 'docs', from);
      const before = await everythingOf(1);
      let outcomes = '';
      for (let dieAt = 1; ; dieAt++) {
        const { client } = dyingClient(local, dieAt, false);
        const died = await new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', to).then(
          () => false,
          () => true,
        );
        const refusal = await openAdmin()
          .cancelMove(1, 'docs')
          .catch((error) => error.code);
        const { mode } = (await openStore().describeCollection(1, 'docs'))!;
        if (died) outcomes += refusal === 'unsupported_operation' ? 'too late, ' : `in ${mode}, `;
        if (mode === from) {
          await openStore().upsertVectorsBatch(1, 'docs', [{ recordId: 'new', vector: [1, 1, 1] }]);
          await openStore().deleteRecords(1, 'docs', ['new']);
        }
        expect(await everythingOf(1)).toEqual(before);
        expect(await everythingOf(2)).toEqual(before);
        if (!died) break;
        await openAdmin().moveTenant(1, 'docs', from);
      }
      // Taken back at every step until the mark that all has arrived; at the end there is no move any more.
      expect(outcomes).toMatch(new RegExp(`^(in ${from}, ){4,}(too late, ){1,2}in ${to}, $`));
    },
  );

  it('stops a move that is still running', async () => {
    let cancelled: Promise<void> | undefined;
    const { client } = dyingClient(local, 0, true, async () => {
      const { metadata } = (await local.getCollection('client_1_docs')).config;
      if (metadata.pulse_mover) cancelled ??= openAdmin().cancelMove(1, 'docs');
      await cancelled;
    });
    const move = new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'shared');
    await expect(move).rejects.toMatchObject({ code: 'unavailable', isRetryable: true });
    expect(await local.count('shared_docs', {})).toEqual({ count: 0 });
    await readersSeeEverything();
  });

  it('leaves the only copy alone if the shared collection is gone', async () => {
    await openAdmin().moveTenant(1, 'docs', 'shared');
    const { client } = dyingClient(local, 6, true);
    await expect(
      new QdrantAdmin({ client, clock: instantClock }).moveTenant(1, 'docs', 'collection'),
    ).rejects.toThrow();
    await local.deleteCollection('shared_docs');
    await expect(openAdmin().cancelMove(1, 'docs')).rejects.toMatchObject({ code: 'unsupported_operation' });
    expect((await local.getCollections()).collections).toContainEqual({ name: 'client_1_docs' });
  });
});
