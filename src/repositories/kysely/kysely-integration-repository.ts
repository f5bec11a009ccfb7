import type { Kysely } from 'kysely';
import type { CallOptions } from '../../core/ports/call-options.js';
import type {
  Integration,
  IntegrationRepository,
  RecordUsageRowsOptions,
  TenantUsage,
  UsageRecord,
} from '../../core/ports/integration-repository.js';
import type { UsageGroup, UsageQuery } from '../../core/ports/usage-reader.js';
import { defaultLocalIntegration } from '../../core/routing/default-local-integration.js';
import { InvalidInputError, RepositoryError } from '../../errors.js';
import { describeValue, requirePositiveInteger, requireTenantId } from '../../internal/validate.js';
import { type IntegrationMapping, type ResolvedMapping, resolveMapping } from './integration-mapping.js';
import { runQuery } from './kysely-errors.js';
import type { KyselyHandle, KyselyHandles } from './kysely-handle.js';
import {
  type IntegrationRow,
  integrationColumns,
  maximumInteger,
  type Tables,
  textAt,
  toIntegration,
  toNewIntegration,
} from './kysely-tables.js';
import { readUsage } from './read-usage.js';
import { insertUsageRows } from './usage-rows.js';

// The first of the two keys of the advisory lock; any number that other users of such locks in the same database are
// unlikely to take.
const lockNamespace = 0x70756c73;

/**
 * The host's tables `integrations` and `ai_usage_trackings` through the host's own Kysely handle, on PostgreSQL and
 * PGlite. The handle stays the host's: it is never closed, and nothing but these two tables is touched.
 *
 * Give it a `Transaction` to make its writes part of a transaction of the host. Kysely 0.28 and 0.29; it is not loaded
 * by this library.
 *
 * Every method throws {@link InvalidInputError} for an invalid id, before any I/O, and {@link RepositoryError} if the
 * database fails: it names the operation and the reason, and says whether trying again may help. How long a connection
 * may take is the pool's own option; an abort ends the wait.
 *
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
 * const repository = new KyselyIntegrationRepository(db);
 * await repository.listActiveIntegrations(7);
 *
 * @example Tables in a schema that is not on the search path
 * new KyselyIntegrationRepository(db.withSchema('pulse'));
 *
 * @example Rows from a replica, and a platform whose rows differ
 * new KyselyIntegrationRepository(
 *   { read: replica, write: primary },
 *   {
 *     types: ['AI'],
 *     providerNames: { 'WEX AI Gateway': 'wex_ai_gateway' },
 *     columns: { aiModel: 'settings.model_path' },
 *   },
 * );
 */
export class KyselyIntegrationRepository implements IntegrationRepository {
  /** Usage rows are then written through, each batch inside a savepoint. */
  readonly isTransaction: boolean;
  readonly #read: Kysely<Tables>;
  readonly #write: Kysely<Tables>;
  readonly #mapping: ResolvedMapping;

  /** @throws {@link InvalidInputError} for something other than a handle, or a mapping that cannot be used. */
  constructor(db: KyselyHandle | KyselyHandles, mapping?: IntegrationMapping) {
    const { read, write } = isHandles(db) ? db : { read: db, write: db };
    this.#read = requireHandle(read, isHandles(db) ? 'db.read' : 'db');
    this.#write = requireHandle(write, isHandles(db) ? 'db.write' : 'db');
    this.#mapping = resolveMapping(mapping);
    this.isTransaction = this.#write.isTransaction;
  }

  async listActiveIntegrations(tenantId: number, options: CallOptions = {}): Promise<readonly Integration[]> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    const rows = await runQuery('listActiveIntegrations', options, () =>
      this.#select(this.#read, tenantId).where('active', '=', true).orderBy('id').execute(),
    );
    return rows.map((row) => toIntegration(row, this.#mapping));
  }

  async findIntegration(
    tenantId: number,
    integrationId: number,
    options: CallOptions = {},
  ): Promise<Integration | undefined> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    requireColumnId(requirePositiveInteger(integrationId, 'integrationId'), 'integrationId');
    const row = await runQuery('findIntegration', options, () =>
      this.#select(this.#read, tenantId).where('id', '=', integrationId).executeTakeFirst(),
    );
    return row && toIntegration(row, this.#mapping);
  }

  /**
   * Once for a tenant also when many processes ask at the same time: an advisory lock of the transaction orders them.
   * Inside a transaction of the host the row is there for others when that transaction commits; until then they wait.
   */
  async createDefaultLocalIntegration(tenantId: number, options: CallOptions = {}): Promise<Integration> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    const row = await runQuery('createDefaultLocalIntegration', options, async () => {
      const existing = await this.#findLocal(this.#write, tenantId);
      if (existing !== undefined) return existing;
      options.signal?.throwIfAborted();
      if (this.#write.isTransaction) return this.#createLocalOnce(this.#write, tenantId);
      return this.#write
        .transaction()
        .setIsolationLevel('read committed')
        .execute((transaction) => this.#createLocalOnce(transaction, tenantId));
    });
    return toIntegration(row, this.#mapping);
  }

  /** Whether the table has a row of the tenant, of whatever type. */
  async tenantExists(tenantId: number, options: CallOptions = {}): Promise<boolean> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    const row = await runQuery('tenantExists', options, () =>
      this.#read.selectFrom('integrations').select('id').where('tenant_id', '=', tenantId).limit(1).executeTakeFirst(),
    );
    return row !== undefined;
  }

  async recordUsage(tenantId: number, usage: UsageRecord, options: CallOptions = {}): Promise<void> {
    await this.recordUsageRows([{ tenantId, usage }], options, 'recordUsage');
  }

  /**
   * One INSERT with a statement timeout of its own. A savepoint keeps a transaction of the host usable if the INSERT is
   * refused.
   *
   * @throws {@link RepositoryError} with `isAboutRow` if a row is refused for its values.
   */
  async recordUsageRows(
    rows: readonly TenantUsage[],
    options: RecordUsageRowsOptions = {},
    operation = 'recordUsageRows',
  ): Promise<void> {
    for (const { tenantId } of rows) requireColumnId(requireTenantId(tenantId), 'tenantId');
    await runQuery(operation, options, () => insertUsageRows(this.#write, rows, options));
  }

  #select(db: Kysely<Tables>, tenantId: number) {
    return db
      .selectFrom('integrations')
      .select((eb) => integrationColumns(eb, this.#mapping))
      .where('tenant_id', '=', tenantId)
      .where('type', 'in', this.#mapping.types);
  }

  /** The active one if there is any, or else the oldest. */
  async #findLocal(db: Kysely<Tables>, tenantId: number): Promise<IntegrationRow | undefined> {
    const names = this.#mapping.namesOf(defaultLocalIntegration.provider);
    const rows = await this.#select(db, tenantId)
      .where((eb) => eb(textAt(eb, this.#mapping.places.provider), 'in', names))
      .orderBy('id')
      .execute();
    return rows.find((row) => row.active) ?? rows[0];
  }

  /** Inside a transaction: waits for others that make the tenant's row, then looks again and makes it. */
  async #createLocalOnce(transaction: Kysely<Tables>, tenantId: number): Promise<IntegrationRow> {
    const { isolation } = await transaction
      .selectNoFrom((eb) => [
        eb
          .fn('pg_advisory_xact_lock', [
            eb.cast(eb.val(lockNamespace), 'integer'),
            eb.cast(eb.val(tenantId), 'integer'),
          ])
          .as('lock'),
        eb.fn<string>('current_setting', [eb.val('transaction_isolation')]).as('isolation'),
      ])
      .executeTakeFirstOrThrow();
    const existing = await this.#findLocal(transaction, tenantId);
    if (existing !== undefined) return existing;
    if (isolation === 'repeatable read') throw notVisible();
    return transaction
      .insertInto('integrations')
      .values((eb) => toNewIntegration(eb, tenantId, defaultLocalIntegration, this.#mapping))
      .returning((eb) => integrationColumns(eb, this.#mapping))
      .executeTakeFirstOrThrow();
  }

  /**
   * What was used, added up by the database. Without a tenant in the query it reads all tenants' rows: for operators.
   */
  async readUsage(query: UsageQuery, options: CallOptions = {}): Promise<UsageGroup[]> {
    if (query.tenantId !== undefined) requireColumnId(requireTenantId(query.tenantId), 'tenantId');
    return runQuery('readUsage', options, () => readUsage(this.#read, query));
  }
}

function isHandles(db: KyselyHandle | KyselyHandles): db is KyselyHandles {
  return typeof db === 'object' && db !== null && 'read' in db && 'write' in db;
}

function requireHandle(handle: KyselyHandle, name: string): Kysely<Tables> {
  if (typeof handle?.selectFrom === 'function') return handle as unknown as Kysely<Tables>;
  throw new InvalidInputError(
    `Expected \`${name}\` to be a Kysely handle or transaction, got ${describeValue(handle)}.`,
  );
}

/**
 * A snapshot taken before the lock does not show a row that another transaction has committed since: it would be made
 * twice.
 */
function notVisible(): RepositoryError {
  const operation = 'createDefaultLocalIntegration';
  return new RepositoryError(
    `${operation} failed: inside a REPEATABLE READ transaction it cannot be known whether another process has just made the row. ` +
      'Call it outside the transaction, or use READ COMMITTED.',
    { operation, isRetryable: false, cause: undefined },
  );
}

function requireColumnId(id: number, name: string): void {
  if (id <= maximumInteger) return;
  throw new InvalidInputError(`Expected \`${name}\` to be at most ${maximumInteger}, as its column is, got ${id}.`);
}
