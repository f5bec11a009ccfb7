import type { CallOptions } from './call-options.js';

/** Which usage rows to read. */
export interface UsageQuery {
  /** @default all tenants: for operators, never on behalf of one tenant */
  readonly tenantId?: number | undefined;
  /** The first moment. */
  readonly from: Date;
  /** The first moment that is not included any more. */
  readonly to: Date;
  /** Which days the rows belong to: an IANA name such as `Europe/Berlin`. */
  readonly timeZone: string;
  /** Whether rows of different tags are kept apart. */
  readonly withTags: boolean;
}

/** Usage rows that have all of these in common, added up. */
export interface UsageGroup {
  readonly tenantId: number;
  readonly provider: string;
  readonly modelName: string;
  readonly operation: string;
  /** `YYYY-MM-DD` in the query's time zone. */
  readonly day: string;
  /** `{}` unless the query asks for tags. */
  readonly tags: Readonly<Record<string, unknown>>;
  /** If the cost is from: `row`, `reported`, `catalogue`, `unknown`, or null in a row that does not say. */
  readonly costSource: string | null;
  /** `cache` or `unchanged` for texts that needed no request; null for a request. */
  readonly reuse: string | null;
  /** Why a request failed; null for one that was answered. */
  readonly errorCode: string | null;
  /** See `latencyBucket`; null if no duration is known. */
  readonly latencyBucket: number | null;
  /** How many rows. */
  readonly rowCount: number;
  readonly inputCount: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Exact US dollars of the rows that have a cost. */
  readonly cost: string;
  /** How many rows have no cost. */
  readonly unknownCostCount: number;
  readonly savedTokens: number;
  /** Exact US dollars, as they were computed when the request was avoided. */
  readonly savedCost: string;
}

/** Reads what was used. */
export interface UsageReader {
  readUsage(query: UsageQuery, options?: CallOptions): Promise<readonly UsageGroup[]>;
}
