/**
 * What recording usage adds to a call, against a real PostgreSQL whose every INSERT takes 10 ms.
 *
 *   npm run bench:usage
 *
 * 1. 120 calls a second for 20 s, with and without recording in turn, in both modes: latency of a call.
 * 2. 1,000 calls at once, against the same 1,000 INSERTs made in parallel by hand.
 * 3. The database away for 30 s while calls go on: latency, and rows afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, PostgresDialect } from 'kysely';
import { HybridProviderManager } from '../src/core/calls/hybrid-provider-manager.js';
import type { Integration, IntegrationRepository } from '../src/core/ports/integration-repository.js';
import { ProviderFactory, type UsageOptions } from '../src/core/routing/provider-factory.js';
import { KyselyIntegrationRepository } from '../src/repositories/kysely/kysely-integration-repository.js';
import { fakeKind } from '../test/helpers/fake-provider.js';
import { addIntegration, type HostDatabase } from '../test/helpers/kysely-repository.js';
import { startPostgres } from '../test/helpers/postgres.js';

const seconds = Number(process.argv[2] ?? 20);
const server = await startPostgres();
const pool = server.openPool({ max: 10 });
const db = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool }) });
await pool.query(`
  create function take_time() returns trigger language plpgsql as $$ begin perform pg_sleep(0.01); return null; end $$;
  create trigger slow after insert on ai_usage_trackings for each statement execute function take_time()`);
await addIntegration(db, { tenantId: 1, provider: 'wex_ai_gateway' });

/** The host's rows from memory, so that only the recording differs between the modes. */
const stored = new KyselyIntegrationRepository(db);
const [row] = (await stored.listActiveIntegrations(1)) as [Integration];
const repositoryFor = (isRecorded: boolean): IntegrationRepository => ({
  listActiveIntegrations: async () => [row],
  findIntegration: async () => row,
  createDefaultLocalIntegration: async () => row,
  recordUsage: async (tenantId, usage, options) => {
    if (isRecorded) await stored.recordUsage(tenantId, usage, options);
  },
  recordUsageRows: async (rows, options) => {
    if (isRecorded) await stored.recordUsageRows(rows, options);
  },
});

function open(durability: UsageOptions['durability'], isRecorded = true) {
  const repository = repositoryFor(isRecorded);
  const factory = new ProviderFactory({ repository, kinds: [fakeKind('wex_ai_gateway')], usage: { durability } });
  return { factory, manager: new HybridProviderManager({ factory }) };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function quantiles(times: readonly number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (quantile: number) => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]!;
  return { p50: round(at(0.5)), p99: round(at(0.99)), worst: round(sorted.at(-1)!) };
}
const round = (ms: number) => Math.round(ms * 100) / 100;

/** 120 calls a second to each manager in turn, whatever earlier ones take: both meet the same load of the machine. */
async function steady(managers: readonly HybridProviderManager[], forSeconds: number): Promise<number[][]> {
  const calls: Promise<number>[][] = managers.map(() => []);
  const started = performance.now();
  const perSecond = 120 * managers.length;
  for (let call = 0; call < forSeconds * perSecond; call++) {
    await sleep(Math.max(0, started + (call * 1000) / perSecond - performance.now()));
    const at = call % managers.length;
    calls[at]!.push(timed(() => managers[at]!.generateText('Hello', { tenantId: 1 })));
  }
  return Promise.all(calls.map((each) => Promise.all(each)));
}

const countRows = async () => Number((await pool.query('select count(*) from ai_usage_trackings')).rows[0].count);
const report = (what: string, figures: object) => console.log(`${what}: ${JSON.stringify(figures)}`);

for (const durability of ['background', 'write-through'] as const) {
  const recorded = open(durability);
  const unrecorded = open(durability, false);
  const managers = [unrecorded.manager, recorded.manager];
  await steady(managers, 1);
  const [without, withRows] = (await steady(managers, seconds)).map(quantiles);
  report(`120 calls/s, ${durability}`, { without, withRows });
  await Promise.all([recorded.factory.close(), unrecorded.factory.close()]);
}

for (const durability of ['background', 'write-through'] as const) {
  const { manager, factory } = open(durability);
  const before = await countRows();
  const untilReturned = await timed(() =>
    Promise.all(Array.from({ length: 1000 }, () => manager.generateText('Hello', { tenantId: 1 }))),
  );
  const untilWritten = untilReturned + (await timed(() => factory.close()));
  const rows = (await countRows()) - before;
  report(`1,000 calls at once, ${durability}`, {
    untilReturned: round(untilReturned),
    untilWritten: round(untilWritten),
    rows,
  });
}
const insert = () =>
  db
    .insertInto('ai_usage_trackings')
    .values({ tenant_id: 1, provider: 'p', operation: 'embedding', model_name: 'm', input_count: 1 } as never)
    .execute();
report('1,000 INSERTs in parallel by hand', {
  ms: round(await timed(() => Promise.all(Array.from({ length: 1000 }, insert)))),
});

{
  const { manager, factory } = open('background');
  const before = await countRows();
  const away = (async () => {
    await sleep(2000);
    await server.stop();
    await sleep(30_000);
    await server.start();
  })();
  const [times = []] = await steady([manager], 36);
  await away;
  const backMs = await timed(async () => {
    while (factory.usageCounts().waiting > 0) await factory.flushUsage().catch(() => sleep(100));
  });
  report('Database away for 30 s at 120 calls/s', {
    ...quantiles(times),
    calls: times.length,
    writtenAfterMs: round(backMs),
  });
  await factory.close();
  report('Rows', { expected: times.length, written: (await countRows()) - before });
}
await db.destroy();
await server.remove();
