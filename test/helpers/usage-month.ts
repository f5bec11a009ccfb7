import type { UsageRecord } from '#src/core/ports/integration-repository.js';

export interface DatedUsage {
  readonly tenantId: number;
  readonly createdAt: Date;
  readonly usage: UsageRecord;
}

/** A month of five tenants, the same at every run: a paid gateway, a free model, cache hits, skipped records, failures, unknown prices. */
export function usageMonth(): DatedUsage[] {
  const rows: DatedUsage[] = [];
  for (let day = 1; day <= 30; day++) {
    for (let tenantId = 1; tenantId <= 5; tenantId++) {
      const load = ((day * 7 + tenantId * 13) % 11) + 1;
      const add = (hour: number, usage: Partial<UsageRecord>) =>
        rows.push({
          tenantId,
          createdAt: new Date(Date.UTC(2026, 10, day, hour, tenantId)),
          usage: {
            provider: 'wex_ai_gateway',
            operation: 'embedding',
            modelName: 'azure-text-embedding-3-small',
            inputCount: load,
            inputTokens: load * 1_000,
            outputTokens: 0,
            cost: '0.0000',
            requestMetadata: {},
            ...usage,
          },
        });
      const tags = { job: tenantId % 2 === 0 ? 'nightly' : 'hourly', feature: 'search' };
      const cost = (load * tenantId * 0.00137).toFixed(8);
      add(1, { requestMetadata: { cost_usd: cost, cost_source: 'row', duration_ms: 40 * load, tags } });
      const local = { provider: 'sentence_transformers', modelName: 'all-MiniLM-L6-v2' };
      add(9, { ...local, requestMetadata: { cost_usd: '0', cost_source: 'row', duration_ms: 4 + load } });
      const reuse = { inputTokens: 0, inputCount: load * 20 };
      add(10, {
        ...reuse,
        requestMetadata: { cost_usd: '0', reuse: 'unchanged', saved_tokens: 9, saved_cost_usd: '0.02' },
      });
      add(11, {
        ...reuse,
        requestMetadata: { cost_usd: '0', reuse: 'cache', saved_tokens: 9, saved_cost_usd: '0.004' },
      });
      if (load === 3)
        add(12, {
          cost: '0',
          inputTokens: 0,
          inputCount: 0,
          requestMetadata: { error_code: 'unavailable', duration_ms: 900 },
        });
      const text = {
        operation: 'text_generation',
        modelName: 'azure-gpt-4o-mini',
        inputCount: 1,
        outputTokens: 300,
      } as const;
      add(23, { ...text, cost: null, requestMetadata: { cost_usd: null, cost_source: 'unknown', durationMs: 1_500 } });
    }
  }
  return rows;
}
