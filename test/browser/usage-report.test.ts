import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUsageReport } from '#src/core/cost/usage-report.js';
import { toHtml } from '#src/core/cost/usage-report-html.js';
import { readUsage } from '#src/repositories/memory/read-usage.js';
import { usageMonth } from '../helpers/usage-month.js';
import { chartBars, lowestContrast, overflow, smallestDateGap, smallestFont } from './in-page.mjs';

/** Kept for whoever wants to look; git does not. */
const folder = fileURLToPath(new URL('../../.cache/screenshots', import.meta.url));
const sizes = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } };

let browser: Browser;
let url: string;
beforeAll(async () => {
  const rows = usageMonth().map(({ usage, tenantId, createdAt }) => ({ ...usage, tenantId, createdAt }));
  const reader = { readUsage: async (query: Parameters<typeof readUsage>[1]) => readUsage(rows, query) };
  const report = await readUsageReport(reader, { from: new Date('2026-11-01'), to: new Date('2026-12-01') });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'usage.html'), toHtml(report));
  url = pathToFileURL(join(folder, 'usage.html')).href;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
});
afterAll(() => browser?.close());

async function open(size: keyof typeof sizes, colorScheme: 'light' | 'dark') {
  const page = await browser.newPage({ viewport: sizes[size], colorScheme });
  const problems: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => problems.push(message.text()));
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(url);
  return { page, problems, requests };
}

describe.each(['phone', 'desktop'] as const)('the usage page on a %s', (size) => {
  it.each(['light', 'dark'] as const)(
    'is readable in %s, without script, network or sideways scroll',
    async (scheme) => {
      const { page, problems, requests } = await open(size, scheme);
      expect([problems, requests]).toEqual([[], [url]]);
      expect(await page.evaluate(overflow)).toBeLessThanOrEqual(0);
      expect(await page.evaluate(lowestContrast)).toBeGreaterThanOrEqual(4.5);
      expect(await page.evaluate(smallestFont)).toBeGreaterThanOrEqual(11);
      await page.screenshot({ path: join(folder, `${size}-${scheme}.png`), fullPage: true });
      await page.close();
    },
  );

  it('draws a bar for each day, the highest as high as the chart, and dates that do not touch', async () => {
    const { page } = await open(size, 'light');
    const charts = await page.evaluate(chartBars);
    expect(charts.map((bars) => bars.length)).toEqual([30, 30, 30]);
    for (const bars of charts) {
      expect(Math.min(...bars.map(({ width }) => width))).toBeGreaterThan(4);
      const share = Math.max(...bars.map(({ height }) => height)) / bars[0]!.room;
      expect(share).toBeGreaterThan(0.98);
      expect(share).toBeLessThan(1.02);
    }
    expect(await page.evaluate(smallestDateGap)).toBeGreaterThan(0);
    expect(await page.locator('.bars li').count()).toBe(5);
    await page.close();
  });
});
