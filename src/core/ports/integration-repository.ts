import type { CallOptions } from './call-options.js';

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
  /** False also where the column is NULL. */
  readonly active: boolean;
}

/** A row for `ai_usage_trackings`. */
export interface UsageRecord {
  readonly provider: string;
  readonly operation: UsageOperation;
  readonly modelName: string;
  readonly inputCount: number;
  /** Null where the provider did not say; the columns may hold NULL. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /**
   * US dollars as a decimal string with at most four decimals, which is all that the column holds, or null where the price is unknown. The exact
   * amount stands in `requestMetadata`.
   */
  readonly cost: string | null;
  readonly requestMetadata: Readonly<Record<string, unknown>>;
}

export type UsageOperation = 'embedding' | 'text_generation' | 'analysis';

/**
 * The host's two tables. Every method is bound to one tenant: there is no way to read or write across tenants.
 * A failure of the database is a `RepositoryError` that names the operation and says whether it is worth retrying.
 */
export interface IntegrationRepository {
  /** The tenant's active integrations of type `ai_provider`, ordered by id. */
  listActiveIntegrations(tenantId: number, options?: CallOptions): Promise<readonly Integration[]>;

  /** One of the tenant's integrations of type `ai_provider`, active or not; undefined also where the row is another tenant's. */
  findIntegration(tenantId: number, integrationId: number, options?: CallOptions): Promise<Integration | undefined>;

  /**
   * The tenant's `sentence_transformers` integration, made with defaults (all-MiniLM-L6-v2, batch_size 32, normalised, cost 0) where there is
   * none; once, also when many processes ask at the same time. An existing row is returned as it is, also an inactive one: an
   * administrator who switched it off is not overruled.
   */
  createDefaultLocalIntegration(tenantId: number, options?: CallOptions): Promise<Integration>;

  /** Appends one row. */
  recordUsage(tenantId: number, usage: UsageRecord, options?: CallOptions): Promise<void>;
}
