import type { UsageDimension, UsageFigures, UsageReport, UsageReportRow } from './usage-report.js';

interface Metric {
  readonly name: string;
  readonly help: string;
  value(row: UsageFigures): string | number | null;
}

/** Gauges, since a report has an end: the next one may be of a shorter time. */
const metrics: readonly Metric[] = [
  { name: 'requests', help: 'Requests to providers, failed ones included', value: (row) => row.requests },
  { name: 'failures', help: 'Requests that failed', value: (row) => row.failures },
  { name: 'texts', help: 'Texts and prompts that were answered', value: (row) => row.texts },
  { name: 'input_tokens', help: 'Input tokens', value: (row) => row.inputTokens },
  { name: 'output_tokens', help: 'Output tokens', value: (row) => row.outputTokens },
  { name: 'cost_usd', help: 'US dollars that were paid', value: (row) => row.cost },
  { name: 'saved_usd', help: 'US dollars that the avoided requests would have cost', value: (row) => row.saved },
  { name: 'unknown_cost_requests', help: 'Requests of unknown cost', value: (row) => row.unknownCostRequests },
  { name: 'cache_hits', help: 'Texts whose vector came from the cache', value: (row) => row.cacheHits },
  { name: 'unchanged_texts', help: 'Records that were not embedded again', value: (row) => row.unchangedTexts },
  { name: 'latency_p50_ms', help: 'Median duration of a request', value: (row) => row.p50Ms },
  { name: 'latency_p95_ms', help: 'Duration that 95 % of the requests do not exceed', value: (row) => row.p95Ms },
];

const labelNames: readonly UsageDimension[] = ['tenant', 'provider', 'model', 'operation', 'day', 'tag'];

/**
 * A report in Prometheus' text format, one sample for each row of the report and figure.
 *
 * @example
 * const report = await usageReport(repository, { from, by: ['tenant', 'provider'] });
 * response.setHeader('content-type', 'text/plain; version=0.0.4').end(toPrometheus(report));
 */
export function toPrometheus({ rows }: UsageReport): string {
  return metrics
    .map(({ name, help, value }) => {
      const samples = rows.flatMap((row) => {
        const figure = value(row);
        return figure === null ? [] : [`pulse_ai_${name}${labelsOf(row)} ${figure}\n`];
      });
      if (samples.length === 0) return '';
      return `# HELP pulse_ai_${name} ${help}\n# TYPE pulse_ai_${name} gauge\n${samples.join('')}`;
    })
    .join('');
}

function labelsOf(row: UsageReportRow): string {
  const labels = labelNames
    .filter((name) => row[name] !== undefined)
    .map((name) => `${name}="${escapeLabel(row[name]!)}"`);
  return labels.length === 0 ? '' : `{${labels.join(',')}}`;
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}
