import { type Generated, type Kysely, sql } from 'kysely';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import type {
  IntegrationFixture,
  IntegrationRepositoryFixture,
  RecordedUsage,
} from '#src/testing/integration-repository-contract.js';

/** The tables as a host declares them, more loosely than the library does. */
export interface HostDatabase {
  integrations: {
    id: Generated<number>;
    provider: string;
    type: string;
    base_url: string | null;
    password: string | null;
    ai_model: string | null;
    ai_model_config: unknown;
    cost_config: unknown;
    fallback_integration_id: number | null;
    tenant_id: number;
    active: boolean | null;
  };
  ai_usage_trackings: {
    id: Generated<number>;
    tenant_id: number;
    provider: string;
    operation: RecordedUsage['operation'];
    model_name: string;
    input_count: number;
    input_tokens: number | null;
    output_tokens: number | null;
    total_tokens: number | null;
    cost: string | null;
    request_metadata: Record<string, unknown>;
  };
}

/** The contract's view of a repository on a handle; the repository's own queries are not used to prepare or to look. */
export function kyselyFixture(db: Kysely<HostDatabase>, close: () => Promise<void>): IntegrationRepositoryFixture {
  return {
    repository: new KyselyIntegrationRepository(db),
    addIntegration: (row) => addIntegration(db, row),
    readUsage: (tenantId) => readUsage(db, tenantId),
    close,
  };
}

export async function addIntegration(db: Kysely<HostDatabase>, row: IntegrationFixture): Promise<number> {
  const json = (value: unknown) => (value === null ? null : sql`${JSON.stringify(value)}::text::jsonb`);
  const { id } = await db
    .insertInto('integrations')
    .values({
      tenant_id: row.tenantId,
      provider: row.provider,
      type: row.type ?? 'ai_provider',
      base_url: row.baseUrl ?? null,
      password: row.password ?? null,
      ai_model: row.aiModel ?? null,
      fallback_integration_id: row.fallbackIntegrationId ?? null,
      active: row.active === undefined ? true : row.active,
      ...(row.aiModelConfig === undefined ? {} : { ai_model_config: json(row.aiModelConfig) }),
      ...(row.costConfig === undefined ? {} : { cost_config: json(row.costConfig) }),
    } as never)
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

export async function readUsage(db: Kysely<HostDatabase>, tenantId: number): Promise<RecordedUsage[]> {
  const rows = await db
    .selectFrom('ai_usage_trackings')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('id')
    .execute();
  return rows.map((row) => ({
    provider: row.provider,
    operation: row.operation,
    modelName: row.model_name,
    inputCount: row.input_count,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    totalTokens: row.total_tokens,
    cost: row.cost,
    requestMetadata: row.request_metadata,
  }));
}
