import Big from 'big.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue, requireTenantId } from '../../internal/validate.js';
import type { CallOptions } from '../ports/call-options.js';
import type { UsageGroup, UsageReader } from '../ports/usage-reader.js';
import { percentileOf } from './latency-bucket.js';

/** What a report can be broken down by. */
export type UsageDimension = 'tenant' | 'provider' | 'model' | 'operation' | 'day' | 'tag';

const dimensions: readonly UsageDimension[] = ['tenant', 'provider', 'model', 'operation', 'day', 'tag'];

export interface UsageReportOptions extends CallOptions {
  /** @default all tenants: for operators, never on behalf of one tenant */
  readonly tenantId?: number | undefined;
  /** The first moment of the report. */
  readonly from: Date;
  /** The first moment that is not in it any more. @default now */
  readonly to?: Date | undefined;
  /**
   * What has a row of its own. With `tag`, each `key=value` of a call's tags has one, so that a request with two tags
   * is in two rows.
   * @default ['provider', 'model', 'operation']
   */
  readonly by?: readonly UsageDimension[] | undefined;
  /** Which days requests belong to: an IANA name such as `Europe/Berlin`. @default 'UTC' */
  readonly timeZone?: string | undefined;
  /**
   * What a token of a paid embedding model would cost, in US dollars for 1,000, if nothing was paid in the time of the
   * report that would tell. Texts that a free provider embedded count as saved at this price.
   * @default nothing is saved by free providers then
   */
  readonly referencePrice?: number | undefined;
}

/** What was used, paid and saved. */
export interface UsageFigures {
  /** Requests to providers, those that failed included. */
  readonly requests: number;
  readonly failures: number;
  /** Texts that were embedded, and prompts. */
  readonly texts: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Exact US dollars as a decimal string, without the requests of unknown cost. */
  readonly cost: string;
  readonly unknownCostRequests: number;
  /** How many requests have their cost from where: `row`, `reported`, `catalogue`, `unknown`. */
  readonly costSources: Readonly<Record<string, number>>;
  /** Half of the requests took no longer, in milliseconds, to 5 %; null if no duration is known. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  /** Texts whose vector came from the cache or from another call. */
  readonly cacheHits: number;
  /** Records that were stored already as they are, or with other metadata only. */
  readonly unchangedTexts: number;
  /**
   * What the avoided requests would have cost, in US dollars: of cache hits and unchanged records as it was reckoned
   * then, of texts that a free provider embedded at the average price of the paid embeddings of the report, or at
   * `referencePrice`.
   */
  readonly saved: string;
}

export type UsageReportRow = UsageFigures & Readonly<Partial<Record<UsageDimension, string>>>;

export interface UsageReport {
  readonly tenantId: number | undefined;
  readonly from: Date;
  readonly to: Date;
  readonly timeZone: string;
  /** The most expensive first; by day in the order of the days. */
  readonly rows: readonly UsageReportRow[];
  readonly total: UsageFigures;
  /** The same figures broken down in another way, without another read. `tag` only if the report was made with it. */
  by(...dimensions: UsageDimension[]): readonly UsageReportRow[];
}

/**
 * What was used in a time: requests, tokens, cost, failures, latency, and what was saved.
 *
 * @throws `InvalidInputError` for unusable options; what the reader throws.
 */
export async function readUsageReport(reader: UsageReader, options: UsageReportOptions): Promise<UsageReport> {
  const { tenantId, from, to, by, timeZone, referencePrice } = checkOptions(options);
  const query = { tenantId, from, to, timeZone, withTags: by.includes('tag') };
  const groups = await reader.readUsage(query, { signal: options.signal });
  const pricePerToken = averagePrice(groups) ?? referencePrice?.times('0.001');
  const breakDown = (...names: UsageDimension[]) => toRows(groups, names, pricePerToken);
  const rows = breakDown(...by);
  return { tenantId, from, to, timeZone, rows, total: new Sum(pricePerToken, groups).figures, by: breakDown };
}

function checkOptions(options: UsageReportOptions) {
  const { tenantId, from, to = new Date(), by = ['provider', 'model', 'operation'], timeZone = 'UTC' } = options;
  if (tenantId !== undefined) requireTenantId(tenantId);
  for (const [name, value] of Object.entries({ from, to })) {
    if (value instanceof Date && !Number.isNaN(value.getTime())) continue;
    throw new InvalidInputError(`Expected \`${name}\` to be a valid Date, got ${describeValue(value)}.`);
  }
  if (from.getTime() >= to.getTime()) throw new InvalidInputError('Expected `from` to be before `to`.');
  if (!Array.isArray(by) || by.length === 0 || !by.every((name) => dimensions.includes(name))) {
    throw new InvalidInputError(`Expected \`by\` to be a list of ${dimensions.join(', ')}.`);
  }
  requireTimeZone(timeZone);
  const { referencePrice } = options;
  if (referencePrice !== undefined && !(Number.isFinite(referencePrice) && referencePrice >= 0)) {
    throw new InvalidInputError(
      `Expected \`referencePrice\` to be a number from 0 up, got ${describeValue(referencePrice)}.`,
    );
  }
  return {
    tenantId,
    from,
    to,
    by,
    timeZone,
    referencePrice: referencePrice === undefined ? undefined : new Big(referencePrice),
  };
}

/** @throws `InvalidInputError` unless `value` is a time zone that this runtime knows. */
export function requireTimeZone(value: unknown): string {
  try {
    if (typeof value !== 'string') throw new RangeError('not a string');
    new Intl.DateTimeFormat('en', { timeZone: value });
    return value;
  } catch (cause) {
    throw new InvalidInputError(
      `Expected \`timeZone\` to be an IANA time zone such as Europe/Berlin, got ${describeValue(value)}.`,
      { cause },
    );
  }
}

/** US dollars a token of the embeddings that were paid for. */
function averagePrice(groups: readonly UsageGroup[]): Big | undefined {
  let cost = new Big(0);
  let tokens = 0;
  for (const group of groups) {
    if (group.operation !== 'embedding' || group.reuse !== null || new Big(group.cost).eq(0)) continue;
    cost = cost.plus(group.cost);
    tokens += group.inputTokens;
  }
  return tokens === 0 ? undefined : cost.div(tokens);
}

function toRows(
  groups: readonly UsageGroup[],
  names: readonly UsageDimension[],
  pricePerToken: Big | undefined,
): UsageReportRow[] {
  const sums = new Map<string, { readonly labels: Record<string, string>; readonly sum: Sum }>();
  for (const group of groups) {
    for (const labels of labelsOf(group, names)) {
      const key = JSON.stringify(labels);
      let entry = sums.get(key);
      if (entry === undefined) {
        entry = { labels, sum: new Sum(pricePerToken) };
        sums.set(key, entry);
      }
      entry.sum.add(group);
    }
  }
  const rows = [...sums.values()].map(({ labels, sum }): UsageReportRow => ({ ...labels, ...sum.figures }));
  return rows.toSorted(
    (a, b) =>
      (a.day ?? '').localeCompare(b.day ?? '') ||
      new Big(b.cost).cmp(a.cost) ||
      b.requests - a.requests ||
      JSON.stringify(a).localeCompare(JSON.stringify(b)),
  );
}

/** The labels of the rows that a group belongs to: several if it has several tags. */
function labelsOf(group: UsageGroup, names: readonly UsageDimension[]): Record<string, string>[] {
  const values: Record<Exclude<UsageDimension, 'tag'>, string> = {
    tenant: String(group.tenantId),
    provider: group.provider,
    model: group.modelName,
    operation: group.operation,
    day: group.day,
  };
  const labels = Object.fromEntries(
    names.filter((name) => name !== 'tag').map((name) => [name, values[name as keyof typeof values]]),
  );
  if (!names.includes('tag')) return [labels];
  const tags = Object.entries(group.tags).map(([key, value]) => `${key}=${String(value)}`);
  return (tags.length === 0 ? [''] : tags).map((tag) => ({ ...labels, tag }));
}

/** Adds groups up. */
class Sum {
  readonly #pricePerToken: Big | undefined;
  readonly #latencies = new Map<number, number>();
  readonly #sources: Record<string, number> = {};
  readonly #counts = {
    requests: 0,
    failures: 0,
    texts: 0,
    inputTokens: 0,
    outputTokens: 0,
    unknownCostRequests: 0,
    cacheHits: 0,
    unchangedTexts: 0,
  };
  #cost = new Big(0);
  #saved = new Big(0);

  constructor(pricePerToken: Big | undefined, groups: readonly UsageGroup[] = []) {
    this.#pricePerToken = pricePerToken;
    for (const group of groups) this.add(group);
  }

  add(group: UsageGroup): void {
    this.#saved = this.#saved.plus(group.savedCost);
    if (group.reuse !== null) {
      this.#counts[group.reuse === 'unchanged' ? 'unchangedTexts' : 'cacheHits'] += group.inputCount;
      return;
    }
    const { rowCount, latencyBucket, costSource } = group;
    this.#counts.requests += rowCount;
    if (latencyBucket !== null) {
      this.#latencies.set(latencyBucket, (this.#latencies.get(latencyBucket) ?? 0) + rowCount);
    }
    if (group.errorCode !== null) this.#counts.failures += rowCount;
    else this.#addAnswers(group, costSource ?? 'unknown');
  }

  get figures(): UsageFigures {
    return {
      ...this.#counts,
      cost: this.#cost.toFixed(),
      costSources: { ...this.#sources },
      p50Ms: percentileOf(this.#latencies, 0.5),
      p95Ms: percentileOf(this.#latencies, 0.95),
      saved: this.#saved.toFixed(),
    };
  }

  #addAnswers(group: UsageGroup, costSource: string): void {
    const { rowCount, inputCount, inputTokens, outputTokens, unknownCostCount, cost } = group;
    this.#counts.texts += inputCount;
    this.#counts.inputTokens += inputTokens;
    this.#counts.outputTokens += outputTokens;
    this.#counts.unknownCostRequests += unknownCostCount;
    this.#sources[costSource] = (this.#sources[costSource] ?? 0) + rowCount;
    this.#cost = this.#cost.plus(cost);
    const isFree = group.operation === 'embedding' && unknownCostCount === 0 && new Big(cost).eq(0);
    if (isFree && this.#pricePerToken !== undefined) {
      this.#saved = this.#saved.plus(this.#pricePerToken.times(inputTokens));
    }
  }
}
