import Big from 'big.js';
import type { UsageDimension, UsageReport, UsageReportRow } from './usage-report.js';
import { usageReportStyle } from './usage-report-style.js';

/** A bar of a chart over time: its parts, from the bottom up. */
interface Column {
  readonly label: string;
  readonly parts: readonly { readonly name: string; readonly value: number; readonly text: string }[];
}

/** More bars than this would be thinner than a finger: then a bar is a month. */
const mostDays = 92;
const mostTenants = 10;
/** As many colours as the style has; further providers share the last one. */
const colourCount = 6;

/**
 * A report as one HTML page with charts: no script, nothing from a network, readable on a phone and in the dark. It can
 * be mailed, archived, or served as it is.
 *
 * @example
 * await writeFile('usage.html', toHtml(await usageReport(repository, { from })));
 */
export function toHtml(report: UsageReport): string {
  const { tenantId, from, to, timeZone, total } = report;
  const period = `${dayOf(from, timeZone)} to ${dayOf(new Date(to.getTime() - 1), timeZone)}, ${timeZone}`;
  const title = tenantId === undefined ? 'AI usage' : `AI usage of tenant ${tenantId}`;
  const providers = [...new Set(report.by('provider').map((row) => row.provider!))];
  const byDay = report.by('day', 'provider');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${html(title)}</title>
<style>${usageReportStyle}</style>
</head>
<body>
<main>
<header><h1>${html(title)}</h1><p>${html(period)}</p></header>
${tiles(report)}
${section(
  'Cost by day and provider, US dollars',
  columns(report, byDay, providers, (row) => Number(row.cost), dollars),
  legend(providers),
)}
${section(
  'Tokens by day and provider',
  columns(report, byDay, providers, (row) => row.inputTokens + row.outputTokens, whole),
  legend(providers),
)}
${section('Saved against spent, US dollars', savedColumns(report), legend(['Spent', 'Saved'], 'money'))}
${tenantId === undefined ? section('Tenants that cost most', tenantBars(report)) : ''}
${section('By provider and model', table(report.by('provider', 'model', 'operation'), ['provider', 'model', 'operation']))}
<footer><p>Saved is what the avoided requests would have cost: cache hits and unchanged records as reckoned then, texts of free providers
at the average price of the paid embeddings of this time. ${whole(total.unknownCostRequests)} requests are of unknown cost and not counted.
Percentiles are exact to 5 %.</p></footer>
</main>
</body>
</html>
`;
}

function tiles({ total }: UsageReport): string {
  const [spent, saved] = [new Big(total.cost), new Big(total.saved)];
  const share = spent.plus(saved).eq(0) ? '–' : `${saved.div(spent.plus(saved)).times(100).toFixed(1)} %`;
  const entries = [
    ['Spent', dollars(Number(total.cost))],
    ['Saved', dollars(Number(total.saved))],
    ['Saved share', share],
    ['Requests', whole(total.requests)],
    ['Failures', whole(total.failures)],
    ['Cache hits', whole(total.cacheHits)],
    ['Unchanged records', whole(total.unchangedTexts)],
    ['Median latency', milliseconds(total.p50Ms)],
    ['Latency, 95 %', milliseconds(total.p95Ms)],
  ];
  const tile = ([name, value]: string[]) => `<div class="tile"><dt>${html(name!)}</dt><dd>${html(value!)}</dd></div>`;
  return `<dl class="tiles">${entries.map(tile).join('')}</dl>`;
}

function section(heading: string, ...content: readonly string[]): string {
  return `<section><h2>${html(heading)}</h2>${content.join('')}</section>`;
}

/** A bar for each day, with a part for each provider. */
function columns(
  report: UsageReport,
  rows: readonly UsageReportRow[],
  providers: readonly string[],
  figureOf: (row: UsageReportRow) => number,
  format: (value: number) => string,
): string {
  const values = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const label = labelOf(report, row.day!);
    const ofDay = values.get(label) ?? new Map<string, number>();
    ofDay.set(row.provider!, (ofDay.get(row.provider!) ?? 0) + figureOf(row));
    values.set(label, ofDay);
  }
  return columnChart(
    labelsOf(report).map((label) => ({
      label,
      parts: providers.map((name) => {
        const value = values.get(label)?.get(name) ?? 0;
        return { name, value, text: `${name}: ${format(value)}` };
      }),
    })),
    format,
    'c',
  );
}

function savedColumns(report: UsageReport): string {
  const sums = new Map<string, { spent: number; saved: number }>();
  for (const row of report.by('day')) {
    const label = labelOf(report, row.day!);
    const { spent, saved } = sums.get(label) ?? { spent: 0, saved: 0 };
    sums.set(label, { spent: spent + Number(row.cost), saved: saved + Number(row.saved) });
  }
  return columnChart(
    labelsOf(report).map((label) => {
      const { spent, saved } = sums.get(label) ?? { spent: 0, saved: 0 };
      return {
        label,
        parts: [
          { name: 'Spent', value: spent, text: `Spent: ${dollars(spent)}` },
          { name: 'Saved', value: saved, text: `Saved: ${dollars(saved)}` },
        ],
      };
    }),
    dollars,
    'money',
  );
}

function columnChart(bars: readonly Column[], format: (value: number) => string, palette: string): string {
  const heights = bars.map(({ parts }) => parts.reduce((sum, { value }) => sum + value, 0));
  const most = Math.max(...heights, 0);
  if (most === 0) return '<p class="empty">Nothing in this time.</p>';
  // About six dates have room below a chart on a phone.
  const step = Math.ceil(bars.length / 6);
  const drawn = bars.map(({ label, parts }, at) => {
    const text = `${label} · ${parts
      .filter(({ value }) => value > 0)
      .map((part) => part.text)
      .join(' · ')}`;
    const stack = parts
      .map(({ value }, part) => ({ height: (value / most) * 100, part }))
      .filter(({ height }) => height > 0)
      .map(({ height, part }) => `<i class="${colour(palette, part)}" style="height:${height.toFixed(3)}%"></i>`);
    const date = at % step === 0 ? `<b>${html(label.slice(5))}</b>` : '';
    return `<li title="${html(text)}"><span class="stack">${stack.join('')}</span>${date}</li>`;
  });
  const summary = bars
    .map(({ label }, at) => ({ label, height: heights[at]! }))
    .filter(({ height }) => height > 0)
    .map(({ label, height }) => `${label} ${format(height)}`)
    .join(', ');
  return `<div class="chart"><span class="most">${html(format(most))}</span><ol class="columns" role="img" aria-label="${html(summary)}">${drawn.join('')}</ol></div>`;
}

function tenantBars(report: UsageReport): string {
  const rows = report.by('tenant').slice(0, mostTenants);
  const most = Math.max(...rows.map((row) => Number(row.cost)), 0);
  if (rows.length === 0) return '<p class="empty">Nothing in this time.</p>';
  const bars = rows.map((row) => {
    const width = most === 0 ? 0 : (Number(row.cost) / most) * 100;
    return `<li><span>Tenant ${html(row.tenant!)}</span><span class="track"><i class="c0" style="width:${width.toFixed(2)}%"></i></span><span class="value">${html(dollars(Number(row.cost)))}</span></li>`;
  });
  return `<ol class="bars">${bars.join('')}</ol>`;
}

function table(rows: readonly UsageReportRow[], names: readonly UsageDimension[]): string {
  const numbers: readonly [string, (row: UsageReportRow) => string][] = [
    ['requests', (row) => whole(row.requests)],
    ['texts', (row) => whole(row.texts)],
    ['tokens', (row) => whole(row.inputTokens + row.outputTokens)],
    ['cost', (row) => dollars(Number(row.cost))],
    ['saved', (row) => dollars(Number(row.saved))],
    ['failures', (row) => whole(row.failures)],
    ['p50', (row) => milliseconds(row.p50Ms)],
    ['p95', (row) => milliseconds(row.p95Ms)],
  ];
  const head = [
    ...names.map((name) => `<th>${name}</th>`),
    ...numbers.map(([name]) => `<th class="number">${name}</th>`),
  ];
  const body = rows.map((row) => {
    const cells = [
      ...names.map((name) => `<td>${html(row[name] ?? '')}</td>`),
      ...numbers.map(([, figureOf]) => `<td class="number">${html(figureOf(row))}</td>`),
    ];
    return `<tr>${cells.join('')}</tr>`;
  });
  return `<div class="wide" tabindex="0"><table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function legend(names: readonly string[], palette = 'c'): string {
  return `<ul class="legend">${names.map((name, at) => `<li><i class="${colour(palette, at)}"></i>${html(name)}</li>`).join('')}</ul>`;
}

function colour(palette: string, at: number): string {
  return `${palette}${Math.min(at, colourCount - 1)}`;
}

/** Every day of the report, or every month of a long one, also those without a request. */
function labelsOf(report: UsageReport): string[] {
  const labels = new Set<string>();
  const aDay = 24 * 60 * 60 * 1000;
  // Half a day at a time: a day of 23 hours must not be left out.
  for (let at = report.from.getTime(); at < report.to.getTime(); at += aDay / 2) {
    labels.add(labelOf(report, dayOf(new Date(at), report.timeZone)));
  }
  labels.add(labelOf(report, dayOf(new Date(report.to.getTime() - 1), report.timeZone)));
  return [...labels];
}

function labelOf({ from, to }: UsageReport, day: string): string {
  const days = (to.getTime() - from.getTime()) / (24 * 60 * 60 * 1000);
  return days > mostDays ? day.slice(0, 7) : day;
}

function dayOf(date: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(date);
}

function dollars(value: number): string {
  if (value === 0) return '$0';
  if (value >= 1_000) return `$${whole(value)}`;
  if (value >= 0.01) return `$${value.toFixed(2)}`;
  return `$${value.toPrecision(2).replace(/e.*/, '')}${value < 1e-6 ? `e${Math.floor(Math.log10(value))}` : ''}`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function milliseconds(value: number | null): string {
  return value === null ? '–' : `${whole(value)} ms`;
}

function html(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
