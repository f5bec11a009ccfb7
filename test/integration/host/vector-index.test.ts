import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { VectorIndex } from '#src/core/index/vector-index.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { PartialEmbeddingError, ProviderError } from '#src/errors.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { fakeKind, integrationOf } from '../../helpers/fake-provider.js';

function setUp(store: PulseQdrantClient) {
  const gateway = fakeKind('wex_ai_gateway', { dimension: 8, declaresDimension: false });
  const local = fakeKind('sentence_transformers', { isLocal: true, dimension: 8 });
  const repository = new MemoryIntegrationRepository({
    integrations: [
      integrationOf({
        id: 1,
        provider: 'wex_ai_gateway',
        aiModel: 'paid',
        costConfig: { cost_per_1k_tokens: 0.00002 },
      }),
      integrationOf({ id: 2, provider: 'sentence_transformers', aiModel: 'free' }),
      integrationOf({ id: 3, provider: 'sentence_transformers', aiModel: 'free', tenantId: 2 }),
    ],
  });
  const factory = new ProviderFactory({ repository, kinds: [gateway, local] });
  const manager = new HybridProviderManager({ factory });
  return { gateway, local, repository, manager, index: new VectorIndex({ manager, store }) };
}

const records = (count: number, start = 1) =>
  Array.from({ length: count }, (_, at) => ({ recordId: start + at, text: 'x'.repeat(start + at), metadata: { at } }));
const issues = { tenantId: 1, tableName: 'issues' };

describe('VectorIndex', () => {
  let store: PulseQdrantClient;
  beforeEach(() => {
    store = new PulseQdrantClient({ location: ':memory:' });
  });
  afterEach(() => store.close());

  it('pins the space of the first vectors, and embeds later records and queries in it whatever auto would choose', async () => {
    const { index, gateway, local } = setUp(store);
    const { ids, cost, inputTokens } = await index.upsert(records(20), issues);
    expect([new Set(ids).size, cost, inputTokens]).toEqual([20, '0.0000028', 140]);
    await index.upsert(records(3, 21), issues);
    const hits = await index.search('xxx', { ...issues, limit: 30 });
    expect(hits).toHaveLength(23);
    expect(hits[0]).toMatchObject({ tableName: 'issues', metadata: { at: expect.any(Number) } });
    expect(gateway.provider(1).embeddingCalls.map(({ texts, options }) => [texts.length, options.inputType])).toEqual([
      [20, 'document'],
      [3, 'document'],
      [1, 'query'],
    ]);
    expect(local.made.flatMap((provider) => provider.embeddingCalls)).toEqual([]);
    expect(await store.describeCollection(1, 'issues')).toMatchObject({
      embeddingSpace: expect.stringMatching(/^paid\|.*dim=8/),
      pointCount: 23,
    });
  });

  it('refuses vectors of another model, also of the same dimension', async () => {
    const { index, repository, gateway } = setUp(store);
    await index.upsert(records(20), issues);
    const row = { id: 1, provider: 'wex_ai_gateway', aiModel: 'paid-v2' };
    repository.saveIntegration(integrationOf(row));
    await expect(index.upsert(records(20, 21), issues)).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
      message: expect.stringContaining('paid-v2'),
    });
    await expect(index.search('x', issues)).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
    const asked = gateway.made.flatMap((provider) => provider.embeddingCalls);
    expect(asked).toHaveLength(1);
  });

  it('takes an explicit preference for the first vectors only', async () => {
    const { index } = setUp(store);
    await index.upsert(records(20), { ...issues, preferredProvider: 'sentence_transformers' });
    expect(await store.describeCollection(1, 'issues')).toMatchObject({
      embeddingSpace: expect.stringMatching(/^free/),
    });
    await expect(index.search('x', { ...issues, preferredProvider: 'wex_ai_gateway' })).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
    });
  });

  it('replaces a record that is stored already', async () => {
    const { index } = setUp(store);
    const first = await index.upsert(records(5), issues);
    const second = await index.upsert(records(5), issues);
    expect(second.ids).toEqual(first.ids);
    expect(await store.describeCollection(1, 'issues')).toMatchObject({ pointCount: 5 });
  });

  it('keeps tenants apart', async () => {
    const { index } = setUp(store);
    await index.upsert(records(5), issues);
    await index.upsert(records(2, 100), { ...issues, tenantId: 2 });
    const hits = await index.search('x', { ...issues, tenantId: 2, limit: 100 });
    expect(hits.map((hit) => hit.recordId).toSorted()).toEqual([100, 101]);
  });

  it('takes an async iterable of any length and reports progress', async () => {
    const { index } = setUp(store);
    async function* generate() {
      yield* records(600);
    }
    const progress: number[] = [];
    const { ids } = await index.upsert(generate(), {
      ...issues,
      onProgress: ({ storedCount }) => progress.push(storedCount),
    });
    expect(ids).toHaveLength(600);
    expect(progress).toEqual([400, 600]);
  });

  it('stores what was paid for when some records fail, and says which did not land', async () => {
    const { index, gateway, manager } = setUp(store);
    await manager.initializeProviders(1);
    const provider = gateway.provider(1);
    provider.onEmbed = async (texts) => {
      const poisoned = texts.indexOf('x'.repeat(500));
      if (poisoned < 0) return;
      const { embeddings, ...rest } = await provider.resultFor(texts);
      const kept = embeddings.map((vector, at) => (at === poisoned ? undefined : vector));
      const error = new ProviderError('Refused by the content filter.', { code: 'input_refused', provider: 'p' });
      throw new PartialEmbeddingError('1 text failed.', {
        provider: 'p',
        failures: [{ position: poisoned, error }],
        partialResult: { ...rest, embeddings: kept },
      });
    };
    await expect(index.upsert(records(600), issues)).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: [{ position: 499, error: { code: 'input_refused' } }],
      message: expect.stringContaining('1 records got no vector and were not stored; 599 were.'),
    });
    expect(await store.describeCollection(1, 'issues')).toMatchObject({ pointCount: 599 });
  });

  it('names the position of an unusable record before anything is embedded', async () => {
    const { index, repository } = setUp(store);
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    const good = { recordId: 'last', text: 'x' };
    for (const bad of [
      { text: '' },
      { sparseVector: { indices: [1], values: [1] } },
      { recordId: 1.5 },
      { recordId: 7 },
      { metadata: { client_id: 2 } },
    ]) {
      const list = [...records(450), { ...good, ...bad }];
      await expect(index.upsert(list, issues)).rejects.toMatchObject({ code: 'invalid_input', position: 450 });
    }
    await expect(index.upsert(records(1), { ...issues, tenantId: 0 })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(index.upsert(records(1), { ...issues, tableName: 'No' })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await expect(index.search('', issues)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('no records: an empty result and no call; no collection: an error that says so', async () => {
    const { index, repository } = setUp(store);
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    expect(await index.upsert([], issues)).toEqual({
      ids: [],
      embeddedCount: 0,
      updatedCount: 0,
      skippedCount: 0,
      inputTokens: 0,
      cost: '0',
    });
    await expect(index.search('x', issues)).rejects.toMatchObject({ code: 'collection_not_found', status: 404 });
  });

  it('refuses a collection that does not say which space its vectors are of', async () => {
    const { index } = setUp(store);
    await store.createCollection(1, 'issues', { vectorSize: 8 });
    await store.upsertVectorsBatch(1, 'issues', [{ recordId: 1, vector: [1, 0, 0, 0, 0, 0, 0, 0] }]);
    await expect(index.upsert(records(5), issues)).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
    await expect(index.search('x', issues)).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
  });

  it('deletes records', async () => {
    const { index } = setUp(store);
    await index.upsert(records(5), issues);
    await index.deleteRecords([1, 2, 99], issues);
    expect(await store.describeCollection(1, 'issues')).toMatchObject({ pointCount: 3 });
  });

  it('finds the closest records with its default options, however low their score is', async () => {
    const { index, gateway } = setUp(store);
    await index.upsert(records(20), issues);
    const provider = gateway.provider(1);
    const { resultFor } = provider;
    provider.resultFor = async (texts, model) => {
      const result = await resultFor.call(provider, texts, model);
      return { ...result, embeddings: result.embeddings.map((vector) => vector.map((value) => -value)) };
    };
    const hits = await index.search('x', issues);
    expect(hits).toHaveLength(10);
    expect(hits[0]!.score).toBeLessThan(0);
  });

  it('logs that a threshold left nothing', async () => {
    const { manager } = setUp(store);
    const logged: unknown[] = [];
    const log = (fields: object, message: string) => void logged.push({ ...fields, message });
    const index = new VectorIndex({ manager, store, logger: { debug: log, info: log, warn: log, error: log } });
    await index.upsert(records(20), issues);
    logged.length = 0;
    expect(await index.search('x', { ...issues, filter: { must: [{ key: 'at', match: { value: 999 } }] } })).toEqual(
      [],
    );
    expect(logged).toEqual([]);
    const filter = { must: [{ key: 'at', match: { value: 999 } }] };
    expect(await index.search('x', { ...issues, scoreThreshold: 0.9, filter })).toEqual([]);
    expect(logged).toEqual([
      expect.objectContaining({
        tableName: 'issues',
        scoreThreshold: 0.9,
        message: expect.stringContaining('scoreThreshold'),
      }),
    ]);
  });

  it('says what is missing when it is wired or called wrongly', async () => {
    const { manager, index } = setUp(store);
    const wrong = (call: () => unknown) => expect(Promise.resolve().then(call)).rejects;
    const any = (value: unknown) => value as never;
    const invalid = (message: string) => ({ code: 'invalid_input', message: expect.stringContaining(message) });
    await wrong(() => new VectorIndex(any(undefined))).toMatchObject(invalid('options'));
    await wrong(() => new VectorIndex(any({ store }))).toMatchObject(invalid('`manager`'));
    await wrong(() => new VectorIndex(any({ manager }))).toMatchObject(invalid('`store`'));
    await wrong(() => new VectorIndex(any({ manager, store, loger: 1 }))).toMatchObject(invalid('mean `logger`'));
    await wrong(() => index.upsert(records(1), any(undefined))).toMatchObject(invalid('tenantId'));
    await wrong(() => index.upsert(any({ recordId: 1, text: 'x' }), issues)).toMatchObject(invalid('`records`'));
    await wrong(() => index.upsert(any('text'), issues)).toMatchObject(invalid('`records`'));
    await wrong(() => index.upsert([any({ recordId: 1 })], issues)).toMatchObject(invalid('`records[0].text`'));
    await wrong(() => index.upsert([any(undefined)], issues)).toMatchObject(invalid('`records[0]`'));
    await wrong(() => index.search('x', any(undefined))).toMatchObject(invalid('tenantId'));
    await wrong(() => index.deleteRecords([5], any(undefined))).toMatchObject(invalid('tenantId'));
  });
});
