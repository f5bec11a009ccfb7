// Measures one target at one size in a process of its own; the figures go to standard output as JSON.
// node --expose-gc --import tsx bench/vectors/measure.ts <target> <points> <location>
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Dataset, dimension, selections } from './dataset.js';
import { batchSize, openTarget, type Target, type TargetName } from './targets.js';

export interface Figures {
  readonly ingestPerSecond: number;
  /** How much the process grew, over the bytes of the vectors and payloads. */
  readonly memoryRatio: number;
  /** What the engine keeps (heap in use and vectors), over the same. */
  readonly liveMemoryRatio: number;
  readonly openMs: number | undefined;
  readonly search: readonly SearchFigures[];
}

export interface SearchFigures {
  readonly selection: string;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly recall: number;
  /** How long the event loop stood still at most (99th percentile) while searches ran. */
  readonly pauseMs: number;
}

const warmUps = 20;
const searches = 100;
const recallQueries = 20;

const [name, size, location = ':memory:'] = process.argv.slice(2);
const count = Number(size);
const dataset = new Dataset();
process.stdout.write(JSON.stringify(await measure(name as TargetName)));

async function measure(target: TargetName): Promise<Figures> {
  let opened = await openTarget(target, dataset, location);
  await opened.create();
  await collectGarbage();
  const before = process.memoryUsage();
  const ingestPerSecond = await measureIngest(opened);
  await collectGarbage();
  const after = process.memoryUsage();
  const bytes = count * dimension * 4 + payloadBytes();
  let openMs: number | undefined;
  if (location !== ':memory:') {
    await opened.close();
    const start = performance.now();
    opened = await openTarget(target, dataset, location);
    await opened.search(dataset.query(0), undefined);
    openMs = performance.now() - start;
  }
  await opened.settle();
  const search = [];
  for (const selection of selections) search.push(await measureSearch(opened, selection));
  const figures: Figures = {
    ingestPerSecond,
    memoryRatio: (after.rss - before.rss) / bytes,
    liveMemoryRatio: (after.heapUsed - before.heapUsed + count * dimension * 4) / bytes,
    openMs,
    search,
  };
  await opened.drop();
  await opened.close();
  return figures;
}

async function measureIngest(target: Target): Promise<number> {
  // Making the points is not storing them: how long that takes is measured apart and taken off.
  const start = performance.now();
  for (let from = 0; from < count; from += batchSize) {
    const to = Math.min(count, from + batchSize);
    await target.ingest(from, to);
  }
  const totalMs = performance.now() - start;
  const buffer = new Float32Array(dimension);
  const makingStart = performance.now();
  for (let at = 0; at < Math.min(count, 20_000); at++) {
    dataset.vector(at, buffer);
    dataset.payload(at);
    dataset.id(at);
  }
  const makingMs = ((performance.now() - makingStart) / Math.min(count, 20_000)) * count;
  return (count / (totalMs - makingMs)) * 1000;
}

async function measureSearch(target: Target, selection: (typeof selections)[number]): Promise<SearchFigures> {
  const recall = await measureRecall(target, selection);
  for (let at = 0; at < warmUps; at++) await target.search(dataset.query(at), selection.filter);
  const times: number[] = [];
  const pauses = monitorEventLoopDelay({ resolution: 1 });
  pauses.enable();
  await delay(10);
  pauses.reset();
  for (let at = 0; at < searches; at++) {
    const query = dataset.query(1000 + at);
    const start = performance.now();
    await target.search(query, selection.filter);
    times.push(performance.now() - start);
  }
  pauses.disable();
  times.sort((left, right) => left - right);
  const quantile = (part: number): number => times[Math.floor(part * times.length)] as number;
  return {
    selection: selection.name,
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
    recall,
    pauseMs: pauses.percentile(99) / 1e6,
  };
}

/** Against the exact ranking in float64. */
async function measureRecall(target: Target, selection: (typeof selections)[number]): Promise<number> {
  const queries = Array.from({ length: recallQueries }, (_, at) => dataset.query(2000 + at));
  const best: { at: number; score: number }[][] = queries.map(() => []);
  for (let at = 0; at < count; at++) {
    if (!selection.matches(at)) continue;
    const vector = dataset.vector(at);
    queries.forEach((query, index) => {
      const list = best[index] as { at: number; score: number }[];
      const score = cosine(query, vector);
      if (list.length === 10 && score <= (list[9]?.score as number)) return;
      list.push({ at, score });
      list.sort((left, right) => right.score - left.score);
      if (list.length > 10) list.pop();
    });
  }
  let found = 0;
  for (const [index, query] of queries.entries()) {
    const hits = new Set(await target.search(query, selection.filter));
    found += (best[index] ?? []).filter(({ at }) => hits.has(at)).length;
  }
  return found / best.flat().length;
}

function cosine(left: Float32Array, right: Float32Array): number {
  let [dot, leftSquares, rightSquares] = [0, 0, 0];
  for (let index = 0; index < dimension; index++) {
    const [a, b] = [left[index] as number, right[index] as number];
    dot += a * b;
    leftSquares += a * a;
    rightSquares += b * b;
  }
  return dot / Math.sqrt(leftSquares * rightSquares);
}

function payloadBytes(): number {
  let bytes = 0;
  for (let at = 0; at < count; at++) bytes += JSON.stringify(dataset.payload(at)).length + 50;
  return bytes;
}

async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    await delay(100);
  }
}
