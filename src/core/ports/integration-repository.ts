import type { AiProviderError } from '../../errors.js';
import type { CallOptions } from './call-options.js';
import type { UsageOperation } from './usage-recorder.js';

/** A row of `integrations` with type `ai_provider`. */
export interface Integration {
  readonly id: number;
  readonly tenantId: number;
  /** `wex_ai_gateway`, `sentence_transformers`, `openai`, … */
  readonly provider: string;
  readonly baseUrl: string | null;
  /** The encrypted API key: a Fernet token. */
  readonly password: string | null;
  readonly aiModel: string | null;
  /** `timeout` (seconds), `batch_size`, `max_retries`, `temperature`, `max_tokens`, … */
  readonly aiModelConfig: Readonly<Record<string, unknown>>;
  /** Prices, such as `{ cost_per_1k_tokens: 0.00002 }`. */
  readonly costConfig: Readonly<Record<string, unknown>>;
  readonly fallbackIntegrationId: number | null;
  /** False also if the column is NULL. */
  readonly active: boolean;
  /** Why the row cannot be used, if it cannot be read. Its other fields are then as far as they could be read. */
  readonly problem?: AiProviderError | undefined;
}

/** A row for `ai_usage_trackings`. */
export interface UsageRecord {
  readonly provider: string;
  readonly operation: UsageOperation;
  readonly modelName: string;
  readonly inputCount: number;
  /** Null if the provider did not say; the columns may hold NULL. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /**
   * US dollars as a decimal string with at most four decimals, which is all that the column holds, or null if the price
   * is unknown. The exact amount is in `requestMetadata.cost_usd`.
   */
  readonly cost: string | null;
  readonly requestMetadata: Readonly<Record<string, unknown>>;
  /** When the tokens were used: goes into `created_at`, however late the row is written. @default when it is written */
  readonly occurredAt?: Date | undefined;
}

export interface TenantUsage {
  readonly tenantId: number;
  readonly usage: UsageRecord;
}

export interface RecordUsageRowsOptions extends CallOptions {
  /**
   * An earlier write of some of the rows may have gone through: look for them by `requestMetadata.usage_id`, and write
   * only the others.
   */
  readonly mayExist?: boolean | undefined;
}

/**
 * The host's two tables. Every method is bound to one tenant: there is no way to read across tenants.
 * A failure of the database is a `RepositoryError` that names the operation and says whether it is worth retrying.
 */
export interface IntegrationRepository {
  /** Rows are written inside a transaction of the host, and so have to be written before the call returns. */
  readonly isTransaction?: boolean;

  /**
   * The tenant's active integrations of type `ai_provider`, ordered by id. A row that cannot be read has a `problem`
   * and does not keep the others from being returned.
   */
  listActiveIntegrations(tenantId: number, options?: CallOptions): Promise<readonly Integration[]>;

  /**
   * One of the tenant's integrations of type `ai_provider`, active or not; undefined also if the row is another
   * tenant's.
   */
  findIntegration(tenantId: number, integrationId: number, options?: CallOptions): Promise<Integration | undefined>;

  /**
   * The tenant's `sentence_transformers` integration, made with defaults (all-MiniLM-L6-v2, batch_size 32, normalised,
   * cost 0) if it is missing; once, also when many processes ask at the same time. An existing row is returned as it
   * is, also an inactive one: an administrator who switched it off is not overruled.
   */
  createDefaultLocalIntegration(tenantId: number, options?: CallOptions): Promise<Integration>;

  /** Whether the host's tables show that there is such a tenant. Without this method every tenant counts as known. */
  tenantExists?(tenantId: number, options?: CallOptions): Promise<boolean>;

  /** Appends one row. */
  recordUsage(tenantId: number, usage: UsageRecord, options?: CallOptions): Promise<void>;

  /**
   * Appends rows of one or several tenants, all or none. Without this method they are written one by one. A failure
   * that is the fault of a row is a `RepositoryError` with `isAboutRow`. Inside a transaction of the host, a failure
   * must leave the transaction usable.
   */
  recordUsageRows?(rows: readonly TenantUsage[], options?: RecordUsageRowsOptions): Promise<void>;
}
