import { latencyBucket } from '../../core/cost/latency-bucket.js';
import type { UsageRecord } from '../../core/ports/integration-repository.js';
import type { UsageGroup, UsageQuery } from '../../core/ports/usage-reader.js';

interface StoredUsage extends UsageRecord {
  readonly tenantId: number;
  readonly createdAt: Date;
}

/** One group for each row: whoever reads them adds them up. */
export function readUsage(usage: readonly StoredUsage[], query: UsageQuery): UsageGroup[] {
  const { tenantId, from, to, timeZone, withTags } = query;
  const days = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' });
  return usage
    .filter((row) => tenantId === undefined || row.tenantId === tenantId)
    .filter((row) => row.createdAt >= from && row.createdAt < to)
    .map((row): UsageGroup => {
      const metadata = row.requestMetadata;
      const cost = decimalOf(metadata.cost_usd) ?? row.cost;
      const durationMs = decimalOf(metadata.duration_ms ?? metadata.durationMs);
      return {
        tenantId: row.tenantId,
        provider: row.provider,
        modelName: row.modelName,
        operation: row.operation,
        day: days.format(row.createdAt),
        tags: withTags ? ((metadata.tags ?? {}) as Record<string, unknown>) : {},
        costSource: textOf(metadata.cost_source),
        reuse: textOf(metadata.reuse),
        errorCode: textOf(metadata.error_code),
        latencyBucket: durationMs === null ? null : latencyBucket(Number(durationMs)),
        rowCount: 1,
        inputCount: row.inputCount,
        inputTokens: row.inputTokens ?? 0,
        outputTokens: row.outputTokens ?? 0,
        cost: cost ?? '0',
        unknownCostCount: cost === null ? 1 : 0,
        savedTokens: Number(decimalOf(metadata.saved_tokens) ?? 0),
        savedCost: decimalOf(metadata.saved_cost_usd) ?? '0',
      };
    });
}

function textOf(value: unknown): string | null {
  return value === undefined || value === null ? null : String(value);
}

function decimalOf(value: unknown): string | null {
  const text = textOf(value);
  return text !== null && /^-?\d{1,30}(\.\d{1,40})?$/.test(text) ? text : null;
}
