import type { PostgresPool } from './postgres-pool.js';

/** A job of the queue that is not done. */
export interface SyncQueueStatus {
  readonly tenantId: number;
  readonly tableName: string;
  readonly state: 'waiting' | 'running' | 'failed';
  readonly priority: number;
  readonly failedRuns: number;
  /** When it was asked for. */
  readonly createdAt: Date;
  /** When it may run; in the future for a tenant that is paused. */
  readonly startAfter: Date;
  readonly startedAt: Date | null;
  /** The message of the last failure. */
  readonly lastError: string | null;
  /**
   * It runs, but no process holds its lock: the process died, and no worker has noticed yet. Or it could have run an
   * hour ago.
   */
  readonly isStuck: boolean;
}

const waitsTooLongMs = 3_600_000;

interface Row {
  readonly data: { tenantId: number; tableName: string; failedRuns: number };
  readonly state: string;
  readonly priority: number;
  readonly created_on: Date;
  readonly start_after: Date;
  readonly started_on: Date | null;
  readonly output: { message?: string } | null;
  readonly is_locked: boolean;
}

/** The lock that the process which runs a table's job holds. */
export function lockName(schema: string, { tenantId, tableName }: { tenantId: number; tableName: string }): string {
  return `${schema}:sync:${tenantId}:${tableName}`;
}

export async function readStatus(pool: PostgresPool, schema: string, queue: string): Promise<SyncQueueStatus[]> {
  // An advisory lock of one 64-bit key is listed as its two halves.
  const { rows } = await pool.query(
    `select data, state::text, priority, created_on, start_after, started_on, output, exists (
       select from pg_locks l, hashtextextended($2 || ':sync:' || (data->>'tenantId') || ':' || (data->>'tableName'), 0) key
       where l.locktype = 'advisory' and l.granted and l.objsubid = 1
         and l.classid = ((key >> 32) & 4294967295)::oid and l.objid = (key & 4294967295)::oid
     ) as is_locked
     from ${schema}.job where name = $1 and state in ('created', 'retry', 'active', 'failed')
     order by created_on`,
    [queue, schema],
  );
  return (rows as Row[]).map((row) => ({
    tenantId: row.data.tenantId,
    tableName: row.data.tableName,
    state: row.state === 'active' ? 'running' : row.state === 'failed' ? 'failed' : 'waiting',
    priority: row.priority,
    failedRuns: row.data.failedRuns,
    createdAt: row.created_on,
    startAfter: row.start_after,
    startedAt: row.started_on,
    lastError: row.output?.message ?? null,
    isStuck: isStuck(row),
  }));
}

function isStuck({ state, is_locked, start_after }: Row): boolean {
  if (state === 'active') return !is_locked;
  return state !== 'failed' && Date.now() - start_after.getTime() > waitsTooLongMs;
}
