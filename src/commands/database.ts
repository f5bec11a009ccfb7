import { MissingDependencyError } from '../errors.js';
import type { usageReport } from '../usage-report.js';

/**
 * Runs `work` with a Kysely handle on the PostgreSQL of the URL, and closes it.
 * @param neededFor - The command, for the error if a package is missing.
 */
export async function withDatabase<Result>(
  neededFor: string,
  url: string,
  work: (db: Parameters<typeof usageReport>[0]) => Promise<Result>,
): Promise<Result> {
  const { kysely, pg } = await loadPeers(neededFor);
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A connection that breaks while idle is an event of the pool; without a listener it ends the process.
  pool.on('error', () => {});
  const db = new kysely.Kysely<Record<string, never>>({ dialect: new kysely.PostgresDialect({ pool }) });
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

async function loadPeers(neededFor: string) {
  try {
    const [kysely, { default: pg }] = [await import('kysely'), await import('pg')];
    return { kysely, pg };
  } catch (error) {
    throw new MissingDependencyError(['kysely', 'pg'], neededFor, error);
  }
}
