import type { ColumnType, Expression, ExpressionBuilder, Generated, Insertable } from 'kysely';
import type { Integration, UsageRecord } from '../../core/ports/integration-repository.js';
import { AiProviderError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';

/** The columns of the host's two tables that the library touches. */
export interface Tables {
  integrations: {
    id: Generated<number>;
    provider: string;
    type: string;
    password: string | null;
    base_url: string | null;
    ai_model: string | null;
    ai_model_config: Jsonb;
    cost_config: Jsonb;
    fallback_integration_id: number | null;
    tenant_id: number;
    active: boolean | null;
  };
  ai_usage_trackings: {
    tenant_id: number;
    provider: string;
    operation: string;
    model_name: string | null;
    input_count: number | null;
    input_tokens: number | null;
    output_tokens: number | null;
    total_tokens: number | null;
    cost: ColumnType<string, string | null, never>;
    request_metadata: Jsonb;
  };
}

type Jsonb = ColumnType<unknown, Expression<string>, never>;

/** The largest value of an INTEGER column. */
export const maximumInteger = 2_147_483_647;
const maximumCost = '999999.9999';

/**
 * The columns of an {@link Integration}, under aliases that are the same with and without Kysely's CamelCasePlugin. JSONB is read as text, so that
 * neither a plugin of the handle nor a type parser of the driver changes its keys and numbers.
 */
export function integrationColumns(eb: ExpressionBuilder<Tables, 'integrations'>) {
  return [
    'id',
    'tenant_id as tenantId',
    'provider',
    'base_url as baseUrl',
    'password',
    'ai_model as aiModel',
    eb.cast<string | null>('ai_model_config', 'text').as('aiModelConfig'),
    eb.cast<string | null>('cost_config', 'text').as('costConfig'),
    'fallback_integration_id as fallbackIntegrationId',
    'active',
  ] as const;
}

/** A row as {@link integrationColumns} selects it. */
export interface IntegrationRow {
  readonly id: number;
  readonly tenantId: number;
  readonly provider: string;
  readonly baseUrl: string | null;
  readonly password: string | null;
  readonly aiModel: string | null;
  readonly aiModelConfig: string | null;
  readonly costConfig: string | null;
  readonly fallbackIntegrationId: number | null;
  readonly active: boolean | null;
}

/** @throws {@link AiProviderError} `invalid_config` where a JSONB column holds something other than an object or null. */
export function toIntegration(row: IntegrationRow): Integration {
  return {
    ...row,
    aiModelConfig: parseObject(row.aiModelConfig, 'ai_model_config', row.id),
    costConfig: parseObject(row.costConfig, 'cost_config', row.id),
    active: row.active === true,
  };
}

function parseObject(json: string | null, column: string, id: number): Readonly<Record<string, unknown>> {
  // Kysely's ParseJSONResultsPlugin, where the host uses it, has parsed the text already.
  const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
  if (value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new AiProviderError(
    `Expected \`${column}\` of integration ${id} to hold a JSON object, got ${describeValue(value)}.`,
    { code: 'invalid_config' },
  );
}

/**
 * The row of a {@link UsageRecord}. A value that its column cannot hold is cut to the column's limit rather than lost with its row; the exact
 * token counts then stand in `request_metadata.exact_counts`.
 */
export function toUsageRow(
  eb: ExpressionBuilder<Tables, 'ai_usage_trackings'>,
  tenantId: number,
  usage: UsageRecord,
): Insertable<Tables['ai_usage_trackings']> {
  const counts = {
    input_count: usage.inputCount,
    input_tokens: usage.inputTokens,
    output_tokens: usage.outputTokens,
    total_tokens:
      usage.inputTokens === null || usage.outputTokens === null ? null : usage.inputTokens + usage.outputTokens,
  };
  const columns = {
    input_count: toInteger(counts.input_count),
    input_tokens: toInteger(counts.input_tokens),
    output_tokens: toInteger(counts.output_tokens),
    total_tokens: toInteger(counts.total_tokens),
  };
  const isExact = JSON.stringify(columns) === JSON.stringify(counts);
  const metadata = isExact ? usage.requestMetadata : { ...usage.requestMetadata, exact_counts: counts };
  return {
    tenant_id: tenantId,
    provider: toVarchar(usage.provider, 50),
    operation: usage.operation,
    model_name: toVarchar(usage.modelName, 100),
    ...columns,
    cost: usage.cost !== null && Number(usage.cost) > Number(maximumCost) ? maximumCost : usage.cost,
    request_metadata: toJsonb(eb, metadata),
  };
}

/**
 * Passes JSON as text that PostgreSQL casts: bound as `jsonb` some drivers (postgres.js) would encode it a second time. JSONB holds neither NUL
 * nor half a surrogate pair, which JSON can: both become U+FFFD.
 */
export function toJsonb<Table extends keyof Tables>(
  eb: ExpressionBuilder<Tables, Table>,
  value: Readonly<Record<string, unknown>>,
): Expression<string> {
  const json = JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field));
  const storable = json.replace(/\\(?:u0000|ud[89a-f][0-9a-f]{2}|.)/g, (sequence) =>
    /^\\u(?:0000|d[89a-f])/.test(sequence) ? '\\ufffd' : sequence,
  );
  return eb.cast<string>(eb.cast<string>(eb.val(storable), 'text'), 'jsonb');
}

function toInteger(count: number | null): number | null {
  if (count === null || Number.isNaN(count)) return null;
  return Math.min(Math.trunc(count), maximumInteger);
}

function toVarchar(text: string, maximumLength: number): string {
  return [...text.replaceAll('\0', '\ufffd')].slice(0, maximumLength).join('');
}
