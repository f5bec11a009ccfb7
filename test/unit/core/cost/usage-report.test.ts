import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { latencyBucket, percentileOf } from '#src/core/cost/latency-bucket.js';
import { readUsageReport, type UsageReportOptions } from '#src/core/cost/usage-report.js';
import { toHtml } from '#src/core/cost/usage-report-html.js';
import { toPrometheus } from '#src/core/cost/usage-report-prometheus.js';
import type { UsageRecord } from '#src/core/ports/integration-repository.js';
import { readUsage } from '#src/repositories/memory/read-usage.js';
import { usageReport } from '#src/usage-report.js';

const november = { from: new Date('2026-11-01'), to: new Date('2026-12-01') };

interface Row extends Partial<UsageRecord> {
  readonly tenantId?: number;
  readonly at?: string;
}

function reportOf(rows: readonly Row[], options: Partial<UsageReportOptions> = {}) {
  const stored = rows.map(({ tenantId = 1, at = '2026-11-10T12:00:00Z', ...usage }) => ({
    provider: 'wex_ai_gateway',
    operation: 'embedding' as const,
    modelName: 'm',
    inputCount: 1,
    inputTokens: 100,
    outputTokens: 0,
    cost: '0.0000',
    requestMetadata: {},
    ...usage,
    tenantId,
    createdAt: new Date(at),
  }));
  return readUsageReport({ readUsage: async (query) => readUsage(stored, query) }, { ...november, ...options });
}

describe('usageReport', () => {
  it('adds up exactly, of the tenant and the time that is asked for', async () => {
    const paid = (cost: string, more: Row = {}): Row => ({ requestMetadata: { cost_usd: cost }, ...more });
    const rows = [
      ...Array.from({ length: 10 }, () => paid('0.00000014')),
      paid('1', { tenantId: 2 }),
      paid('1', { at: '2026-10-31T23:59:59Z' }),
      paid('1', { at: '2026-12-01T00:00:00Z' }),
    ];
    const { total } = await reportOf(rows, { tenantId: 1 });
    expect(total).toMatchObject({ cost: '0.0000014', requests: 10, texts: 10, inputTokens: 1_000, failures: 0 });
    expect((await reportOf(rows)).total.cost).toBe('1.0000014');
  });

  it('takes the column where a row has no exact cost, and counts what is unknown', async () => {
    const { total } = await reportOf([
      { cost: '0.0123' },
      { cost: null, requestMetadata: { cost_usd: null, cost_source: 'unknown' } },
      { cost: '0.5', requestMetadata: { cost_usd: 'nonsense', cost_source: 'row' } },
    ]);
    expect(total).toMatchObject({
      cost: '0.5123',
      unknownCostRequests: 1,
      costSources: { unknown: 2, row: 1 },
    });
  });

  it('counts failures, hits and unchanged records apart from texts', async () => {
    const { total } = await reportOf([
      { requestMetadata: { error_code: 'unavailable' }, inputCount: 0, inputTokens: 0 },
      { requestMetadata: { reuse: 'cache', saved_cost_usd: '0.25' }, inputCount: 5, inputTokens: 0 },
      { requestMetadata: { reuse: 'unchanged', saved_cost_usd: '0.5' }, inputCount: 7, inputTokens: 0 },
      { requestMetadata: { cost_usd: '1' } },
    ]);
    expect(total).toMatchObject({ requests: 2, failures: 1, texts: 1, cacheHits: 5, unchangedTexts: 7, saved: '0.75' });
  });

  it('takes texts of a free provider for saved at the price that was paid, or at the one that is given', async () => {
    const free: Row = { provider: 'sentence_transformers', requestMetadata: { cost_usd: '0' }, inputTokens: 1_000 };
    const paid: Row = { requestMetadata: { cost_usd: '0.002' }, inputTokens: 100 };
    expect((await reportOf([free, paid])).total.saved).toBe('0.02');
    expect((await reportOf([free])).total.saved).toBe('0');
    expect((await reportOf([free], { referencePrice: 0.00002 })).total.saved).toBe('0.00002');
    expect(
      (await reportOf([free, paid], { by: ['provider'] })).rows.map(({ provider, saved }) => [provider, saved]),
    ).toEqual([
      ['wex_ai_gateway', '0'],
      ['sentence_transformers', '0.02'],
    ]);
  });

  it('breaks down by day in a time zone, by tag, and by both', async () => {
    const rows: Row[] = [
      { at: '2026-11-10T22:59:00Z', requestMetadata: { cost_usd: '1', tags: { job: 'a', user: 'x' } } },
      { at: '2026-11-10T23:01:00Z', requestMetadata: { cost_usd: '2', tags: { job: 'a' } } },
      { at: '2026-11-10T23:02:00Z', requestMetadata: { cost_usd: '4' } },
    ];
    const report = await reportOf(rows, { by: ['day'], timeZone: 'Europe/Berlin' });
    expect(report.rows.map(({ day, cost }) => [day, cost])).toEqual([
      ['2026-11-10', '1'],
      ['2026-11-11', '6'],
    ]);
    const byTag = await reportOf(rows, { by: ['tag'] });
    expect(byTag.rows.map(({ tag, cost }) => [tag, cost])).toEqual([
      ['', '4'],
      ['job=a', '3'],
      ['user=x', '1'],
    ]);
    expect(byTag.by('tenant', 'tag')[0]).toMatchObject({ tenant: '1', tag: '', cost: '4' });
  });

  it.each<[string, object]>([
    ['a tenant', { tenantId: 0 }],
    ['a day', { from: new Date('x') }],
    ['an empty time', { from: new Date('2026-12-01') }],
    ['a dimension', { by: ['week'] }],
    ['no dimension', { by: [] }],
    ['a time zone', { timeZone: 'Mars/Olympus' }],
    ['a price', { referencePrice: -1 }],
  ])('refuses %s that is not valid', async (_, options) => {
    await expect(reportOf([], options)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('says that a repository cannot read usage', async () => {
    await expect(usageReport({}, november)).rejects.toMatchObject({ code: 'unsupported_operation' });
  });
});

describe('percentiles', () => {
  it('are exact to 5 %', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 600_000 }), { minLength: 1 }), (durations) => {
        const counts = new Map<number, number>();
        for (const one of durations) counts.set(latencyBucket(one), (counts.get(latencyBucket(one)) ?? 0) + 1);
        const sorted = durations.toSorted((a, b) => a - b);
        for (const share of [0.5, 0.95]) {
          const exact = sorted[Math.ceil(sorted.length * share) - 1]!;
          expect(Math.abs(percentileOf(counts, share)! / exact - 1)).toBeLessThan(0.05);
        }
      }),
    );
    expect(percentileOf(new Map(), 0.5)).toBe(null);
  });
});

describe('toPrometheus', () => {
  it('has a help line, a type and a sample for each row, with labels escaped', async () => {
    const report = await reportOf(
      [{ modelName: 'a"b\\c\nd', requestMetadata: { cost_usd: '0.1', duration_ms: 100 } }],
      {
        by: ['model'],
      },
    );
    const text = toPrometheus(report);
    expect(text).toContain(
      '# HELP pulse_ai_cost_usd US dollars that were paid\n# TYPE pulse_ai_cost_usd gauge\npulse_ai_cost_usd{model="a\\"b\\\\c\\nd"} 0.1\n',
    );
    for (const line of text.trimEnd().split('\n')) {
      expect(line).toMatch(/^(# (HELP|TYPE) pulse_ai_\w+ .+|pulse_ai_\w+\{model="([^"\\\n]|\\.)*"\} -?[\d.]+)$/);
    }
  });

  it('is empty without rows', async () => {
    expect(toPrometheus(await reportOf([]))).toBe('');
  });
});

describe('toHtml', () => {
  it('shows no name as markup', async () => {
    const hostile = `"><script>alert('x')</script>&`;
    const page = toHtml(
      await reportOf([
        { provider: hostile, modelName: hostile, requestMetadata: { cost_usd: '1', tags: { [hostile]: hostile } } },
      ]),
    );
    expect(page).not.toContain('<script');
    expect(page).toContain('&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;');
  });

  it('has a page for nothing, and months for a long time', async () => {
    expect(toHtml(await reportOf([]))).toContain('Nothing in this time.');
    const year = { from: new Date('2026-01-01'), to: new Date('2027-01-01') };
    const page = toHtml(await reportOf([{ requestMetadata: { cost_usd: '1' } }], year));
    expect(page.match(/<li title="2026-\d\d /g)).toHaveLength(36);
    expect(page).not.toMatch(/https?:|@import|url\(/);
  });
});
