import type { CompiledQuery, DatabaseConnection, Kysely, RootOperationNode } from 'kysely';
import type { RecordUsageRowsOptions, TenantUsage } from '../../core/ports/integration-repository.js';
import { type Tables, toUsageRow } from './kysely-tables.js';

/** How long one statement may take, and how long it may wait for a lock, before the database itself ends it. */
const statementTimeout = '5s';
const lockTimeout = '2s';

/**
 * Inserts the rows with one statement, all or none. It waits for nothing longer than its own timeouts, so that it never
 * keeps a connection of the host's pool.
 */
export async function insertUsageRows(
  db: Kysely<Tables>,
  rows: readonly TenantUsage[],
  options: RecordUsageRowsOptions,
): Promise<void> {
  if (db.isTransaction) return insertInSavepoint(db, rows);
  await db.transaction().execute(async (transaction) => {
    // The connection may have come late, when the write was given up already.
    options.signal?.throwIfAborted();
    await transaction
      .selectNoFrom((eb) => [
        eb.fn('set_config', [eb.val('statement_timeout'), eb.val(statementTimeout), eb.lit(true)]).as('statement'),
        eb.fn('set_config', [eb.val('lock_timeout'), eb.val(lockTimeout), eb.lit(true)]).as('lock'),
      ])
      .execute();
    const missing = options.mayExist ? await withoutExisting(transaction, rows) : rows;
    if (missing.length > 0) await insert(transaction, missing).execute();
  });
}

function insert(db: Kysely<Tables>, rows: readonly TenantUsage[]) {
  return db
    .insertInto('ai_usage_trackings')
    .values((eb) => rows.map(({ tenantId, usage }) => toUsageRow(eb, tenantId, usage)));
}

/**
 * The rows whose `usage_id` the table does not have. An earlier INSERT may have gone through although its answer was
 * lost.
 */
async function withoutExisting(db: Kysely<Tables>, rows: readonly TenantUsage[]): Promise<readonly TenantUsage[]> {
  const ids = rows.map(({ usage }) => String(usage.requestMetadata.usage_id));
  const tenantIds = [...new Set(rows.map(({ tenantId }) => tenantId))];
  const times = rows.map(({ usage }) => usage.occurredAt?.getTime() ?? 0);
  const found = await db
    .selectFrom('ai_usage_trackings')
    .select((eb) => usageIdOf(eb).as('usageId'))
    .where('tenant_id', 'in', tenantIds)
    // The index on `created_at` keeps this from reading the tenant's whole history.
    .where('created_at', '>=', new Date(Math.min(...times) - 1000))
    .where((eb) => eb(usageIdOf(eb), 'in', ids))
    .execute();
  const existing = new Set(found.map(({ usageId }) => usageId));
  return rows.filter((_, at) => !existing.has(ids[at]!));
}

function usageIdOf(eb: import('kysely').ExpressionBuilder<Tables, 'ai_usage_trackings'>) {
  const key = eb.cast<string>(eb.val('usage_id'), 'text');
  return eb.fn<string>('jsonb_extract_path_text', [eb.cast(eb.ref('request_metadata'), 'jsonb'), key]);
}

/**
 * In a transaction of the host. Its connection is held for all three statements: Kysely runs the host's own before or
 * after them, so that going back to the savepoint takes nothing of the host's with it.
 */
async function insertInSavepoint(db: Kysely<Tables>, rows: readonly TenantUsage[]): Promise<void> {
  const compiled = insert(db, rows).compile();
  await db.getExecutor().provideConnection(async (connection) => {
    await connection.executeQuery(statement('savepoint pulse_usage'));
    try {
      await connection.executeQuery(compiled);
    } catch (error) {
      await connection.executeQuery(statement('rollback to savepoint pulse_usage'));
      throw error;
    } finally {
      await release(connection);
    }
  });
}

async function release(connection: DatabaseConnection): Promise<void> {
  await connection.executeQuery(statement('release savepoint pulse_usage'));
}

/** What Kysely's `sql` would make, which would have to be loaded for it. */
function statement(sql: string): CompiledQuery {
  const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] } as unknown as RootOperationNode;
  return { sql, query, queryId: { queryId: 'pulse_usage' }, parameters: [] };
}
