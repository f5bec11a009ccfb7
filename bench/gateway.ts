/**
 * Embeds 10,000 texts through a server that takes 50 ms a request: ours and its peers in one run, each in a process of
 * its own, medians of several rounds.
 *
 *     npm run bench:gateway [rounds]
 *
 * Writes its table to bench/README.md.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { writeSection } from './report/write-section.js';

const latencyMs = 50;
const dimension = 1536;
const textCount = 10_000;
/** One text a request takes 50 ms a text: fewer texts, and the time of all computed from them. */
const slowTextCount = 400;
const rounds = Number(process.argv[2] ?? 5);

interface Run {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakBytes: number;
}

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const run = async (...values: string[]) =>
  (await promisify(execFile)(process.execPath, ['--expose-gc', path('gateway-contender.mjs'), ...values])).stdout;

const server = spawn(process.execPath, [path('gateway-server.mjs'), String(latencyMs), String(dimension)], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const [line] = (await once(server.stdout, 'data')) as [Buffer];
const baseUrl = `http://127.0.0.1:${Number(line.toString())}/v1`;

const names = JSON.parse(await run('--names')) as string[];
const runs = new Map<string, Run[]>(names.map((name) => [name, []]));
for (let round = 1; round <= rounds; round++) {
  for (const name of names) {
    const count = name === names[0] ? slowTextCount : textCount;
    const { wallMs, cpuMs, peakBytes } = JSON.parse(await run(name, baseUrl, String(count))) as Run;
    const factor = textCount / count;
    runs.get(name)?.push({ wallMs: wallMs * factor, cpuMs: cpuMs * factor, peakBytes });
    console.error(`round ${round}: ${name}: ${Math.round(wallMs * factor)} ms`);
  }
}
server.kill();

const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] as number;
const results = names.map((name) => {
  const all = runs.get(name) as Run[];
  const of = (key: keyof Run) => median(all.map((each) => each[key]));
  return { name, wallMs: of('wallMs'), cpuMs: of('cpuMs'), peakBytes: of('peakBytes') };
});

const ours = results.at(-1) as (typeof results)[number];
const [slowest, bare] = results as [typeof ours, typeof ours];
const isOurs = ({ name }: { name: string }) => name.startsWith('@pulse');
const fastestOf = (some: typeof results) => Math.min(...some.map(({ wallMs }) => wallMs));
const floor = results.find(({ name }) => name.startsWith('undici')) as typeof ours;
const fastestPeer = fastestOf(results.filter((each) => !isOurs(each) && each !== floor));
// Peers have larger batches by default, and batches are what the latency is paid for: like is compared with like.
const ourFastest = fastestOf(results.filter(isOurs));
const vectorBytes = textCount * dimension * 4;
const idealMs = (latencyMs * (textCount / 100)) / 4;
const bars: [string, string, boolean][] = [
  [
    'at least 10 times one text a request',
    `${(slowest.wallMs / ours.wallMs).toFixed(0)} times`,
    slowest.wallMs >= 10 * ours.wallMs,
  ],
  [
    'at least 0.9 of the ideal, latency x batches / concurrency',
    `${(idealMs / ours.wallMs).toFixed(2)}, of ${(idealMs / floor.wallMs).toFixed(2)} that the machine allows`,
    idealMs >= 0.9 * ours.wallMs,
  ],
  [
    'not slower than any peer',
    `${ourFastest.toFixed(0)} ms against ${fastestPeer.toFixed(0)} ms`,
    ourFastest <= fastestPeer,
  ],
  [
    "CPU time a vector at most half of the bare client's",
    (ours.cpuMs / bare.cpuMs).toFixed(2),
    ours.cpuMs <= bare.cpuMs / 2,
  ],
  [
    'peak memory at most 1.3 times the vectors',
    `${(ours.peakBytes / vectorBytes).toFixed(2)}, ${(floor.peakBytes / vectorBytes).toFixed(2)} without keeping a vector`,
    ours.peakBytes <= 1.3 * vectorBytes,
  ],
];

const load = createRequire(import.meta.url);
const version = (name: string, from: string) =>
  `${name} ${(load(fileURLToPath(new URL(`${from}/node_modules/${name}/package.json`, import.meta.url))) as { version: string }).version}`;
const versions = [
  version('openai', '..'),
  ...['ai', '@ai-sdk/openai-compatible', '@langchain/openai'].map((name) => version(name, '.')),
];
const milliseconds = (value: number) => Math.round(value).toLocaleString('en');
await writeSection('gateway', [
  `## Embeddings through a gateway

${textCount.toLocaleString('en')} texts, ${dimension.toLocaleString('en')} dimensions, a local server with ${latencyMs} ms latency. ${rounds === 1 ? 'One round' : `Medians of ${rounds} rounds`}, each contender in a process of its own.
Node ${process.versions.node}, ${cpus().length} x ${cpus()[0]?.model.trim()}; ${versions.join(', ')}. Written by \`npm run bench:gateway\` on ${new Date().toISOString().slice(0, 10)}.

| contender | time, ms | CPU time a vector, µs | peak memory, times the vectors |
|---|---:|---:|---:|
${results
  .map(
    ({ name, wallMs, cpuMs, peakBytes }) =>
      `| ${name} | ${milliseconds(wallMs)} | ${((cpuMs * 1000) / textCount).toFixed(0)} | ${name === slowest.name ? '' : (peakBytes / vectorBytes).toFixed(2)} |`,
  )
  .join('\n')}

The first row is computed from ${slowTextCount} texts. Peak memory is the growth of the resident set over the run.

| bar | measured | |
|---|---|---|
${bars.map(([bar, measured, isMet]) => `| ${bar} | ${measured} | ${isMet ? 'met' : '**not met**'} |`).join('\n')}`,
]);
console.log(`${bars.filter(([, , isMet]) => isMet).length} of ${bars.length} bars met; see bench/README.md`);
