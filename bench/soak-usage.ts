/**
 * Kills a process that records usage in a real PostgreSQL, 200 times in each mode, and compares what it had said with what is stored.
 *
 *   npm run soak:usage -- 200
 */
import { Kysely, PostgresDialect } from 'kysely';
import { bundleUsageWriter, killUsageWriter } from '../test/helpers/kill-usage-writer.js';
import { addIntegration, type HostDatabase } from '../test/helpers/kysely-repository.js';
import { startPostgres } from '../test/helpers/postgres.js';

const kills = Number(process.argv[2] ?? 200);
const server = await startPostgres();
const pool = server.openPool({ max: 5 });
const db = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool }) });
const { file, remove } = await bundleUsageWriter();
let tenantId = 1;
let isSound = true;
for (const durability of ['write-through', 'background']) {
  const sum = { kills: 0, told: 0, lost: 0, double: 0, longestMs: 0 };
  for (let kill = 0; kill < kills; kill++) {
    tenantId++;
    await addIntegration(db, { tenantId, provider: 'wex_ai_gateway' });
    const afterCalls = 1 + Math.floor(Math.random() * 120);
    const killed = await killUsageWriter(pool, {
      file,
      connectionString: server.connectionString,
      tenantId,
      durability,
      afterCalls,
    });
    sum.kills++;
    sum.told += killed.toldCount;
    sum.lost += killed.lostCount;
    sum.double += killed.doubleCount;
    sum.longestMs = Math.max(sum.longestMs, killed.lostMs);
  }
  console.log(JSON.stringify({ durability, ...sum }));
  if (sum.double > 0 || (durability === 'write-through' && sum.lost > 0)) isSound = false;
}
await remove();
await db.destroy();
await server.remove();
if (!isSound) process.exitCode = 1;
