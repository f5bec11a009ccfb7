// A process of its own for the tests: asks for the default integration of several tenants at once, as soon as its
// standard input says so.
import { once } from 'node:events';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';

const [connectionString = '', ...tenantIds] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: 5 });
const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
const repository = new KyselyIntegrationRepository(db);
await pool.query('select 1');
console.log('ready');
await once(process.stdin, 'data');
const calls = tenantIds.flatMap((id) =>
  Array.from({ length: 5 }, () => repository.createDefaultLocalIntegration(Number(id))),
);
const ids = (await Promise.all(calls)).map(({ tenantId, id }) => `${tenantId}:${id}`);
console.log(JSON.stringify([...new Set(ids)]));
await db.destroy();
process.stdin.destroy();
