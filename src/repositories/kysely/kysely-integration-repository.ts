import type { Kysely } from 'kysely';
import type { CallOptions } from '../../core/ports/call-options.js';
import type { Integration, IntegrationRepository, UsageRecord } from '../../core/ports/integration-repository.js';
import { defaultLocalIntegration } from '../../core/routing/default-local-integration.js';
import { InvalidInputError, RepositoryError } from '../../errors.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';
import { describeValue, requirePositiveInteger, requireTenantId } from '../../internal/validate.js';

import { toRepositoryError } from './kysely-errors.js';
import type { KyselyHandle } from './kysely-handle.js';
import {
  type IntegrationRow,
  integrationColumns,
  maximumInteger,
  type Tables,
  toIntegration,
  toJsonb,
  toUsageRow,
} from './kysely-tables.js';

const type = 'ai_provider';
// The first of the two keys of the advisory lock; any number that other users of such locks in the same database are unlikely to take.
const lockNamespace = 0x70756c73;

/**
 * The host's tables `integrations` and `ai_usage_trackings` through the host's own Kysely handle, on PostgreSQL and PGlite.
 * The handle stays the host's: it is never closed, and nothing but these two tables is touched.
 *
 * Give it a `Transaction` to make its writes part of a transaction of the host. Kysely 0.28 and 0.29; it is not loaded by this library.
 *
 * Every method throws {@link InvalidInputError} for an id that is none, before any I/O, and {@link RepositoryError} where the database fails: it names the
 * operation and the reason, and says whether trying again may help. How long a connection may take is the pool's own option; an abort ends the wait.
 *
 * @example
 * const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
 * const repository = new KyselyIntegrationRepository(db);
 * await repository.listActiveIntegrations(7);
 *
 * @example Tables in a schema that is not on the search path
 * new KyselyIntegrationRepository(db.withSchema('pulse'));
 */
export class KyselyIntegrationRepository implements IntegrationRepository {
  readonly #db: Kysely<Tables>;

  constructor(db: KyselyHandle) {
    if (typeof db?.selectFrom !== 'function') {
      throw new InvalidInputError(`Expected \`db\` to be a Kysely handle or transaction, got ${describeValue(db)}.`);
    }
    this.#db = db as unknown as Kysely<Tables>;
  }

  async listActiveIntegrations(tenantId: number, options: CallOptions = {}): Promise<readonly Integration[]> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    const rows = await run('listActiveIntegrations', options, () =>
      selectIntegrations(this.#db, tenantId).where('active', '=', true).orderBy('id').execute(),
    );
    return rows.map(toIntegration);
  }

  async findIntegration(
    tenantId: number,
    integrationId: number,
    options: CallOptions = {},
  ): Promise<Integration | undefined> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    requireColumnId(requirePositiveInteger(integrationId, 'integrationId'), 'integrationId');
    const row = await run('findIntegration', options, () =>
      selectIntegrations(this.#db, tenantId).where('id', '=', integrationId).executeTakeFirst(),
    );
    return row && toIntegration(row);
  }

  /**
   * Once for a tenant also when many processes ask at the same time: an advisory lock of the transaction orders them. Inside a transaction of the
   * host the row is there for others when that transaction commits; until then they wait.
   */
  async createDefaultLocalIntegration(tenantId: number, options: CallOptions = {}): Promise<Integration> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    const row = await run('createDefaultLocalIntegration', options, async () => {
      const existing = await findLocal(this.#db, tenantId);
      if (existing !== undefined) return existing;
      options.signal?.throwIfAborted();
      if (this.#db.isTransaction) return createLocalOnce(this.#db, tenantId);
      return this.#db
        .transaction()
        .setIsolationLevel('read committed')
        .execute((transaction) => createLocalOnce(transaction, tenantId));
    });
    return toIntegration(row);
  }

  async recordUsage(tenantId: number, usage: UsageRecord, options: CallOptions = {}): Promise<void> {
    requireColumnId(requireTenantId(tenantId), 'tenantId');
    await run('recordUsage', options, () =>
      this.#db
        .insertInto('ai_usage_trackings')
        .values((eb) => toUsageRow(eb, tenantId, usage))
        .execute(),
    );
  }
}

function selectIntegrations(db: Kysely<Tables>, tenantId: number) {
  return db
    .selectFrom('integrations')
    .select((eb) => integrationColumns(eb))
    .where('tenant_id', '=', tenantId)
    .where('type', '=', type);
}

/** The active one where there is any, or else the oldest. */
async function findLocal(db: Kysely<Tables>, tenantId: number): Promise<IntegrationRow | undefined> {
  const rows = await selectIntegrations(db, tenantId)
    .where('provider', '=', defaultLocalIntegration.provider)
    .orderBy('id')
    .execute();
  return rows.find((row) => row.active) ?? rows[0];
}

/** Inside a transaction: waits for others that make the tenant's row, then looks again and makes it. */
async function createLocalOnce(transaction: Kysely<Tables>, tenantId: number): Promise<IntegrationRow> {
  const { isolation } = await transaction
    .selectNoFrom((eb) => [
      eb
        .fn('pg_advisory_xact_lock', [eb.cast(eb.val(lockNamespace), 'integer'), eb.cast(eb.val(tenantId), 'integer')])
        .as('lock'),
      eb.fn<string>('current_setting', [eb.val('transaction_isolation')]).as('isolation'),
    ])
    .executeTakeFirstOrThrow();
  const existing = await findLocal(transaction, tenantId);
  if (existing !== undefined) return existing;
  if (isolation === 'repeatable read') throw notVisible();
  return transaction
    .insertInto('integrations')
    .values((eb) => ({
      tenant_id: tenantId,
      type,
      provider: defaultLocalIntegration.provider,
      ai_model: defaultLocalIntegration.aiModel,
      ai_model_config: toJsonb(eb, defaultLocalIntegration.aiModelConfig),
      cost_config: toJsonb(eb, defaultLocalIntegration.costConfig),
      active: true,
    }))
    .returning((eb) => integrationColumns(eb))
    .executeTakeFirstOrThrow();
}

/** A snapshot taken before the lock does not show a row that another transaction has committed since: it would be made twice. */
function notVisible(): RepositoryError {
  const operation = 'createDefaultLocalIntegration';
  return new RepositoryError(
    `${operation} failed: inside a REPEATABLE READ transaction it cannot be known whether another process has just made the row. ` +
      'Call it outside the transaction, or use READ COMMITTED.',
    { operation, isRetryable: false, cause: undefined },
  );
}

/** The driver cannot be told to stop: an aborted call rejects at once, and what was sent is carried out or not by the database alone. */
async function run<Result>(operation: string, options: CallOptions, query: () => Promise<Result>): Promise<Result> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    return await rejectOnAbort(query(), signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw toRepositoryError(operation, error);
  }
}

function requireColumnId(id: number, name: string): void {
  if (id <= maximumInteger) return;
  throw new InvalidInputError(`Expected \`${name}\` to be at most ${maximumInteger}, as its column is, got ${id}.`);
}
