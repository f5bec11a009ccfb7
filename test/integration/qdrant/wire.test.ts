import { QdrantClient as Client118 } from '@qdrant/js-client-rest';
import { QdrantClient as Client119 } from 'qdrant-client-1-19';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAiProviderError, PartialUpsertError, type VectorStoreError } from '#src/errors.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { StubQdrantServer, sendJson } from '../../helpers/stub-qdrant-server.js';

// The compiler proves here that both lines of the real client satisfy our structural type.
const lines: Record<string, (port: number, timeout?: number) => QdrantClientLike> = {
  '1.18': (port, timeout = 5000) => new Client118({ host: '127.0.0.1', port, timeout, checkCompatibility: false }),
  '1.19': (port, timeout = 5000) => new Client119({ host: '127.0.0.1', port, timeout, checkCompatibility: false }),
};

let server: StubQdrantServer;
beforeEach(async () => {
  server = await StubQdrantServer.start();
});
afterEach(() => server.stop());

async function failureOf(promise: Promise<unknown>): Promise<VectorStoreError> {
  const error = await promise.then(
    () => expect.fail('expected a rejection'),
    (reason: unknown) => reason,
  );
  expect(isAiProviderError(error), String(error)).toBe(true);
  return error as VectorStoreError;
}

describe.each(Object.keys(lines))('the real client %s on the wire', (line) => {
  const open = (timeoutMs = 5000): PulseQdrantClient =>
    new PulseQdrantClient({ client: lines[line]!(server.port, timeoutMs), timeoutMs });

  it('creates a collection as the platform has it, with its owner and space from the first moment', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3, embeddingSpace: 'model|dim=3' });
    const [created] = server.requestsTo(/^PUT \/collections\/client_7_docs$/);
    expect(created!.body).toEqual({
      vectors: { size: 3, distance: 'Cosine' },
      hnsw_config: { m: 16, ef_construct: 100, full_scan_threshold: 10_000 },
      metadata: {
        pulse_ai_providers: {
          format_version: 1,
          mode: 'collection',
          client_id: 7,
          table_name: 'docs',
          embedding_space: 'model|dim=3',
        },
      },
    });
    const [index] = server.requestsTo(/index$/);
    expect(index!.body).toEqual({ field_name: 'client_id', field_schema: 'integer' });
    expect(index!.query.get('wait')).toBe('true');
  });

  it('sends vectors as arrays, the payload flat, and waits', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    const ids = await store.upsertVectorsBatch(7, 'docs', [
      { recordId: 42, vector: Float32Array.of(1, 0, 0.5), metadata: { title: 'a' } },
    ]);
    const [upsert] = server.requestsTo(/PUT .*points$/);
    expect(upsert!.query.get('wait')).toBe('true');
    expect(upsert!.body).toEqual({
      points: [
        {
          id: ids[0],
          vector: [1, 0, 0.5],
          payload: { title: 'a', client_id: 7, table_name: 'docs', record_id: 42 },
        },
      ],
    });
  });

  it('searches with the tenant in an outer must and asks for the payload', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 'a', vector: [1, 0, 0], metadata: { lang: 'de' } }]);
    const filter = { must: { key: 'lang', match: { value: 'de' } } };
    server.intercept = ({ path }, response) => {
      if (!path.endsWith('/query')) return false;
      const payload = { client_id: 7, table_name: 'docs', record_id: 'a', lang: 'de' };
      sendJson(response, 200, { result: { points: [{ id: 'x', version: 0, score: 1, payload }] } });
      return true;
    };
    const hits = await store.searchSimilar(7, 'docs', Float32Array.of(1, 0, 0), { filter });
    expect(hits).toEqual([{ id: 'x', score: 1, recordId: 'a', tableName: 'docs', metadata: { lang: 'de' } }]);
    expect(server.requestsTo(/query$/)[0]!.body).toEqual({
      query: [1, 0, 0],
      filter: { must: [{ key: 'client_id', match: { value: 7 } }, filter] },
      // A field without an index: exact, since a server would lose hits.
      params: { hnsw_ef: 512, exact: true },
      limit: 10,
      // The float32 below 0.7, since a server keeps what is above.
      score_threshold: 0.6999999284744263,
      with_payload: true,
      with_vector: false,
    });
  });

  it('deletes by id within the tenant, and waits', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    const ids = await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
    await store.deleteRecords(7, 'docs', [1, 2]);
    const [request] = server.requestsTo(/delete$/);
    expect(request!.query.get('wait')).toBe('true');
    expect(request!.body.filter.must[0]).toEqual({ key: 'client_id', match: { value: 7 } });
    expect(request!.body.filter.must[1].has_id).toContain(ids[0]);
    expect(await store.describeCollection(7, 'docs')).toMatchObject({ pointCount: 0 });
  });

  it('waits for a busy server until it takes the request', async () => {
    const store = open(30_000);
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    let refusals = 0;
    server.intercept = ({ path }, response) => {
      if (!path.endsWith('/points') || refusals === 4) return false;
      refusals++;
      sendJson(response, 429, { status: { error: 'busy' } }, refusals === 1 ? { 'retry-after': '1' } : {});
      return true;
    };
    const started = performance.now();
    expect(await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }])).toHaveLength(1);
    expect(refusals).toBe(4);
    expect(performance.now() - started).toBeGreaterThanOrEqual(1000);
  });

  it('sends again what a broken connection swallowed', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    let broken = 0;
    server.intercept = ({ path }, _response, socket) => {
      if (!path.endsWith('/points') || broken === 2) return false;
      broken++;
      socket.destroy();
      return true;
    };
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
    expect(await store.describeCollection(7, 'docs')).toMatchObject({ pointCount: 1 });
    expect(broken).toBe(2);
  });

  it('ends at its deadline if the server does not answer', async () => {
    const store = open(300);
    server.intercept = () => true;
    const error = await failureOf(store.createCollection(7, 'docs'));
    expect(error).toMatchObject({ code: 'deadline_exceeded', isRetryable: true });
    expect(error.message).toContain('300 ms');
  });

  it.each([
    [400, 'vector_store_failed', false],
    [401, 'authentication_failed', false],
    [403, 'authentication_failed', false],
    [404, 'collection_not_found', false],
  ] as const)(
    'maps HTTP %i to %s and keeps what the server quotes out of the message',
    async (status, code, isRetryable) => {
      const store = open();
      await store.createCollection(7, 'docs', { vectorSize: 3 });
      server.intercept = ({ path }, response) => {
        if (!path.endsWith('/query')) return false;
        sendJson(response, status, {
          status: { error: 'Format error: invalid type: string "my secret", expected u64' },
        });
        return true;
      };
      const error = await failureOf(store.searchSimilar(7, 'docs', [1, 0, 0]));
      expect(error).toMatchObject({ code, status, isRetryable, collection: 'client_7_docs' });
      expect(error.message).toContain('invalid type');
      expect(error.message).not.toContain('secret');
    },
  );

  it('does not take "accepted" for "done"', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    server.intercept = ({ method, path }, response) => {
      if (method !== 'PUT' || !path.endsWith('/points')) return false;
      sendJson(response, 200, { result: { operation_id: 1, status: 'wait_timeout' }, status: 'ok' });
      return true;
    };
    const error = await failureOf(store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]));
    expect(error).toBeInstanceOf(PartialUpsertError);
    expect(error).toMatchObject({ isRetryable: true, upsertedCount: 0, failures: [{ position: 0, recordId: 1 }] });
  });

  it('names the records that did not land, and only those', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    server.intercept = ({ method, path, body }, response) => {
      if (method !== 'PUT' || !path.endsWith('/points')) return false;
      if (body.points[0].payload.record_id !== 257) return false;
      sendJson(response, 400, { status: { error: 'no' } });
      return true;
    };
    const records = Array.from({ length: 600 }, (_, i) => ({ recordId: i + 1, vector: [1, i, 0] }));
    const error = (await failureOf(store.upsertVectorsBatch(7, 'docs', records))) as PartialUpsertError;
    expect(error.failures.map(({ recordId }) => recordId)).toEqual(Array.from({ length: 256 }, (_, i) => i + 257));
    expect(error.upsertedCount).toBe(344);
    expect(await store.describeCollection(7, 'docs')).toMatchObject({ pointCount: 344 });
  });

  it('stops sending once the server is gone, and says what did not land', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    server.intercept = ({ method, path }, response) => {
      if (method !== 'PUT' || !path.endsWith('/points')) return false;
      sendJson(response, 401, { status: { error: 'no' } });
      return true;
    };
    const records = Array.from({ length: 256 * 40 }, (_, i) => ({ recordId: i, vector: [1, i, 0] }));
    const error = (await failureOf(store.upsertVectorsBatch(7, 'docs', records))) as PartialUpsertError;
    expect(error.failures).toHaveLength(records.length);
    expect(server.requestsTo(/PUT .*points$/).length).toBeLessThanOrEqual(8);
  });

  it('keeps requests at most 256 points and 8 MB', async () => {
    const store = open(20_000);
    await store.createCollection(7, 'docs', { vectorSize: 1536 });
    const records = Array.from({ length: 300 }, (_, i) => ({
      recordId: i,
      vector: Float32Array.from({ length: 1536 }, (_, j) => Math.sin(i + j) / 40),
      metadata: { text: 'ü'.repeat(20_000) },
    }));
    await store.upsertVectorsBatch(7, 'docs', records);
    const upserts = server.requestsTo(/PUT .*points$/);
    expect(upserts.length).toBeGreaterThan(1);
    for (const { byteCount, body } of upserts) {
      expect(byteCount).toBeLessThan(8_000_000);
      expect(body.points.length).toBeLessThanOrEqual(256);
    }
  });

  it('splits many searches into requests of at most 8 MB, and keeps their order', async () => {
    const store = open(20_000);
    await store.createCollection(7, 'docs', { vectorSize: 1536 });
    server.intercept = ({ path, body }, response) => {
      if (!path.endsWith('/query/batch')) return false;
      const payload = { client_id: 7, table_name: 'docs', record_id: 'a' };
      // The first number of each query comes back as its hit's score.
      const result = body.searches.map(({ query: [first] }: { query: number[] }) => ({
        points: [{ id: 'x', version: 0, score: first, payload }],
      }));
      sendJson(response, 200, { result });
      return true;
    };
    const searches = Array.from({ length: 500 }, (_, i) => ({
      vector: Float32Array.from({ length: 1536 }, (_, j) => (j === 0 ? i + 1 : Math.sin(i + j) / 40)),
      filter: { must: [{ key: 'text', match: { value: 'ü'.repeat(5_000) } }] },
    }));
    const results = await store.searchBatch(7, 'docs', searches);
    expect(results.map(([hit]) => hit!.score)).toEqual(searches.map((_, i) => i + 1));
    const requests = server.requestsTo(/batch$/);
    expect(requests.length).toBeGreaterThan(1);
    for (const { byteCount } of requests) expect(byteCount).toBeLessThan(8_000_000);
  });

  it('raises an isolation error if a hit is of another tenant', async () => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    server.intercept = ({ path }, response) => {
      if (!path.endsWith('/query')) return false;
      const payload = { client_id: 8, table_name: 'docs', record_id: 'a' };
      sendJson(response, 200, { result: { points: [{ id: 'x', version: 0, score: 1, payload }] } });
      return true;
    };
    const error = await failureOf(store.searchSimilar(7, 'docs', [1, 0, 0]));
    expect(error.code).toBe('isolation_violated');
  });

  it.each([
    ['no JSON', '<html>proxy</html>'],
    ['no result', '{"status":"ok"}'],
    ['no points', '{"result":{}}'],
  ])('is not fooled by an answer with %s', async (_, text) => {
    const store = open();
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    server.intercept = ({ path }, response) => {
      if (!path.endsWith('/query')) return false;
      response.writeHead(200, { 'content-type': 'application/json' }).end(text);
      return true;
    };
    const error = await failureOf(store.searchSimilar(7, 'docs', [1, 0, 0]));
    expect(['invalid_response', 'vector_store_failed']).toContain(error.code);
  });
});

describe('PulseQdrantClient and a server', () => {
  it('names an unreachable host in a retryable error', async () => {
    const { port } = server;
    await server.stop();
    const store = new PulseQdrantClient({ host: '127.0.0.1', port });
    const error = await failureOf(store.searchSimilar(7, 'docs', [1, 0]));
    expect(error).toMatchObject({ code: 'unavailable', isRetryable: true });
    expect(error.message).toContain(`http://127.0.0.1:${port}`);
    expect(error.message).toContain('ECONNREFUSED');
    server = await StubQdrantServer.start();
  });

  it('rethrows the reason of the caller untouched, before and during a request', async () => {
    server.intercept = () => true;
    const store = new PulseQdrantClient({ url: server.url });
    const reason = new Error('enough');
    await expect(store.searchSimilar(7, 'docs', [1, 0], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(0);
    const controller = new AbortController();
    const pending = store.createCollection(7, 'docs', { signal: controller.signal });
    server.intercept = () => {
      controller.abort(reason);
      return true;
    };
    await expect(pending).rejects.toBe(reason);
  });

  it('fails what is under way when it is closed, and everything after', async () => {
    const store = new PulseQdrantClient({ url: server.url });
    const arrived = new Promise<void>((resolve) => {
      server.intercept = () => {
        resolve();
        return true;
      };
    });
    const pending = failureOf(store.createCollection(7, 'docs'));
    await arrived;
    await store.close();
    await store.close();
    expect((await pending).code).toBe('aborted_by_close');
    expect((await failureOf(store.describeCollection(7, 'docs'))).code).toBe('aborted_by_close');
  });

  it('sends the API key as a header, keeps a path prefix, and prints nothing', async () => {
    const written: string[] = [];
    const write = process.stderr.write;
    process.stderr.write = ((chunk: string) => written.push(String(chunk)) > 0) as typeof process.stderr.write;
    try {
      const store = new PulseQdrantClient({ url: `${server.url}/vectors/`, apiKey: 'k-123' });
      await failureOf(store.createCollection(7, 'docs'));
    } finally {
      process.stderr.write = write;
    }
    expect(server.requests[0]).toMatchObject({ path: '/vectors/collections/client_7_docs' });
    expect(server.requests[0]!.headers['api-key']).toBe('k-123');
    expect(written).toEqual([]);
  });

  it('asks for each tenant’s key and sends it with that tenant’s requests only, also at the same time', async () => {
    const store = new PulseQdrantClient({ url: server.url, apiKeyForTenant: async (tenantId) => `key of ${tenantId}` });
    const use = async (tenantId: number): Promise<void> => {
      await store.createCollection(tenantId, 'docs', { vectorSize: 3 });
      await store.upsertVectorsBatch(tenantId, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
      await store.searchSimilar(tenantId, 'docs', [1, 0, 0]);
      await store.deleteRecords(tenantId, 'docs', [1]);
    };
    await Promise.all([1, 2, 3].map(use));
    expect(server.requests.length).toBeGreaterThan(15);
    for (const { path, headers } of server.requests) {
      const tenantId = /client_(\d)_docs/.exec(path)?.[1];
      if (tenantId !== undefined) expect(headers['api-key']).toBe(`key of ${tenantId}`);
    }
    await failureOf(new PulseQdrantClient({ url: server.url, apiKeyForTenant: () => '' }).countRecords(1, 'docs'));
  });

  it('takes a collection that the key of a tenant does not reach for none of the tenant’s', async () => {
    const shared = new PulseQdrantClient({ url: server.url });
    await shared.createCollection(7, 'docs', { vectorSize: 3, mode: 'shared' });
    await shared.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
    const forbidden = { status: { error: 'Access to collection "client_7_docs" is required' } };
    server.intercept = ({ path }, response) => {
      if (path.includes('shared_docs')) return false;
      sendJson(response, 403, forbidden);
      return true;
    };
    const store = new PulseQdrantClient({ url: server.url, apiKeyForTenant: () => 'key that names shared_docs' });
    expect(await store.searchSimilar(7, 'docs', [1, 0, 0])).toHaveLength(1);
    expect((await failureOf(store.searchSimilar(7, 'notes', [1, 0, 0]))).message).toContain("the tenant's key reaches");
    // A key for all tenants has no such excuse.
    expect((await failureOf(shared.searchSimilar(7, 'notes', [1, 0, 0]))).code).toBe('authentication_failed');
  });

  it('takes over a collection that the platform made, without an embedding space that nobody knows', async () => {
    const platform = new Client118({ url: server.url, checkCompatibility: false });
    await platform.createCollection('client_7_docs', { vectors: { size: 3, distance: 'Cosine' } });
    const payload = { client_id: 7, table_name: 'docs', record_id: 5, title: 'x' };
    await platform.upsert('client_7_docs', {
      points: [{ id: '00000000-0000-4000-8000-000000000000', vector: [1, 0, 0], payload }],
    });
    const store = new PulseQdrantClient({ url: server.url });
    expect(await store.searchSimilar(7, 'docs', [1, 0, 0])).toMatchObject([{ recordId: 5, metadata: { title: 'x' } }]);
    const pinned = { vectorSize: 3, embeddingSpace: 'a' };
    expect((await failureOf(store.createCollection(7, 'docs', pinned))).code).toBe('embedding_space_mismatch');
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    expect(await store.describeCollection(7, 'docs')).toMatchObject({ embeddingSpace: null, pointCount: 1 });
  });

  it('does not touch a collection that says it is another tenant’s, whatever its name', async () => {
    const store = new PulseQdrantClient({ url: server.url });
    await store.createCollection(7, 'docs', { vectorSize: 3 });
    const { metadata } = server.collections.get('client_7_docs')!.config;
    metadata.pulse_ai_providers.client_id = 8;
    const before = server.requests.length;
    const fresh = new PulseQdrantClient({ url: server.url });
    for (const call of [
      () => fresh.createCollection(7, 'docs', { vectorSize: 3 }),
      () => fresh.searchSimilar(7, 'docs', [1, 0, 0]),
      () => fresh.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]),
      () => fresh.deleteRecords(7, 'docs', [1]),
      () => fresh.dropCollection(7, 'docs'),
    ]) {
      expect((await failureOf(call())).code).toBe('isolation_violated');
    }
    expect(server.requests.slice(before).every(({ method }) => method === 'GET')).toBe(true);
  });

  it('tells a healthy server from one that is away and one that does not take the key', async () => {
    server.intercept = ({ path }, response) => {
      if (path === '/aliases' || path !== '/collections') return false;
      sendJson(response, 200, { result: { collections: [] } });
      return true;
    };
    const store = new PulseQdrantClient({ url: server.url });
    expect(await store.health()).toMatchObject({ status: 'healthy', version: '1.19.0' });
    server.intercept = ({ path }, response) => {
      if (path === '/') return false;
      sendJson(response, 401, { status: { error: 'Invalid API key or JWT' } });
      return true;
    };
    expect(await store.health()).toMatchObject({ status: 'unhealthy', version: '1.19.0' });
    expect(await new PulseQdrantClient({ url: 'http://127.0.0.1:1' }).health()).toMatchObject({ status: 'unhealthy' });
  });

  it('is healthy if only tenants have keys, as far as the server says so without one', async () => {
    const answer = (status: number): void => {
      server.intercept = ({ path, headers }, response) => {
        if (path === '/') return false;
        if (path === '/readyz') response.writeHead(status, { 'content-type': 'text/plain' }).end('as it is');
        else sendJson(response, headers['api-key'] ? 200 : 401, { status: { error: 'Must provide an API key' } });
        return true;
      };
    };
    const store = new PulseQdrantClient({ url: server.url, apiKeyForTenant: () => 'jwt' });
    answer(200);
    expect(await store.health()).toMatchObject({ status: 'healthy', version: '1.19.0' });
    answer(401);
    expect(await store.health()).toMatchObject({ status: 'healthy' });
    answer(503);
    expect(await store.health()).toMatchObject({ status: 'unhealthy', detail: expect.stringContaining('503') });
  });

  it('names apiKeyForTenant if that fails', async () => {
    const failure = new Error('the vault is sealed');
    const apiKeyForTenant = (): never => {
      throw failure;
    };
    const error = await failureOf(new PulseQdrantClient({ url: server.url, apiKeyForTenant }).countRecords(7, 'docs'));
    expect(error).toMatchObject({ code: 'authentication_failed', cause: failure });
    expect(error.message).toContain('`apiKeyForTenant` failed for tenant 7');
  });

  it('refuses a server that does not keep metadata, instead of losing the pin', async () => {
    server.keepsMetadata = false;
    const store = new PulseQdrantClient({ url: server.url });
    const error = await failureOf(store.createCollection(7, 'docs', { vectorSize: 3, embeddingSpace: 'a' }));
    expect(error.code).toBe('unsupported_operation');
    expect(error.message).toContain('1.16');
  });
});
