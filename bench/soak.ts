/**
 * The ETL service under trouble: several processes sync several tenants while their processes are killed, PostgreSQL is
 * restarted, the gateway fails, searches are made and aborted, and the work items change. Then everything is checked.
 * Seconds and seed may be given:
 *
 *   npm run soak              15 minutes
 *   npm run soak -- 60 1234   60 seconds, with that seed
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import {
  FernetCipher,
  HybridProviderManager,
  KyselyIntegrationRepository,
  KyselySyncStore,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  VectorIndex,
} from '@pulse/ai-providers';
import { SyncQueue } from '@pulse/ai-providers/jobs';
import { FakeGateway, fakeEmbedding, type GatewayFault } from '@pulse/ai-providers/testing';
import { build } from 'esbuild';
import { Kysely, PostgresDialect, sql } from 'kysely';
import { addWorkItems, createTables, type EtlDatabase } from '../examples/etl-service/work-items.js';
import type { Database } from '../examples/shared/database.js';
import { setGatewayIntegration } from '../examples/shared/gateway-integration.js';
import { startPostgres } from '../test/helpers/postgres.js';
import { RestServer } from '../test/helpers/rest-server.js';

const seconds = Number(process.argv[2] ?? 900);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const tenants = [1, 2, 3, 4, 5];
const processCount = 2;
const tableName = 'work_items';
/** The gateway's length of vectors. */
const dimension = 8;

/** Park and Miller's: the same troubles for the same seed, as far as the clock allows. */
let state = seed + 1;
const random = () => {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
};
const oneOf = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)]!;

const faults: readonly GatewayFault[] = [
  { kind: 'status', status: 503 },
  { kind: 'status', status: 429, headers: { 'retry-after': '1' } },
  { kind: 'reset' },
  { kind: 'reset_in_body' },
  { kind: 'truncated_json' },
  { kind: 'wrong_count' },
  { kind: 'shuffled' },
  { kind: 'float' },
  { kind: 'nan' },
  { kind: 'zero_vector' },
];
let isCalm = false;
const postgres = await startPostgres();
const qdrant = await RestServer.start();
const gateway = await FakeGateway.start({
  dimension,
  fault: () => (!isCalm && random() < 0.1 ? oneOf(faults) : undefined),
});
const key = FernetCipher.generateKey();
const pool = postgres.openPool();
const db = new Kysely<EtlDatabase>({ dialect: new PostgresDialect({ pool }) });
const store = new PulseQdrantClient({ url: 'http://127.0.0.1', port: qdrant.port });
const cipher = new FernetCipher(key);
const factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(db),
  kinds: standardProviderKinds({ credentialCipher: cipher }),
});
const index = new VectorIndex({ manager: new HybridProviderManager({ factory }), store });

await createTables(db);
await KyselySyncStore.createTables(db);
for (const tenantId of tenants) {
  const integration = { baseUrl: gateway.baseUrl, apiKey: 'key' };
  await setGatewayIntegration(db as unknown as Kysely<Database>, tenantId, integration, cipher);
  await addWorkItems(db, tenantId, 300);
}
const queue = await SyncQueue.open({ pool });

// As JavaScript, so that a process is up quickly and is not killed while it starts.
const program = 'dist/soak-etl-service.mjs';
await build({
  entryPoints: ['examples/etl-service/main.ts'],
  outfile: program,
  bundle: true,
  packages: 'external',
  format: 'esm',
  target: 'es2022',
  tsconfigRaw: {},
});

const counts = { kills: 0, restarts: 0, changes: 0, searches: 0, aborts: 0 };
/** What failed for the host itself, by code: it is to be expected, but not of every call. */
const failures = new Map<string, number>();
const started = performance.now();
const elapsed = () => (performance.now() - started) / 1_000;
/** When each is killed, in seconds from the start. */
const children = new Map<ChildProcess, number>();
const start = () => {
  const child = spawn(process.execPath, [program], {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: postgres.connectionString,
      QDRANT_HOST: '127.0.0.1',
      QDRANT_PORT: String(qdrant.port),
      FERNET_KEY: key,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr!.on('data', (data) => {
    errors = `${errors}${data}`.slice(-2_000);
  });
  children.set(child, elapsed() + 2 + random() * 8);
  child.once('exit', (code) => {
    children.delete(child);
    // A process that loses PostgreSQL while it starts ends, as it would under a supervisor, and is started again.
    if (code !== null && code !== 0) {
      failures.set('process_ended', (failures.get('process_ended') ?? 0) + 1);
      if (isCalm) console.error(errors);
    }
  });
};

/** Trouble with PostgreSQL is part of the test. */
const attempt = async (run: () => Promise<unknown>) => {
  try {
    await run();
  } catch (error) {
    const reason = String((error as { readonly code?: unknown }).code ?? (error as Error).name);
    failures.set(reason, (failures.get(reason) ?? 0) + 1);
  }
};

const change = (tenantId: number) =>
  attempt(async () => {
    counts.changes++;
    const some = sql`select id from work_items where tenant_id = ${tenantId} order by random() limit ${1 + Math.floor(random() * 20)}`;
    const kind = random();
    if (kind < 0.4) await sql`update work_items set title = title || '!' where id in (${some})`.execute(db);
    else if (kind < 0.6) await sql`update work_items set status = status || '.' where id in (${some})`.execute(db);
    else if (kind < 0.8) await sql`delete from work_items where id in (${some})`.execute(db);
    else await addWorkItems(db, tenantId, 1 + Math.floor(random() * 20));
    await queue.enqueue({ tenantId, tableName });
  });

let found = 0;
const search = (tenantId: number) =>
  attempt(async () => {
    counts.searches++;
    const signal = random() < 0.2 ? AbortSignal.timeout(Math.floor(random() * 10)) : undefined;
    if (signal !== undefined) counts.aborts++;
    found += (await index.search('The invoice report', { tenantId, tableName, signal })).length;
  });

const memory: number[] = [];
let nextRestart = seconds / 3;
while (elapsed() < seconds) {
  while (children.size < processCount) start();
  await Promise.all([change(oneOf(tenants)), search(oneOf(tenants)), search(oneOf(tenants))]);
  await wait(100 + random() * 300);
  for (const [child, diesAt] of children) {
    if (elapsed() > diesAt && child.kill('SIGKILL')) counts.kills++;
  }
  if (elapsed() > nextRestart) {
    nextRestart += seconds / 3;
    counts.restarts++;
    await postgres.stop();
    await postgres.start();
  }
  memory.push(process.memoryUsage().rss);
}

isCalm = true;
const problems: string[] = [];
const settleUntil = performance.now() + 300_000;
for (;;) {
  while (children.size < processCount) start();
  const status = await queue.status();
  // Whoever was paused by a failure of the past need not wait any longer: asking again does not help while one waits,
  // so wait.
  if (status.every((job) => job.state === 'failed')) break;
  if (performance.now() > settleUntil) {
    problems.push(`after five minutes of calm the queue still holds ${JSON.stringify(status)}`);
    break;
  }
  await wait(500);
}
for (const tenantId of tenants) await queue.enqueue({ tenantId, tableName });
while ((await queue.status()).some((job) => job.state !== 'failed') && performance.now() < settleUntil) await wait(200);

for (const child of children.keys()) {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  const [code] = await ended;
  clearTimeout(late);
  if (code !== 0) problems.push(`a process ended with ${code} after SIGTERM`);
}

let recordCount = 0;
for (const tenantId of tenants) {
  const items = await db.selectFrom('work_items').select(['id', 'title']).where('tenant_id', '=', tenantId).execute();
  const wanted = new Map(items.map(({ id, title }) => [id, title]));
  recordCount += wanted.size;
  for await (const { recordId, vector, metadata } of store.listRecords(tenantId, tableName, { withVectors: true })) {
    const title = wanted.get(recordId as number);
    if (title === undefined) {
      problems.push(`tenant ${tenantId}: record ${recordId} is stored twice, or is not a work item of the tenant`);
      continue;
    }
    wanted.delete(recordId as number);
    const expected = fakeEmbedding(title, dimension);
    const length = Math.hypot(...expected);
    const isOfText = vector!.every((value, at) => Math.abs(value - expected[at]! / length) < 1e-5);
    if (!isOfText || metadata.title !== title) problems.push(`tenant ${tenantId}: record ${recordId} is out of date`);
  }
  if (wanted.size > 0) problems.push(`tenant ${tenantId}: ${wanted.size} work items are not stored`);
}
const [early, late] = [memory.slice(0, memory.length / 2), memory.slice(memory.length / 2)].map(
  (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]! / 2 ** 20,
);
console.log(`Seed ${seed}, ${Math.round(elapsed())} s, ${JSON.stringify(counts)}, ${recordCount} records checked.`);
console.log(`Failures of the host's own calls: ${JSON.stringify(Object.fromEntries(failures))}`);
if (found === 0) problems.push('no search found anything');
console.log(
  `Memory of the host process: median ${early!.toFixed(0)} MB in the first half, ${late!.toFixed(0)} MB in the second.`,
);

await queue.close();
await factory.close();
await store.close();
await db.destroy();
await gateway.close();
await qdrant.stop();
await postgres.remove();
for (const problem of problems.slice(0, 20)) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log('Every work item has exactly one vector, of its present text, in its own tenant.');
