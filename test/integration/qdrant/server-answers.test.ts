import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { interceptedClient, refusal } from '../../helpers/intercepted-client.js';
import { StubQdrantServer } from '../../helpers/stub-qdrant-server.js';

const sparseVector = { indices: [1, 2], values: [1, 1] };
const corpus = { must: [{ key: 'client_id', match: { value: '7' } }] };

describe('answers', () => {
  let server: StubQdrantServer;
  beforeEach(async () => {
    server = await StubQdrantServer.start();
  });
  afterEach(() => server.stop());

  it.each([
    [{}, ['identity']],
    [{ compression: true }, ['gzip']],
  ])('are asked for uncompressed, unless %j asks for compression', async (options, encodings) => {
    const store = new PulseQdrantClient({ url: server.url, ...options });
    await store.createCollection(7, 'docs', { vectorSize: 2 });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0] }]);
    await store.searchSimilar(7, 'docs', [1, 0]);
    await store.health();
    const asked = new Set(server.requests.map(({ headers }) => String(headers['accept-encoding']).split(',')[0]));
    expect([...asked]).toEqual(encodings);
  });
});

describe('searchHybrid', () => {
  /** A server of some version; notes the queries. */
  async function serverOf(version: string): Promise<{ store: PulseQdrantClient; queries: unknown[]; asked: string[] }> {
    const queries: unknown[] = [];
    const asked: string[] = [];
    const client = await interceptedClient((method, values, goOn) => {
      asked.push(method);
      if (method === 'versionInfo') return { version };
      if (method === 'query') queries.push(values[1].prefetch[1].params);
      return goOn();
    });
    return { store: new PulseQdrantClient({ client }), queries, asked };
  }

  async function search(store: PulseQdrantClient): Promise<unknown> {
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0], sparseVector }]);
    return store.searchHybrid(7, 'docs', [1, 0], sparseVector);
  }

  it.each(['1.19.0', '1.19.1', '1.20.0-dev', '2.0.0'])(
    'counts the rarity of terms within the tenant of a shared collection, on Qdrant %s',
    async (version) => {
      const { store, queries, asked } = await serverOf(version);
      await store.createCollection(7, 'docs', { vectorSize: 2, mode: 'shared', hasSparseVectors: true });
      await search(store);
      await search(store);
      expect(queries).toEqual([{ idf: { corpus } }, { idf: { corpus } }]);
      expect(asked.filter((method) => method === 'versionInfo')).toHaveLength(1);
    },
  );

  it.each(['1.16.3', '1.18.9', '0.11.0', 'unknown'])(
    'is refused in a shared collection of Qdrant %s, which counts over all tenants',
    async (version) => {
      const { store, queries } = await serverOf(version);
      await store.createCollection(7, 'docs', { vectorSize: 2, mode: 'shared', hasSparseVectors: true });
      await expect(search(store)).rejects.toMatchObject({
        code: 'unsupported_operation',
        message: expect.stringMatching(/1\.19 or later.*termWeights: 'none'/),
      });
      expect(queries).toEqual([]);
    },
  );

  it.each([
    ['terms that are not weighed', { mode: 'shared', termWeights: 'none' }],
    ['a collection of the tenant’s own', { mode: 'collection' }],
  ] as const)('works on an older server with %s', async (_, options) => {
    const { store, queries, asked } = await serverOf('1.18.0');
    await store.createCollection(7, 'docs', { vectorSize: 2, hasSparseVectors: true, ...options });
    expect(await search(store)).toHaveLength(1);
    expect(queries).toEqual([undefined]);
    expect(asked).not.toContain('versionInfo');
  });

  it('is taken again when the server has been updated', async () => {
    let version = '1.18.0';
    const client = await interceptedClient((method, _, goOn) => (method === 'versionInfo' ? { version } : goOn()));
    const store = new PulseQdrantClient({ client });
    await store.createCollection(7, 'docs', { vectorSize: 2, mode: 'shared', hasSparseVectors: true });
    await expect(search(store)).rejects.toMatchObject({ code: 'unsupported_operation' });
    version = '1.19.0';
    expect(await search(store)).toHaveLength(1);
  });
});

describe('many calls at once', () => {
  it('print no warning of a leak, on the store and on one signal of the host', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): unknown => warnings.push(warning.message);
    process.on('warning', listen);
    const store = new PulseQdrantClient({ location: ':memory:' });
    await store.createCollection(7, 'docs', { vectorSize: 2 });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0] }]);
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 50 }, () => store.searchSimilar(7, 'docs', [1, 1], { signal })));
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => store.upsertVectorsBatch(7, 'docs', [{ recordId: i, vector: [1, i] }])),
    );
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });
});

describe('the signal of a call', () => {
  it.each([
    ['query', (store: PulseQdrantClient, signal: AbortSignal) => store.searchSimilar(7, 'docs', [1, 0], { signal })],
    ['scroll', (store: PulseQdrantClient, signal: AbortSignal) => store.getRecords(7, 'docs', [1], { signal })],
    ['count', (store: PulseQdrantClient, signal: AbortSignal) => store.countRecords(7, 'docs', { signal })],
    ['facet', (store: PulseQdrantClient, signal: AbortSignal) => store.countValues(7, 'docs', 'a', { signal })],
    ['delete', (store: PulseQdrantClient, signal: AbortSignal) => store.deleteRecords(7, 'docs', [1], { signal })],
  ])('reaches the %s that it waits for, and ends it', async (method, call) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    let ended: unknown;
    let signal: AbortSignal | undefined;
    const engine = await interceptedClient((asked, _, goOn) => {
      if (asked !== method) return goOn();
      return new Promise(() => {
        signal!.addEventListener('abort', () => {
          ended = signal!.reason;
        });
        setImmediate(() => controller.abort(reason));
      });
    });
    // As the engine in this process, which ends its scans with the signal.
    const forCaller: QdrantClientLike['forCaller'] = (caller) => {
      expect(caller.fairnessKey).toBe(7);
      signal = caller.signal;
      return engine;
    };
    const client = new Proxy(engine, {
      get: (target, key) => (key === 'forCaller' ? forCaller : Reflect.get(target, key, target)),
    });
    const store = new PulseQdrantClient({ client });
    await store.createCollection(7, 'docs', { vectorSize: 2, payloadIndexes: { a: 'integer' } });
    await expect(call(store, controller.signal)).rejects.toBe(reason);
    expect(ended).toBe(reason);
  });
});

describe('a server in strict mode', () => {
  /**
   * Refuses filters on fields without an index, as Qdrant Cloud does; see lib/collection/src/operations/verification.
   */
  async function strictClient(): Promise<QdrantClientLike> {
    const client: QdrantClientLike = await interceptedClient(async (_, [name, request], goOn) => {
      const keys = keysOf([request?.filter, request?.prefetch, request?.searches]);
      if (keys.length > 0) {
        const { payload_schema } = await client.getCollection(name);
        const missing = keys.find((key) => !Object.hasOwn(payload_schema, key));
        if (missing !== undefined) {
          const error = `Bad request: Index required but not found for "${missing}" of one of the following types: [keyword].`;
          throw Object.assign(refusal(400), { data: { status: { error } } });
        }
      }
      return goOn();
    });
    return client;
  }

  function keysOf(value: unknown): string[] {
    if (typeof value !== 'object' || value === null) return [];
    const { key } = value as { key?: unknown };
    return [...(typeof key === 'string' ? [key] : []), ...Object.values(value).flatMap(keysOf)];
  }

  const payload = (record_id: unknown) => ({ client_id: 7, table_name: 'docs', record_id });

  it.each([
    ['numbers', [1, 2], 'integer'],
    ['texts', ['a', 'b'], 'keyword'],
  ])('serves a collection of the platform with record ids that are %s', async (_, ids, type) => {
    const client = await strictClient();
    await client.createCollection('client_7_docs', { vectors: { size: 2, distance: 'Cosine' } });
    const points = ids.map((id, i) => ({ id: i + 1, vector: [1, i], payload: payload(id) }));
    await client.upsert('client_7_docs', { points });
    const store = new PulseQdrantClient({ client });
    await store.createCollection(7, 'docs', { vectorSize: 2 });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: ids[0]!, vector: [1, 1] }]);
    expect(await client.count('client_7_docs', {})).toEqual({ count: 2 });
    expect(await store.getRecords(7, 'docs', ids)).toHaveLength(2);
    await store.deleteRecords(7, 'docs', [ids[1]!]);
    expect(await store.recommend(7, 'docs', [ids[0]!])).toEqual([]);
    expect(await client.count('client_7_docs', {})).toEqual({ count: 1 });
    const { payload_schema } = await client.getCollection('client_7_docs');
    expect(payload_schema.record_id).toMatchObject({ data_type: type });
  });

  it.each(['collection', 'shared'] as const)('serves every call of the mode %s', async (mode) => {
    const store = new PulseQdrantClient({ client: await strictClient() });
    await store.createCollection(7, 'docs', {
      vectorSize: 2,
      mode,
      hasSparseVectors: true,
      payloadIndexes: { a: 'integer' },
    });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0], sparseVector, metadata: { a: 1 } }]);
    const filter = { must: [{ key: 'a', match: { value: 1 } }] };
    expect(await store.searchSimilar(7, 'docs', [1, 0], { filter })).toHaveLength(1);
    expect(await store.searchHybrid(7, 'docs', [1, 0], sparseVector, { filter })).toHaveLength(1);
    expect(await store.searchBatch(7, 'docs', [{ vector: [1, 0], filter }])).toMatchObject([[{ recordId: 1 }]]);
    expect(await store.searchGroups(7, 'docs', [1, 0], { groupBy: 'a' })).toHaveLength(1);
    expect(await store.countRecords(7, 'docs', { filter })).toBe(1);
    expect(await store.countValues(7, 'docs', 'a')).toEqual([{ value: 1, count: 1 }]);
    expect(await store.getRecords(7, 'docs', [1])).toHaveLength(1);
    expect(await store.listCollections(7)).toHaveLength(1);
    await store.deleteByFilter(7, 'docs', filter);
    await store.deleteRecords(7, 'docs', [1]);
    const other = { must: [{ key: 'b', match: { value: 'my secret' } }] };
    const failure = await store.countRecords(7, 'docs', { filter: other }).catch((error) => error);
    expect(failure).toMatchObject({ code: 'vector_store_failed', message: expect.stringContaining('the field b') });
    expect(failure.message).not.toContain('secret');
  });
});
