import type { AliasableExpression, ExpressionBuilder, Kysely } from 'kysely';
import { lnOfBucketWidth } from '../../core/cost/latency-bucket.js';
import type { UsageGroup, UsageQuery } from '../../core/ports/usage-reader.js';
import type { Tables } from './kysely-tables.js';

type Builder = ExpressionBuilder<Tables, 'ai_usage_trackings'>;

/** What a row must look like to be taken for a number: other writers of the table may have put anything there. */
const numberPattern = '^-?[0-9]{1,30}(\\.[0-9]{1,40})?$';

/**
 * One row for each group; the database adds up, so that a month of millions of requests comes as some thousand rows.
 */
export async function readUsage(db: Kysely<Tables>, query: UsageQuery): Promise<UsageGroup[]> {
  const { tenantId, from, to, timeZone, withTags } = query;
  const rows = await db
    .selectFrom((root) =>
      root
        .selectFrom('ai_usage_trackings')
        .select((eb) => [
          'tenant_id as tenant',
          'provider',
          eb.fn.coalesce('model_name', eb.val('')).as('model'),
          'operation',
          eb.fn<string>('to_char', [localTime(eb, timeZone), eb.val('YYYY-MM-DD')]).as('day'),
          (withTags ? eb.cast<string | null>(field(eb, 'tags', true), 'text') : eb.val<string | null>(null)).as('tags'),
          field(eb, 'cost_source').as('source'),
          field(eb, 'reuse').as('reuse'),
          field(eb, 'error_code').as('error'),
          bucketOf(eb).as('bucket'),
          'input_count as inputs',
          'input_tokens as tokens',
          'output_tokens as generated',
          eb.fn.coalesce(numberOf(eb, 'cost_usd'), eb.cast<string>('cost', 'numeric')).as('paid'),
          numberOf(eb, 'saved_tokens').as('unused'),
          numberOf(eb, 'saved_cost_usd').as('saved'),
        ])
        .where('created_at', '>=', from)
        .where('created_at', '<', to)
        .$if(tenantId !== undefined, (rows) => rows.where('tenant_id', '=', tenantId!))
        .as('usage'),
    )
    .select((eb) => [
      'tenant',
      'provider',
      'model',
      'operation',
      'day',
      'tags',
      'source',
      'reuse',
      'error',
      'bucket',
      eb.fn.countAll<string>().as('count'),
      eb.cast<string>(eb.fn.sum('inputs'), 'text').as('inputs'),
      eb.cast<string>(eb.fn.sum('tokens'), 'text').as('tokens'),
      eb.cast<string>(eb.fn.sum('generated'), 'text').as('generated'),
      eb.cast<string>(eb.fn.sum('paid'), 'text').as('paid'),
      eb.cast<string>(eb.fn.count('paid'), 'text').as('priced'),
      eb.cast<string>(eb.fn.sum('unused'), 'text').as('unused'),
      eb.cast<string>(eb.fn.sum('saved'), 'text').as('saved'),
    ])
    .groupBy(['tenant', 'provider', 'model', 'operation', 'day', 'tags', 'source', 'reuse', 'error', 'bucket'])
    .execute();
  return rows.map((row) => ({
    tenantId: row.tenant,
    provider: row.provider,
    modelName: row.model,
    operation: row.operation,
    day: row.day,
    tags: parseTags(row.tags),
    costSource: row.source,
    reuse: row.reuse,
    errorCode: row.error,
    latencyBucket: row.bucket === null ? null : Number(row.bucket),
    rowCount: Number(row.count),
    inputCount: Number(row.inputs ?? 0),
    inputTokens: Number(row.tokens ?? 0),
    outputTokens: Number(row.generated ?? 0),
    cost: row.paid ?? '0',
    unknownCostCount: Number(row.count) - Number(row.priced),
    savedTokens: Number(row.unused ?? 0),
    savedCost: row.saved ?? '0',
  }));
}

function localTime(eb: Builder, timeZone: string): AliasableExpression<Date> {
  return eb.fn<Date>('timezone', [eb.cast<string>(eb.val(timeZone), 'text'), eb.ref('created_at')]);
}

/** A field of `request_metadata`, as text. */
function field(eb: Builder, name: string, isJson = false): AliasableExpression<string | null> {
  const path = [eb.ref('request_metadata'), eb.cast<string>(eb.val(name), 'text')];
  return eb.fn<string | null>(isJson ? 'jsonb_extract_path' : 'jsonb_extract_path_text', path);
}

/** A field as a number; null for what is not one. */
function numberOf(eb: Builder, name: string): AliasableExpression<string | null> {
  const text = field(eb, name);
  return eb
    .case()
    .when(eb(text, '~', eb.val(numberPattern)))
    .then(eb.cast<string>(text, 'numeric'))
    .end();
}

/** As `latencyBucket` has it. */
function bucketOf(eb: Builder): AliasableExpression<string | null> {
  const duration = eb.fn.coalesce(numberOf(eb, 'duration_ms'), numberOf(eb, 'durationMs'));
  const atLeastOne = eb.fn<string>('greatest', [duration, eb.cast<string>(eb.val('1'), 'numeric')]);
  const width = eb.cast<number>(eb.val(String(lnOfBucketWidth)), 'double precision');
  const logarithm = eb.fn<number>('ln', [eb.cast<number>(atLeastOne, 'double precision')]);
  const bucket = eb.cast<string>(eb.fn<number>('floor', [eb(logarithm, '/', width)]), 'text');
  return eb.case().when(duration, 'is not', null).then(bucket).end();
}

function parseTags(json: unknown): Readonly<Record<string, unknown>> {
  // Kysely's ParseJSONResultsPlugin, if the host uses it, has parsed the text already.
  const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
