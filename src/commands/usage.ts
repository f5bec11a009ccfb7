import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { UsageDimension, UsageReport } from '../core/cost/usage-report.js';
import { toHtml } from '../core/cost/usage-report-html.js';
import { toPrometheus } from '../core/cost/usage-report-prometheus.js';
import { usageReport } from '../usage-report.js';
import { type Command, type CommandContext, exitCodes, UsageError } from './command.js';
import { withDatabase } from './database.js';

const usage = `Shows what was used, paid and saved, from the rows of ai_usage_trackings in the PostgreSQL that DATABASE_URL names.

  pulse-ai usage [--tenant <id>] [--from <date>] [--to <date>] [--time-zone <zone>] [--by <list>] [--html <file> | --prometheus | --json]

--tenant      one tenant; without it all tenants, which is for operators
--from, --to  such as 2026-11-01 or 2026-11-01T12:00:00Z; the last 30 days by default. --to is not included.
--time-zone   which days requests belong to, such as Europe/Berlin; UTC by default
--by          tenant, provider, model, operation, day, tag, joined by commas; provider,model,operation by default
--html        writes a page with charts to the file
--prometheus  prints Prometheus' text format
--json        prints the rows and the total as JSON
--reference-price  US dollars for 1,000 tokens of a paid embedding model, if none was paid in this time: what free texts count as saved at`;

const aDay = 24 * 60 * 60 * 1000;

export const command: Command = {
  usage,
  async run(context) {
    const { values } = parseArgs({
      args: [...context.args],
      options: {
        tenant: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        'time-zone': { type: 'string' },
        by: { type: 'string' },
        html: { type: 'string' },
        prometheus: { type: 'boolean' },
        json: { type: 'boolean' },
        'reference-price': { type: 'string' },
      },
    });
    const to = readDate(values.to, '--to') ?? new Date();
    const price = values['reference-price'];
    const options = {
      tenantId: values.tenant === undefined ? undefined : Number(values.tenant),
      from: readDate(values.from, '--from') ?? new Date(to.getTime() - 30 * aDay),
      to,
      timeZone: values['time-zone'] ?? 'UTC',
      by: (values.by?.split(',') ?? ['provider', 'model', 'operation']) as UsageDimension[],
      referencePrice: price === undefined ? undefined : Number(price),
    };
    const { DATABASE_URL: url } = context.env;
    if (url === undefined || url === '') throw new UsageError('Expected DATABASE_URL to name a PostgreSQL.');
    const report = await withDatabase('pulse-ai usage', url, (db) => usageReport(db, options));
    await show(report, options.by, values, context);
    return exitCodes.done;
  },
};

async function show(
  report: UsageReport,
  by: readonly UsageDimension[],
  form: { readonly html?: string; readonly prometheus?: boolean; readonly json?: boolean },
  context: CommandContext,
): Promise<void> {
  if (form.html !== undefined) {
    await writeFile(form.html, toHtml(report));
    context.print(`Wrote ${form.html}: ${report.total.cost} US dollars spent, ${report.total.saved} saved.`);
  } else if (form.prometheus === true) context.print(toPrometheus(report).trimEnd());
  else if (form.json === true) context.print(JSON.stringify({ rows: report.rows, total: report.total }, undefined, 2));
  else context.print(toTable(report, by));
}

function toTable({ rows, total }: UsageReport, by: readonly UsageDimension[]): string {
  const names = ['requests', 'failures', 'texts', 'inputTokens', 'outputTokens', 'cost', 'saved'] as const;
  const lines = [
    [...by, ...names],
    ...rows.map((row) => [...by.map((name) => row[name] ?? ''), ...names.map((name) => String(row[name]))]),
    [...by.map((_, at) => (at === 0 ? 'total' : '')), ...names.map((name) => String(total[name]))],
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, at) => (at < by.length ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function readDate(text: string | undefined, name: string): Date | undefined {
  if (text === undefined) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) throw new UsageError(`Expected ${name} to be a date such as 2026-11-01.`);
  return date;
}
