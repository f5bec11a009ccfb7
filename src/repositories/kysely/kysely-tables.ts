import type { ColumnType, Expression, ExpressionBuilder, Generated, Insertable } from 'kysely';
import type { Integration, UsageRecord } from '../../core/ports/integration-repository.js';
import { AiProviderError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import type { Place, ResolvedMapping } from './integration-mapping.js';

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
    created_at: ColumnType<Date, Date | undefined, never>;
  };
}

type Jsonb = ColumnType<unknown, Expression<string>, never>;

/** The largest value of an INTEGER column. */
export const maximumInteger = 2_147_483_647;
const maximumCost = '999999.9999';

/**
 * The columns of an {@link Integration}, under aliases that are the same with and without Kysely's CamelCasePlugin.
 * JSONB is read as text, so that neither a plugin of the handle nor a type parser of the driver changes its keys and
 * numbers.
 */
export function integrationColumns(eb: ExpressionBuilder<Tables, 'integrations'>, { places }: ResolvedMapping) {
  return [
    'id',
    'tenant_id as tenantId',
    textAt(eb, places.provider).as('provider'),
    textAt(eb, places.baseUrl).as('baseUrl'),
    textAt(eb, places.password).as('password'),
    textAt(eb, places.aiModel).as('aiModel'),
    textAt(eb, places.aiModelConfig).as('aiModelConfig'),
    textAt(eb, places.costConfig).as('costConfig'),
    textAt(eb, places.fallbackIntegrationId).as('fallbackIntegrationId'),
    'active',
  ] as const;
}

/** The value at a place as text; NULL for a field that the table does not have. */
export function textAt(eb: ExpressionBuilder<Tables, 'integrations'>, place: Place | null) {
  if (place === null) return eb.cast<string | null>(eb.val(null), 'text');
  const column = eb.ref(place.column as 'ai_model');
  if (place.path.length === 0) return eb.cast<string | null>(column, 'text');
  const keys = place.path.map((key) => eb.cast<string>(eb.val(key), 'text'));
  return eb.fn<string | null>('jsonb_extract_path_text', [eb.cast(column, 'jsonb'), ...keys]);
}

/** A row as {@link integrationColumns} selects it. */
export interface IntegrationRow {
  /** Text if the column is a BIGINT. */
  readonly id: number | string;
  readonly tenantId: number | string;
  readonly provider: string | null;
  readonly baseUrl: string | null;
  readonly password: string | null;
  readonly aiModel: string | null;
  readonly aiModelConfig: string | null;
  readonly costConfig: string | null;
  readonly fallbackIntegrationId: string | null;
  readonly active: boolean | null;
}

/** Never throws: a row with something other than an object in a JSONB column has a `problem`. */
export function toIntegration(row: IntegrationRow, mapping: ResolvedMapping): Integration {
  const id = Number(row.id);
  const integration = {
    ...row,
    id,
    tenantId: Number(row.tenantId),
    provider: mapping.kindOf(row.provider ?? ''),
    fallbackIntegrationId: row.fallbackIntegrationId === null ? null : Number(row.fallbackIntegrationId),
    active: row.active === true,
  };
  try {
    const aiModelConfig = parseObject(row.aiModelConfig, 'ai_model_config', id);
    return { ...integration, aiModelConfig, costConfig: parseObject(row.costConfig, 'cost_config', id) };
  } catch (error) {
    const problem = error instanceof AiProviderError ? error : notJson(id, error);
    return { ...integration, aiModelConfig: {}, costConfig: {}, problem };
  }
}

function parseObject(json: string | null, column: string, id: number): Readonly<Record<string, unknown>> {
  // Kysely's ParseJSONResultsPlugin, if the host uses it, has parsed the text already.
  const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
  if (value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new AiProviderError(
    `Expected \`${column}\` of integration ${id} to hold a JSON object, got ${describeValue(value)}.`,
    { code: 'invalid_config' },
  );
}

function notJson(id: number, cause: unknown): AiProviderError {
  return new AiProviderError(`Expected the configuration of integration ${id} to be JSON, got another text.`, {
    code: 'invalid_config',
    cause,
  });
}

/** The row of a new integration, each field at its place. Fields inside the same JSONB column are put together. */
export function toNewIntegration(
  eb: ExpressionBuilder<Tables, 'integrations'>,
  tenantId: number,
  fields: Pick<Integration, 'provider' | 'aiModel' | 'aiModelConfig' | 'costConfig'>,
  mapping: ResolvedMapping,
): Insertable<Tables['integrations']> {
  const objects = new Map<string, Record<string, unknown>>();
  const columns: Record<string, unknown> = {};
  const { provider, ...others } = fields;
  const named = { ...others, provider: mapping.namesOf(provider)[0] };
  for (const [field, value] of Object.entries(named)) {
    const place = mapping.places[field as keyof typeof named];
    if (place === null) continue;
    if (place.path.length === 0 && (typeof value !== 'object' || value === null)) columns[place.column] = value;
    else objects.set(place.column, merge(objects.get(place.column) ?? {}, place.path, value));
  }
  for (const [column, object] of objects) columns[column] = toJsonb(eb, object);
  const [type] = mapping.types;
  return { ...columns, tenant_id: tenantId, type, active: true } as Insertable<Tables['integrations']>;
}

function merge(
  object: Record<string, unknown>,
  [key, ...rest]: readonly string[],
  value: unknown,
): Record<string, unknown> {
  if (key === undefined) return { ...object, ...(value as Record<string, unknown>) };
  const inner = rest.length === 0 ? value : merge((object[key] ?? {}) as Record<string, unknown>, rest, value);
  return { ...object, [key]: inner };
}

/**
 * The row of a {@link UsageRecord}. A value that its column cannot hold is cut to the column's limit rather than lost
 * with its row; the exact token counts are then in `request_metadata.exact_counts`.
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
    operation: toVarchar(usage.operation, 50),
    model_name: toVarchar(usage.modelName, 100),
    ...columns,
    cost: usage.cost !== null && Number(usage.cost) > Number(maximumCost) ? maximumCost : usage.cost,
    request_metadata: toJsonb(eb, metadata),
    created_at: usage.occurredAt ?? new Date(),
  };
}

/**
 * Passes JSON as text that PostgreSQL casts: bound as `jsonb` some drivers (postgres.js) would encode it a second time.
 * JSONB holds neither NUL nor half a surrogate pair, which JSON can: both become U+FFFD.
 */
function toJsonb<Table extends keyof Tables>(
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
