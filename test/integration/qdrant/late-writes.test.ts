import { beforeEach, describe, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { copyVectorStore } from '#src/vector-stores/qdrant/admin/copy-vector-store.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { instantClock } from '../../helpers/instant-clock.js';

// What a server that is slow, or a process that is stopped (SIGSTOP, a garbage collection, a virtual machine on its
// way), does to a move, a rebuild or a drop: one request of a writer, or of the mover, waits as long as it takes for
// the others to be through.

let local: QdrantClientLike;
const open = (client: QdrantClientLike = local): PulseQdrantClient =>
  new PulseQdrantClient({ client, clock: instantClock });
const admin = (client: QdrantClientLike = local): QdrantAdmin => new QdrantAdmin(open(client));
const records = Array.from({ length: 20 }, (_, i) => ({ recordId: i, vector: [1, i] }));
const late = { recordId: 'late', vector: [1, 1] };

beforeEach(async () => {
  local = (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
});

/**
 * A client whose first request of a kind waits for all of `meanwhile`, before the server has it or before its answer
 * comes.
 */
function stopped(
  method: keyof QdrantClientLike,
  isBefore: boolean,
  meanwhile: () => Promise<unknown>,
  isIt: (values: unknown[]) => boolean = () => true,
): QdrantClientLike {
  let hasStopped = false;
  return new Proxy(local, {
    get(target, key) {
      if (key === 'forCaller') return undefined;
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return async (...values: unknown[]) => {
        const stops = key === method && !hasStopped && isIt(values);
        if (stops) hasStopped = true;
        if (stops && isBefore) await meanwhile();
        const result = await value.apply(target, values);
        if (stops && !isBefore) await meanwhile();
        return result;
      };
    },
  });
}

const idsOf = async (): Promise<unknown[]> => {
  const ids: unknown[] = [];
  for await (const { recordId } of open().listRecords(1, 'docs')) ids.push(recordId);
  return ids.sort();
};
const all = records.map(({ recordId }) => recordId as unknown);

const changes: Record<string, () => Promise<unknown>> = {
  'a move to the shared collection': () => admin().moveTenant(1, 'docs', 'shared'),
  'a move to a collection of its own': () => admin().moveTenant(1, 'docs', 'collection'),
  'a move there and back': async () => {
    const { mode } = (await open().describeCollection(1, 'docs'))!;
    await admin().moveTenant(1, 'docs', mode === 'shared' ? 'collection' : 'shared');
    await admin().moveTenant(1, 'docs', mode);
  },
};

describe.each(['collection', 'shared'] as const)('a writer that was stopped, in the mode %s', (mode) => {
  beforeEach(async () => {
    await open().createCollection(1, 'docs', { vectorSize: 2, mode });
    await open().upsertVectorsBatch(1, 'docs', records);
    await open().createCollection(2, 'docs', { vectorSize: 2, mode });
    await open().upsertVectorsBatch(2, 'docs', [late]);
  });

  describe.each([true, false])('before the server had its request: %s', (isBefore) => {
    it.each(Object.keys(changes))('has stored what was acknowledged, after %s', async (name) => {
      const client = stopped('upsert', isBefore, changes[name]!);
      expect(await open(client).upsertVectorsBatch(1, 'docs', [late])).toHaveLength(1);
      expect(await idsOf()).toEqual([...all, 'late'].sort());
      // Nothing of it is left in the place that the table has moved out of.
      for (const to of ['shared', 'collection'] as const) await admin().moveTenant(1, 'docs', to);
      expect(await idsOf()).toEqual([...all, 'late'].sort());
      expect(await open().countRecords(2, 'docs')).toBe(1);
    });

    it.each(Object.keys(changes))('has deleted what was acknowledged as deleted, after %s', async (name) => {
      const client = stopped('delete', isBefore, changes[name]!);
      await open(client).deleteRecords(1, 'docs', [3]);
      expect(await idsOf()).toEqual(all.filter((id) => id !== 3).sort());
      expect(await open().countRecords(2, 'docs')).toBe(1);
    });
  });

  it('is refused, as retryable, while the move is under way', async () => {
    const to = mode === 'shared' ? 'collection' : 'shared';
    let writing: Promise<unknown> | undefined;
    // The mover stops in the middle; the writer's request comes to the server then.
    const mover = stopped('upsert', true, async () => {
      writing = open().upsertVectorsBatch(1, 'docs', [late]);
      await writing.catch(() => {});
    });
    await admin(mover).moveTenant(1, 'docs', to);
    await expect(writing).rejects.toMatchObject({ code: 'unavailable', isRetryable: true });
    expect(await idsOf()).toEqual([...all].sort());
  });
});

describe('a rebuild', () => {
  const rebuild = async (): Promise<void> => {
    const build = await admin().rebuildCollection(1, 'docs');
    await build.upsertVectorsBatch(1, records);
    await build.commit();
  };

  beforeEach(async () => {
    await open().createCollection(1, 'docs', { vectorSize: 2 });
    await open().upsertVectorsBatch(1, 'docs', records);
  });

  it.each([
    [1, true],
    [1, false],
    [2, true],
    [2, false],
  ])('loses no write that was under way in build %s (before the server had it: %s)', async (generation, isBefore) => {
    if (generation === 2) await rebuild();
    // One that has arrived in the old build makes the new one too small: the commit says so, and the old one serves on.
    const code = 'vector_store_failed';
    const meanwhile = isBefore ? rebuild : () => expect(rebuild()).rejects.toMatchObject({ code });
    const client = stopped('upsert', isBefore, meanwhile);
    expect(await open(client).upsertVectorsBatch(1, 'docs', [late])).toHaveLength(1);
    expect(await idsOf()).toEqual([...all, 'late'].sort());
  });

  it('keeps a committed build whose alias is lost, and serves it', async () => {
    await rebuild();
    await rebuild();
    const { aliases } = await local.getAliases();
    await local.updateCollectionAliases({
      actions: aliases.map(({ alias_name }) => ({ delete_alias: { alias_name } })),
    });
    expect(await idsOf()).toEqual([...all].sort());
    const build = await admin().rebuildCollection(1, 'docs');
    expect(await open().countRecords(1, 'docs')).toBe(records.length);
    await build.abort();
    await local.updateCollectionAliases({
      actions: (await local.getAliases()).aliases.map(({ alias_name }) => ({ delete_alias: { alias_name } })),
    });
    await open().createCollection(1, 'docs', { vectorSize: 2 });
    expect((await local.getAliases()).aliases).toEqual([
      { alias_name: 'client_1_docs', collection_name: 'client_1_docs@3' },
    ]);
    expect((await local.getCollections()).collections).toEqual([{ name: 'client_1_docs@3' }]);
  });

  it('marks its build as committed before any alias leads to it', async () => {
    const marks: unknown[] = [];
    const client = stopped('updateCollectionAliases', true, async () => {
      marks.push((await local.getCollection('client_1_docs@2')).config.metadata.pulse_committed);
    });
    const build = await admin(client).rebuildCollection(1, 'docs');
    await build.upsertVectorsBatch(1, records);
    await build.commit();
    expect(marks).toEqual([true]);
  });
});

describe('a mover that was stopped', () => {
  beforeEach(async () => {
    await open().createCollection(1, 'docs', { vectorSize: 2 });
    await open().upsertVectorsBatch(1, 'docs', records);
  });
  const isArrival = ([, request]: unknown[]): boolean =>
    Boolean((request as { metadata?: { pulse_moved_to?: unknown } }).metadata?.pulse_moved_to);

  it('changes nothing of a move that was cancelled meanwhile, and of what was written since', async () => {
    const mover = stopped(
      'updateCollection',
      true,
      async () => {
        await admin().cancelMove(1, 'docs');
        await open().upsertVectorsBatch(1, 'docs', [late]);
      },
      isArrival,
    );
    await expect(admin(mover).moveTenant(1, 'docs', 'shared')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await open().describeCollection(1, 'docs')).toMatchObject({ mode: 'collection' });
    expect(await idsOf()).toEqual([...all, 'late'].sort());
  });

  it('changes nothing of a move that another call has ended meanwhile', async () => {
    await admin().moveTenant(1, 'docs', 'shared');
    const mover = stopped(
      'updateCollection',
      true,
      async () => {
        await admin().moveTenant(1, 'docs', 'collection');
        await open().upsertVectorsBatch(1, 'docs', [late]);
      },
      isArrival,
    );
    await admin(mover)
      .moveTenant(1, 'docs', 'collection')
      .catch((error: unknown) => expect(error).toMatchObject({ code: 'unavailable' }));
    expect(await open().describeCollection(1, 'docs')).toMatchObject({ mode: 'collection' });
    expect(await idsOf()).toEqual([...all, 'late'].sort());
  });
});

describe('points that belong to no tenant', () => {
  const strays = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];
  const unsupported = { code: 'unsupported_operation', message: expect.stringContaining(strays[0]!) };

  beforeEach(async () => {
    await open().createCollection(1, 'docs', { vectorSize: 2 });
    await open().upsertVectorsBatch(1, 'docs', records);
    const owner = { table_name: 'docs', record_id: 'stray' };
    await local.upsert('client_1_docs', {
      points: [
        { id: strays[0]!, vector: [1, 1], payload: owner },
        { id: strays[1]!, vector: [1, 1], payload: { ...owner, client_id: '1' } },
      ],
    });
  });

  it('are named by a move, which leaves all as it is', async () => {
    await expect(admin().moveTenant(1, 'docs', 'shared')).rejects.toMatchObject(unsupported);
    expect(await local.count('client_1_docs', {})).toEqual({ count: records.length + 2 });
    await open().upsertVectorsBatch(1, 'docs', [late]);
  });

  it('are named by a commit, also by one that allows fewer', async () => {
    const build = await admin().rebuildCollection(1, 'docs');
    await build.upsertVectorsBatch(1, records);
    await expect(build.commit()).rejects.toMatchObject(unsupported);
    await expect(build.commit({ allowFewer: true })).rejects.toMatchObject(unsupported);
    expect(await local.count('client_1_docs', {})).toEqual({ count: records.length + 2 });
  });
});

describe('copyVectorStore', () => {
  const stray = '00000000-0000-4000-8000-00000000000a';
  it.each([
    ['collection', 'client_1_docs', {}],
    ['collection', 'client_1_docs', { client_id: 2 }],
    ['shared', 'shared_docs', {}],
    ['shared', 'shared_docs', { client_id: 1 }],
  ] as const)('of a table in the mode %s (%s) names points that belong to no tenant: %j', async (mode, name, owner) => {
    await open().createCollection(1, 'docs', { vectorSize: 2, mode });
    await open().upsertVectorsBatch(1, 'docs', records);
    const payload = { table_name: 'docs', record_id: 'stray', ...owner };
    await local.upsert(name, { points: [{ id: stray, vector: [1, 1], payload }] });
    await expect(copyVectorStore({ client: local }, { location: ':memory:' })).rejects.toMatchObject({
      code: 'unsupported_operation',
      message: expect.stringContaining(stray),
    });
  });
});
