// Ingest and search rates of the local engine at several sizes, and, with QDRANT_URL, of our store and the bare client
// on a Qdrant server.
//
//   npm run bench:vectors                      10,000 and 100,000 points
//   BENCH_LARGE=1 npm run bench:vectors        also 1,000,000
//
// Each figure is the median of several runs, each in a process of its own. The result goes to bench/README.md and
// bench/charts/vectors.svg.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { barChart } from './report/bar-chart.js';
import { writeChart, writeSection } from './report/write-section.js';
import type { Figures } from './vectors/measure.js';
import type { TargetName } from './vectors/targets.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./vectors/measure.ts', import.meta.url));
const runs = 3;

interface Case {
  readonly target: TargetName;
  readonly where: 'memory' | 'folder' | 'server';
  readonly points: number;
}

interface Result extends Case {
  readonly figures: readonly Figures[];
}

const sizes = [10_000, 100_000, ...(process.env.BENCH_LARGE ? [1_000_000] : [])];
const local = (points: number): Case[] => [
  { target: 'engine', where: 'memory', points },
  { target: 'engine', where: 'folder', points },
  { target: 'store on the engine', where: 'folder', points },
];
const server = (points: number): Case[] => [
  { target: 'bare client', where: 'server', points },
  { target: 'store on the server', where: 'server', points },
];
const cases = sizes.flatMap((points) => [...local(points), ...(process.env.QDRANT_URL ? server(points) : [])]);
if (!process.env.QDRANT_URL) console.warn('QDRANT_URL is not set: the server and the bare client are NOT measured.');

const results: Result[] = [];
for (const one of cases) {
  const figures: Figures[] = [];
  for (let round = 0; round < (one.points > 100_000 ? 1 : runs); round++) figures.push(await measure(one));
  results.push({ ...one, figures });
  console.log(row(results.at(-1) as Result));
}
await report();

async function measure({ target, where, points }: Case): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-vectors-'));
  const location = where === 'folder' ? folder : ':memory:';
  const heap = points > 100_000 ? ['--max-old-space-size=4096'] : [];
  try {
    const { stdout } = await run(
      process.execPath,
      ['--expose-gc', ...heap, '--import', 'tsx', script, target, String(points), location],
      { maxBuffer: 1e7 },
    );
    return JSON.parse(stdout) as Figures;
  } finally {
    await rm(folder, { recursive: true });
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[sorted.length >> 1] as number;
}

function row({ target, where, points, figures }: Result): string {
  const of = (read: (one: Figures) => number): number => median(figures.map(read));
  const search = (at: number): string =>
    `${of((one) => one.search[at]?.p50Ms as number).toFixed(2)} / ${of((one) => one.search[at]?.p95Ms as number).toFixed(2)}`;
  const isLocal = where !== 'server';
  const cells = [
    target,
    where,
    points.toLocaleString('en'),
    Math.round(of((one) => one.ingestPerSecond)).toLocaleString('en'),
    search(0),
    search(1),
    search(2),
    of((one) => Math.min(...one.search.map(({ recall }) => recall))).toFixed(4),
    where === 'folder' ? of((one) => one.openMs as number).toFixed(0) : '',
    isLocal ? `${of((one) => one.liveMemoryRatio).toFixed(2)} / ${of((one) => one.memoryRatio).toFixed(2)}` : '',
    isLocal ? of((one) => one.search[0]!.pauseMs).toFixed(1) : '',
  ];
  return `| ${cells.join(' | ')} |`;
}

async function report(): Promise<void> {
  const charted = results.filter(({ points }) => points === 100_000);
  const bars = charted.flatMap(({ target, where, figures }) =>
    (figures[0]?.search ?? []).map(({ selection }, at) => ({
      label: `${target}, ${where}: ${selection}`,
      value: median(figures.map((one) => one.search[at]?.p50Ms as number)),
    })),
  );
  await writeChart('vectors', barChart('Search among 100,000 x 384, median, ms', bars));
  await writeSection('vectors', [
    '## Vectors: the local engine',
    '',
    `384 dimensions, batches of 256 points with 7 payload fields, 10 hits; ${cpus()[0]?.model}, Node ${process.version}. \`npm run bench:vectors\`; medians of ${runs} runs.`,
    'Searches are p50 / p95 in ms under the tenant filter alone (which leaves every point), with 10 % and with 0.1 % of them left. *folder*: every batch is on disk (fsync) before it counts. *open*: reading the folder and the first search. *memory*: what the engine keeps, and how much the process grew, over the bytes of vectors and payloads. *pause*: how long the event loop stood still during the searches of the tenant (99th percentile).',
    '',
    '| what | place | points | ingested a second | tenant | 10 % | 0.1 % | recall@10 | open ms | memory | pause ms |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...results.map(row),
    '',
    process.env.QDRANT_URL ? '' : 'The server and the bare client were not measured: no QDRANT_URL was set.',
    '',
    '![Search among 100,000 vectors](charts/vectors.svg)',
  ]);
}
