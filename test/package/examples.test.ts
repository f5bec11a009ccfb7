import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Kysely, PostgresDialect } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FernetCipher } from '#src/credential-ciphers/fernet/fernet-cipher.js';
import { SyncQueue } from '#src/jobs.js';
import { KyselySyncStore } from '#src/repositories/kysely/kysely-sync-store.js';
import { FakeGateway } from '#src/testing/fake-gateway.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { addWorkItems, createTables, type EtlDatabase } from '../../examples/etl-service/work-items.js';
import type { Database } from '../../examples/shared/database.js';
import { setGatewayIntegration } from '../../examples/shared/gateway-integration.js';
import { type PostgresServer, startPostgres } from '../helpers/postgres.js';
import { RestServer } from '../helpers/rest-server.js';
import { repositoryRoot } from '../helpers/source-file.js';

const { PATH, HOME } = process.env;
const environment = (variables: Record<string, string> = {}) => ({ PATH, HOME, ...variables });
const command = (example: string) => ['--import', 'tsx', join('examples', example, 'main.ts')];

it('every example is run by a test', () => {
  const examples = readdirSync(join(repositoryRoot, 'examples')).filter((name) => name !== 'shared');
  // The main job is run by test/integration/main-job.test.ts.
  expect(examples.toSorted()).toEqual(['backend-service', 'etl-service', 'main-job']);
});

describe('the ETL service, as two processes on a real PostgreSQL', () => {
  let postgres: PostgresServer;
  let qdrant: RestServer;
  let gateway: FakeGateway;
  let db: Kysely<EtlDatabase>;
  let store: PulseQdrantClient;
  let queue: SyncQueue;
  const tenants = [7, 8, 9, 10];
  const key = FernetCipher.generateKey();
  const processes: ChildProcess[] = [];
  const reports: Record<string, number>[] = [];

  beforeAll(async () => {
    postgres = await startPostgres();
    qdrant = await RestServer.start();
    gateway = await FakeGateway.start();
    const pool = postgres.openPool();
    db = new Kysely<EtlDatabase>({ dialect: new PostgresDialect({ pool }) });
    await createTables(db);
    await KyselySyncStore.createTables(db);
    for (const tenantId of tenants) {
      const handle = db as unknown as Kysely<Database>;
      await setGatewayIntegration(handle, tenantId, { baseUrl: gateway.baseUrl, apiKey: 'key' }, new FernetCipher(key));
      await addWorkItems(db, tenantId, 100);
    }
    store = new PulseQdrantClient({ url: 'http://127.0.0.1', port: qdrant.port });
    queue = await SyncQueue.open({ pool });
  });
  afterAll(async () => {
    for (const child of processes) child.kill('SIGKILL');
    await queue.close();
    await store.close();
    await db.destroy();
    await gateway.close();
    await qdrant.stop();
    await postgres.remove();
  });

  const start = (): ChildProcess => {
    const child = spawn(process.execPath, command('etl-service'), {
      cwd: repositoryRoot,
      env: environment({
        DATABASE_URL: postgres.connectionString,
        QDRANT_HOST: '127.0.0.1',
        QDRANT_PORT: String(qdrant.port),
        FERNET_KEY: key,
      }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: child.stdout! }).on('line', (line) => reports.push(JSON.parse(line)));
    processes.push(child);
    return child;
  };
  const storedIds = async (tenantId: number) => {
    const ids: unknown[] = [];
    for await (const { recordId } of store.listRecords(tenantId, 'work_items')) ids.push(recordId);
    return ids.toSorted();
  };
  const wantedIds = async (tenantId: number) =>
    (await db.selectFrom('work_items').select('id').where('tenant_id', '=', tenantId).execute())
      .map(({ id }) => id)
      .toSorted();
  const untilDone = () => expect.poll(() => queue.status(), { timeout: 60_000, interval: 200 }).toEqual([]);
  const paidTexts = () => gateway.billedRequests.reduce((sum, { inputs }) => sum + inputs.length, 0);

  it('shares the load, goes on when a process is killed, and pays nothing for what is unchanged', async () => {
    // Until the first process is dead, the gateway does not answer.
    let isHeld = true;
    gateway.fault = () => (isHeld ? { kind: 'stall' } : undefined);
    const doomed = start();
    await expect.poll(() => gateway.openRequestCount, { timeout: 60_000 }).toBeGreaterThan(0);
    doomed.kill('SIGKILL');
    await once(doomed, 'exit');
    expect((await queue.status()).some(({ state, isStuck }) => state === 'running' && isStuck)).toBe(true);
    isHeld = false;
    const stalled = paidTexts();
    const survivors = [start(), start()];
    await untilDone();
    for (const tenantId of tenants) expect(await storedIds(tenantId)).toEqual(await wantedIds(tenantId));
    expect(paidTexts() - stalled).toBe(400);

    await addWorkItems(db, 7, 5);
    await db.deleteFrom('work_items').where('tenant_id', '=', 8).where('title', 'like', '%(case 3)').execute();
    reports.length = 0;
    for (const tenantId of tenants) await queue.enqueue({ tenantId, tableName: 'work_items' });
    await untilDone();
    expect(reports.toSorted((a, b) => a.tenantId! - b.tenantId!)).toMatchObject([
      { tenantId: 7, embeddedCount: 5, skippedCount: 100, deletedCount: 0 },
      { tenantId: 8, embeddedCount: 0, skippedCount: 99, deletedCount: 1 },
      { tenantId: 9, embeddedCount: 0, skippedCount: 100, cost: '0' },
      { tenantId: 10, embeddedCount: 0, skippedCount: 100, cost: '0' },
    ]);
    for (const tenantId of tenants) expect(await storedIds(tenantId)).toEqual(await wantedIds(tenantId));
    expect(paidTexts() - stalled).toBe(405);
    for (const child of survivors) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
    }
  });
});

describe('the backend service', () => {
  let gateway: FakeGateway;
  let service: ChildProcess;
  let url: string;
  const log: string[] = [];

  beforeAll(async () => {
    gateway = await FakeGateway.start({ apiKey: 'a-key-for-this-test', completion: () => 'A summary.' });
    service = spawn(process.execPath, command('backend-service'), {
      cwd: repositoryRoot,
      env: environment({
        PORT: '0',
        TENANTS: '7',
        WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl,
        WEX_AI_GATEWAY_API_KEY: 'a-key-for-this-test',
      }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: service.stdout! });
    lines.on('line', (line) => log.push(line));
    const [line] = (await once(lines, 'line')) as [string];
    url = `http://127.0.0.1:${(JSON.parse(line) as { readonly port: number }).port}/tenants`;
  });
  afterAll(async () => {
    service.kill('SIGKILL');
    await gateway.close();
  });

  async function request(method: string, path: string, requestBody?: unknown) {
    const response = await fetch(`${url}/${path}`, {
      method,
      ...(requestBody ? { body: typeof requestBody === 'string' ? requestBody : JSON.stringify(requestBody) } : {}),
    });
    // biome-ignore lint/suspicious/noExplicitAny: what the service answers is what the tests look at.
    const body = (await response.json()) as any;
    return { status: response.status, headers: response.headers, body };
  }

  it('stores and finds notes through the gateway, and with the local model if a tenant has none', {
    timeout: 120_000,
  }, async () => {
    for (const tenant of [7, 8]) {
      await request('PUT', `${tenant}/notes/1`, { text: `The import stopped (${tenant})` });
      const stored = await request('PUT', `${tenant}/notes/2`, { text: `Lunch is at noon (${tenant})` });
      expect(stored).toMatchObject({ status: 200, body: { id: expect.any(String) } });
      const found = await request('GET', `${tenant}/notes?q=${encodeURIComponent(`The import stopped (${tenant})`)}`);
      expect(found.body[0]).toMatchObject({ noteId: '1', text: `The import stopped (${tenant})` });
      expect(found.body.every(({ text }: { text: string }) => text.endsWith(`(${tenant})`))).toBe(true);
    }
    const health = await Promise.all([7, 8].map((tenant) => request('GET', `${tenant}/health`)));
    expect(health.map(({ body }) => body[0].provider)).toEqual(['wex_ai_gateway', 'sentence_transformers']);
  });

  it('summarises', async () => {
    expect(await request('POST', '7/summaries', { text: 'A long text.' })).toMatchObject({
      status: 200,
      body: { text: 'A summary.', provider: 'wex_ai_gateway', failedOver: [] },
    });
  });

  it.each([
    ['a tenant that is none', 'GET', 'x/notes?q=text', undefined, 400, 'invalid_input'],
    ['an empty query', 'GET', '7/notes', undefined, 400, 'invalid_input'],
    ['a body that is not JSON', 'PUT', '7/notes/3', 'no JSON', 400, 'invalid_input'],
    ['a body without an object', 'PUT', '7/notes/3', 'null', 400, 'invalid_input'],
    ['a body without text', 'PUT', '7/notes/3', {}, 400, 'invalid_input'],
    ['a tenant without notes', 'GET', '9/notes?q=text', undefined, 404, 'collection_not_found'],
    ['text for a tenant without a gateway', 'POST', '8/summaries', { text: 'A text.' }, 409, 'integration_not_found'],
    ['an unknown resource', 'GET', '7/nothing', undefined, 404, 'not_found'],
  ])('answers %s with what is wrong', async (_, method, path, body, status, code) => {
    expect(await request(method, path, body)).toMatchObject({ status, body: { code } });
  });

  it('says when to come back while the gateway is in trouble, and nothing of the key', async () => {
    gateway.fault = () => ({ kind: 'status', status: 503 });
    const { status, headers, body } = await request('POST', '7/summaries', { text: 'A long text.' });
    gateway.fault = () => undefined;
    expect(status).toBe(503);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.stringify(body) + log.join('')).not.toContain('a-key-for-this-test');
  });

  it('finishes and ends by itself when asked to', async () => {
    service.kill('SIGTERM');
    expect(await once(service, 'exit')).toEqual([0, null]);
  });
});
