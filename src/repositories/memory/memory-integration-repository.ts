import type { CallOptions } from '../../core/ports/call-options.js';
import type { Integration, IntegrationRepository, UsageRecord } from '../../core/ports/integration-repository.js';
import type { UsageGroup, UsageQuery } from '../../core/ports/usage-reader.js';
import { defaultLocalIntegration } from '../../core/routing/default-local-integration.js';
import { requirePositiveInteger, requireTenantId } from '../../internal/validate.js';
import { readUsage } from './read-usage.js';

/**
 * A row to start with. What is left out is as the host's table has it: null, `{}`, `ai_provider`, active, and the next
 * free id.
 */
export interface MemoryIntegration extends Partial<Omit<Integration, 'active'>> {
  readonly tenantId: number;
  readonly provider: string;
  readonly type?: string;
  readonly active?: boolean | null;
}

/** A recorded {@link UsageRecord}, as `ai_usage_trackings` would hold it. */
export interface MemoryUsage extends UsageRecord {
  readonly tenantId: number;
  /** Null if one of the two counts is unknown. */
  readonly totalTokens: number | null;
  readonly createdAt: Date;
}

export interface MemoryIntegrationRepositoryOptions {
  readonly integrations?: readonly MemoryIntegration[] | undefined;
}

/**
 * Integrations and usage in this process's memory: for tests, scripts and hosts without a database.
 *
 * @example
 * const repository = new MemoryIntegrationRepository({
 *   integrations: [
 *     { tenantId: 1, provider: 'wex_ai_gateway', baseUrl, password, costConfig: { cost_per_1k_tokens: 0.00002 } },
 *   ],
 * });
 */
export class MemoryIntegrationRepository implements IntegrationRepository {
  readonly #rows = new Map<number, Integration & { readonly type: string }>();
  readonly #usage: MemoryUsage[] = [];

  constructor(options: MemoryIntegrationRepositoryOptions = {}) {
    for (const row of options.integrations ?? []) this.saveIntegration(row);
  }

  /** Everything recorded so far, in that order. */
  get usage(): readonly MemoryUsage[] {
    return [...this.#usage];
  }

  /** Adds a row, or replaces the one with the same id. */
  saveIntegration(row: MemoryIntegration): Integration {
    const id = row.id ?? Math.max(0, ...this.#rows.keys()) + 1;
    const saved = {
      id: requirePositiveInteger(id, 'id'),
      tenantId: requireTenantId(row.tenantId),
      provider: row.provider,
      type: row.type ?? 'ai_provider',
      baseUrl: row.baseUrl ?? null,
      password: row.password ?? null,
      aiModel: row.aiModel ?? null,
      aiModelConfig: structuredClone(row.aiModelConfig ?? {}),
      costConfig: structuredClone(row.costConfig ?? {}),
      fallbackIntegrationId: row.fallbackIntegrationId ?? null,
      active: row.active === undefined || row.active === true,
    };
    this.#rows.set(id, saved);
    return toIntegration(saved);
  }

  async listActiveIntegrations(tenantId: number, options: CallOptions = {}): Promise<readonly Integration[]> {
    return this.#select(tenantId, options).filter((row) => row.active);
  }

  async findIntegration(
    tenantId: number,
    integrationId: number,
    options: CallOptions = {},
  ): Promise<Integration | undefined> {
    requirePositiveInteger(integrationId, 'integrationId');
    return this.#select(tenantId, options).find((row) => row.id === integrationId);
  }

  async createDefaultLocalIntegration(tenantId: number, options: CallOptions = {}): Promise<Integration> {
    const local = this.#select(tenantId, options).filter((row) => row.provider === defaultLocalIntegration.provider);
    return (
      local.find((row) => row.active) ?? local[0] ?? this.saveIntegration({ tenantId, ...defaultLocalIntegration })
    );
  }

  async recordUsage(tenantId: number, usage: UsageRecord, options: CallOptions = {}): Promise<void> {
    requireTenantId(tenantId);
    options.signal?.throwIfAborted();
    const { occurredAt = new Date(), ...columns } = usage;
    const { inputTokens, outputTokens } = columns;
    this.#usage.push({
      ...structuredClone(columns),
      tenantId,
      totalTokens: inputTokens === null || outputTokens === null ? null : inputTokens + outputTokens,
      createdAt: occurredAt,
    });
  }

  /** What was used. Without a tenant in the query it reads all tenants' rows: for operators. */
  async readUsage(query: UsageQuery, options: CallOptions = {}): Promise<UsageGroup[]> {
    if (query.tenantId !== undefined) requireTenantId(query.tenantId);
    options.signal?.throwIfAborted();
    return readUsage(this.#usage, query);
  }

  #select(tenantId: number, options: CallOptions): Integration[] {
    requireTenantId(tenantId);
    options.signal?.throwIfAborted();
    return [...this.#rows.values()]
      .filter((row) => row.tenantId === tenantId && row.type === 'ai_provider')
      .toSorted((a, b) => a.id - b.id)
      .map(toIntegration);
  }
}

/** A copy: what a caller does to it stays with the caller. */
function toIntegration({ type: _, ...integration }: Integration & { readonly type: string }): Integration {
  return structuredClone(integration);
}
