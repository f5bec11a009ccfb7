import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { embeddingSpaceId } from '#src/core/embedding-space.js';
import { VectorIndex } from '#src/core/index/vector-index.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { dyingClient } from '../../helpers/dying-client.js';
import { fakeKind, integrationOf, spaceOf } from '../../helpers/fake-provider.js';
import { interceptedClient } from '../../helpers/intercepted-client.js';

const dimension = 16;
const issues = { tenantId: 1, tableName: 'issues' };
const reserved = ['client_id', 'table_name', 'record_id', 'pulse_content_hash'];

/** An index over a fake gateway whose vectors tell which text they are of. */
function setUp(client: QdrantClientLike, { hasReadStored = true } = {}) {
  const kind = fakeKind('wex_ai_gateway', { dimension });
  const repository = new MemoryIntegrationRepository({
    integrations: [1, 2].map((tenantId) =>
      integrationOf({ id: tenantId, tenantId, provider: 'wex_ai_gateway', costConfig: { cost_per_1k_tokens: 0.01 } }),
    ),
  });
  const made = {
    ...kind,
    create: async (context: Parameters<typeof kind.create>[0]) => {
      const provider = await kind.create(context);
      return Object.assign(provider, {
        generateEmbeddings: async (texts: readonly string[]) => {
          embedded.push(...texts);
          const usage = { inputCount: texts.length, inputTokens: texts.length };
          await context.usageRecorder.record({
            operation: 'embedding',
            model: 'wex_ai_gateway',
            ...usage,
            outputTokens: 0,
          });
          const embeddingSpace = await provider.embeddingSpace();
          return { embeddings: texts.map(vectorOf), embeddingSpace, model: 'wex_ai_gateway', usage };
        },
      });
    },
  };
  const embedded: string[] = [];
  const manager = new HybridProviderManager({ factory: new ProviderFactory({ repository, kinds: [made as never] }) });
  const store = new PulseQdrantClient({ client });
  const index = new VectorIndex({ manager, store: hasReadStored ? store : withoutReadStored(store) });
  return { index, store, embedded, repository };
}

function withoutReadStored(store: PulseQdrantClient): PulseQdrantClient {
  return new Proxy(store, {
    get: (target, key) => {
      if (key === 'readStored') return undefined;
      const value = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Another direction for each text. */
function vectorOf(text: string): Float32Array {
  const vector = Float32Array.from({ length: dimension }, (_, at) => Math.sin((at + 1) * (hash(text) % 1_000)));
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function hash(text: string): number {
  let value = 7;
  for (const char of text) value = (value * 31 + char.charCodeAt(0)) % 1_000_003;
  return value;
}

const engine = async () => (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
const record = (recordId: number | string, text = `text ${recordId}`, metadata: Record<string, string> = {}) => ({
  recordId,
  text,
  metadata: { text, ...metadata },
});
const counts = ({
  embeddedCount,
  updatedCount,
  skippedCount,
}: {
  embeddedCount: number;
  updatedCount: number;
  skippedCount: number;
}) => [embeddedCount, updatedCount, skippedCount];

describe.each(['collection', 'shared'] as const)('upsert of what is stored already, mode %s', (mode) => {
  const setUpTables = async () => {
    const made = setUp(await engine());
    const embeddingSpace = embeddingSpaceId(spaceOf('wex_ai_gateway', dimension));
    for (const tenantId of [1, 2]) {
      await made.store.createCollection(tenantId, 'issues', { vectorSize: dimension, embeddingSpace, mode });
    }
    return made;
  };

  it('embeds what is new or has another text, and nothing else', async () => {
    const { index, embedded, store } = await setUpTables();
    const first = await index.upsert([record(1), record(2), record('1')], issues);
    expect(counts(first)).toEqual([3, 0, 0]);
    embedded.length = 0;
    const second = await index.upsert([record(1), record(2, 'other'), record(3), record('1')], issues);
    expect(counts(second)).toEqual([2, 0, 2]);
    expect(embedded).toEqual(['other', 'text 3']);
    expect(second.ids).toEqual([first.ids[0], first.ids[1], expect.any(String), first.ids[2]]);
    expect(second.cost).toBe('0.00002');
    const third = await index.upsert([record(1), record(2, 'other'), record(3), record('1')], issues);
    expect([counts(third), third.cost, third.inputTokens, third.ids]).toEqual([[0, 0, 4], '0', 0, second.ids]);
    expect(await store.describeCollection(1, 'issues')).toMatchObject({ pointCount: 4 });
  });

  it('enters what it skipped in the usage rows, with what that would have cost', async () => {
    const { index, repository } = await setUpTables();
    await index.upsert([record(1), record(2)], issues);
    await index.upsert([record(1), record(2), record(3)], issues);
    await expect
      .poll(() => repository.usage.filter(({ requestMetadata }) => requestMetadata.reuse === 'unchanged'))
      .toMatchObject([
        {
          inputCount: 2,
          cost: '0.0000',
          requestMetadata: { saved_tokens: 3, saved_cost_usd: '0.00003', purpose: 'bulk' },
        },
      ]);
  });

  it('stores other metadata with the vector that is there', async () => {
    const { index, embedded, store } = await setUpTables();
    await index.upsert([record(1, 'a', { state: 'open' }), record(2)], issues);
    embedded.length = 0;
    const result = await index.upsert([record(1, 'a', { state: 'closed' }), record(2)], issues);
    expect([counts(result), embedded, result.cost]).toEqual([[0, 1, 1], [], '0']);
    const [stored] = await store.getRecords(1, 'issues', [1], { withVectors: true });
    expect(stored?.metadata).toEqual({ text: 'a', state: 'closed' });
    expect(distance(stored!.vector!, vectorOf('a'))).toBeLessThan(1e-6);
    expect(counts(await index.upsert([record(1, 'a', { state: 'closed' })], issues))).toEqual([0, 0, 1]);
  });

  it('embeds again what another version of the content rules made', async () => {
    const { index } = await setUpTables();
    await index.upsert([record(1)], { ...issues, contentVersion: '1' });
    expect(counts(await index.upsert([record(1)], { ...issues, contentVersion: '2' }))).toEqual([1, 0, 0]);
    expect(counts(await index.upsert([record(1)], { ...issues, contentVersion: '2' }))).toEqual([0, 0, 1]);
  });

  it("does not take another tenant's record for its own", async () => {
    const { index, embedded } = await setUpTables();
    await index.upsert([record(1)], issues);
    embedded.length = 0;
    expect(counts(await index.upsert([record(1)], { ...issues, tenantId: 2 }))).toEqual([1, 0, 0]);
    expect(embedded).toEqual(['text 1']);
  });
});

describe('upsert of what is stored already', () => {
  it('costs one request for up to 400 unchanged records', async () => {
    const requests: string[] = [];
    const client = await interceptedClient((method, _values, goOn) => {
      if (['scroll', 'upsert', 'query'].includes(method)) requests.push(method);
      return goOn();
    });
    const { index } = setUp(client);
    const all = Array.from({ length: 800 }, (_, at) => record(at));
    await index.upsert(all, issues);
    requests.length = 0;
    expect(counts(await index.upsert(all, issues))).toEqual([0, 0, 800]);
    expect(requests).toEqual(['scroll', 'scroll']);
  });

  it('embeds what was stored without a hash, and everything on a store that cannot read hashes', async () => {
    const client = await engine();
    const { index, store, embedded } = setUp(client);
    await index.upsert([record(1)], issues);
    const { embeddingSpace } = (await store.describeCollection(1, 'issues'))!;
    await store.upsertVectorsBatch(1, 'issues', [{ recordId: 1, vector: vectorOf('x') }], {
      embeddingSpace: embeddingSpace!,
    });
    expect(counts(await index.upsert([record(1)], issues))).toEqual([1, 0, 0]);
    const other = setUp(client, { hasReadStored: false });
    expect(counts(await other.index.upsert([record(1)], issues))).toEqual([1, 0, 0]);
    expect(embedded).toEqual(['text 1', 'text 1']);
  });

  it('keeps the hash out of hits, and refuses it in metadata', async () => {
    const { index, store } = setUp(await engine());
    await index.upsert([record(1)], issues);
    const [hit] = await index.search('text 1', issues);
    const [stored] = await store.getRecords(1, 'issues', [1]);
    for (const { metadata } of [hit!, stored!]) expect(metadata).toEqual({ text: 'text 1' });
    for (const key of reserved) {
      const bad = { recordId: 1, text: 'x', metadata: { [key]: 'x' } };
      await expect(index.upsert([bad], issues)).rejects.toMatchObject({ code: 'invalid_input', position: 0 });
    }
  });

  it('never pairs a hash with the vector of another text, however two writers interleave', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.array(fc.tuple(fc.nat(2), fc.nat(2), fc.nat(1)), { minLength: 1, maxLength: 3 }), {
          minLength: 2,
          maxLength: 3,
        }),
        async (scheduler, writers) => {
          let isScheduled = false;
          const client = await interceptedClient((_method, _values, goOn) =>
            isScheduled ? scheduler.schedule(Promise.resolve()).then(goOn) : goOn(),
          );
          const { index, store } = setUp(client);
          await index.upsert([record(99)], issues);
          isScheduled = true;
          const runs = writers.map(async (steps) => {
            for (const [id, text, state] of steps) {
              await index.upsert([record(id, `text ${text}`, { state: `${state}` })], issues);
            }
          });
          await scheduler.waitFor(Promise.all(runs));
          isScheduled = false;
          await requireTrueVectors(store);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('leaves no hash without its vector wherever it dies, and is complete after the next run', {
    timeout: 60_000,
  }, async () => {
    const before = [1, 2, 3, 4].map((id) => record(id));
    const after = [record(1), record(2, 'other'), record(3, 'text 3', { state: 'closed' }), record(5)];
    for (let dieAt = 1; dieAt <= 4; dieAt++) {
      for (const isBefore of [true, false]) {
        const local = await engine();
        await setUp(local).index.upsert(before, issues);
        const dying = setUp(dyingClient(local, dieAt, isBefore).client);
        await dying.index.upsert(after, issues).catch(() => undefined);
        const { index, store } = setUp(local);
        await requireTrueVectors(store);
        const last = await index.upsert(after, issues);
        expect(counts(last).reduce((sum, count) => sum + count)).toBe(4);
        expect(counts(await index.upsert(after, issues))).toEqual([0, 0, 4]);
        await requireTrueVectors(store);
      }
    }
  });
});

/** Each stored vector is that of the record's text, which these tests keep in the metadata. */
async function requireTrueVectors(store: PulseQdrantClient): Promise<void> {
  for await (const { vector, metadata } of store.listRecords(1, 'issues', { withVectors: true })) {
    expect(distance(vector!, vectorOf(String(metadata.text)))).toBeLessThan(1e-5);
  }
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, at) => Math.abs(value - b[at]!)));
}
