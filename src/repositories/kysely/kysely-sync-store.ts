import type { Kysely } from 'kysely';
import type { CallOptions } from '../../core/ports/call-options.js';
import type { DeadLetter, SyncCheckpoint, SyncStore, SyncTable } from '../../core/ports/sync-store.js';
import { InvalidInputError } from '../../errors.js';
import { takeSlices } from '../../internal/slices.js';
import { describeValue } from '../../internal/validate.js';
import { runQuery } from './kysely-errors.js';
import type { KyselyHandle } from './kysely-handle.js';

interface SyncTables {
  ai_sync_checkpoints: { tenant_id: number; table_name: string; cursor: string };
  ai_sync_dead_letters: {
    tenant_id: number;
    table_name: string;
    /** The record id as JSON: the number 1 and the string '1' are two records. */
    record_key: string;
    code: string;
    reason: string;
    text_hash: string;
    attempts: number;
  };
}

/** Far below the 65,535 parameters that PostgreSQL takes in a statement. */
const rowsPerStatement = 1_000;

/**
 * Checkpoints and dead letters in two tables of the host's database, `ai_sync_checkpoints` and `ai_sync_dead_letters`.
 * The handle stays the host's. Every method throws a `RepositoryError` if the database fails.
 *
 * @example
 * await KyselySyncStore.createTables(db); // or the statements of docs/etl.md in a migration
 * const syncStore = new KyselySyncStore(db);
 * await index.sync(source, { tenantId: 7, tableName: 'work_items', syncStore });
 */
export class KyselySyncStore implements SyncStore {
  readonly #db: Kysely<SyncTables>;

  /** @throws `InvalidInputError` if `db` is not a Kysely handle or transaction. */
  constructor(db: KyselyHandle) {
    this.#db = requireHandle(db);
  }

  /** Makes the two tables unless they exist. */
  static async createTables(db: KyselyHandle): Promise<void> {
    const { schema } = requireHandle(db);
    await runQuery('createTables', {}, async () => {
      await schema
        .createTable('ai_sync_checkpoints')
        .ifNotExists()
        .addColumn('tenant_id', 'integer', (column) => column.notNull())
        .addColumn('table_name', 'text', (column) => column.notNull())
        .addColumn('cursor', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('ai_sync_checkpoints_pkey', ['tenant_id', 'table_name'])
        .execute();
      await schema
        .createTable('ai_sync_dead_letters')
        .ifNotExists()
        .addColumn('tenant_id', 'integer', (column) => column.notNull())
        .addColumn('table_name', 'text', (column) => column.notNull())
        .addColumn('record_key', 'text', (column) => column.notNull())
        .addColumn('code', 'text', (column) => column.notNull())
        .addColumn('reason', 'text', (column) => column.notNull())
        .addColumn('text_hash', 'text', (column) => column.notNull())
        .addColumn('attempts', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('ai_sync_dead_letters_pkey', ['tenant_id', 'table_name', 'record_key'])
        .execute();
    });
  }

  async loadCheckpoint(table: SyncTable, options: CallOptions = {}): Promise<SyncCheckpoint | undefined> {
    return runQuery('loadCheckpoint', options, () =>
      this.#db
        .selectFrom('ai_sync_checkpoints')
        .select('cursor')
        .where('tenant_id', '=', table.tenantId)
        .where('table_name', '=', table.tableName)
        .executeTakeFirst(),
    );
  }

  async saveCheckpoint(
    { tenantId, tableName }: SyncTable,
    checkpoint: SyncCheckpoint | undefined,
    options: CallOptions = {},
  ): Promise<void> {
    await runQuery<unknown>('saveCheckpoint', options, () => {
      if (checkpoint === undefined) {
        return this.#db
          .deleteFrom('ai_sync_checkpoints')
          .where('tenant_id', '=', tenantId)
          .where('table_name', '=', tableName)
          .execute();
      }
      const { cursor } = checkpoint;
      return this.#db
        .insertInto('ai_sync_checkpoints')
        .values({ tenant_id: tenantId, table_name: tableName, cursor })
        .onConflict((conflict) => conflict.columns(['tenant_id', 'table_name']).doUpdateSet({ cursor }))
        .execute();
    });
  }

  async listDeadLetters({ tenantId, tableName }: SyncTable, options: CallOptions = {}): Promise<DeadLetter[]> {
    const rows = await runQuery('listDeadLetters', options, () =>
      this.#db
        .selectFrom('ai_sync_dead_letters')
        .select(['record_key as key', 'code', 'reason', 'text_hash as hash', 'attempts'])
        .where('tenant_id', '=', tenantId)
        .where('table_name', '=', tableName)
        .execute(),
    );
    return rows.map(({ key, hash, ...letter }) => ({
      ...letter,
      recordId: JSON.parse(key) as string | number,
      textHash: hash,
    }));
  }

  async saveDeadLetters(
    { tenantId, tableName }: SyncTable,
    letters: readonly DeadLetter[],
    options: CallOptions = {},
  ): Promise<void> {
    for await (const part of takeSlices(letters, rowsPerStatement)) {
      const rows = part.map(({ recordId, code, reason, textHash, attempts }) => ({
        tenant_id: tenantId,
        table_name: tableName,
        record_key: JSON.stringify(recordId),
        code,
        reason,
        text_hash: textHash,
        attempts,
      }));
      await runQuery('saveDeadLetters', options, () =>
        this.#db
          .insertInto('ai_sync_dead_letters')
          .values(rows)
          .onConflict((conflict) =>
            conflict.columns(['tenant_id', 'table_name', 'record_key']).doUpdateSet((eb) => ({
              code: eb.ref('excluded.code'),
              reason: eb.ref('excluded.reason'),
              text_hash: eb.ref('excluded.text_hash'),
              attempts: eb.ref('excluded.attempts'),
            })),
          )
          .execute(),
      );
    }
  }

  async removeDeadLetters(
    { tenantId, tableName }: SyncTable,
    recordIds: readonly (string | number)[],
    options: CallOptions = {},
  ): Promise<void> {
    for await (const part of takeSlices(recordIds, rowsPerStatement)) {
      const keys = part.map((recordId) => JSON.stringify(recordId));
      await runQuery('removeDeadLetters', options, () =>
        this.#db
          .deleteFrom('ai_sync_dead_letters')
          .where('tenant_id', '=', tenantId)
          .where('table_name', '=', tableName)
          .where('record_key', 'in', keys)
          .execute(),
      );
    }
  }
}

function requireHandle(db: KyselyHandle): Kysely<SyncTables> {
  if (typeof db?.selectFrom === 'function') return db as unknown as Kysely<SyncTables>;
  throw new InvalidInputError(`Expected \`db\` to be a Kysely handle or transaction, got ${describeValue(db)}.`);
}
