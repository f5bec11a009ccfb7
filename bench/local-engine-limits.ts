// How the local engine behaves at its limits: a listing of a million points, and a folder with ten thousand
// collections.
//
//   npx tsx bench/local-engine-limits.ts [points, default 1,000,000] [collections, default 10,000]
//
// The result goes to bench/README.md.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LocalQdrantClient } from '../src/vector-stores/local/local-qdrant-client.js';
import { writeSection } from './report/write-section.js';
import { Dataset } from './vectors/dataset.js';

const pointCount = Number(process.argv[2] ?? 1_000_000);
const collectionCount = Number(process.argv[3] ?? 10_000);
const pageSize = 256;
const dataset = new Dataset();

const seconds = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
};

async function listing(): Promise<{ ingest: number; list: number; copy: number; listed: number }> {
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  const copied = await LocalQdrantClient.open({ location: ':memory:' });
  for (const one of [client, copied]) await one.createCollection('docs', { vectors: { size: 8, distance: 'Dot' } });
  const ingest = await seconds(async () => {
    for (let from = 0; from < pointCount; from += pageSize) {
      const points = Array.from({ length: Math.min(pageSize, pointCount - from) }, (_, index) => ({
        id: dataset.id(from + index),
        vector: [from + index, 1, 2, 3, 4, 5, 6, 7],
        payload: { client_id: 7, record_id: from + index },
      }));
      await client.upsert('docs', { points });
    }
  });
  const filter = { must: [{ key: 'client_id', match: { value: 7 } }] };
  let listed = 0;
  const pages = async (
    onPage: (points: readonly unknown[]) => Promise<unknown>,
    withVector: boolean,
  ): Promise<void> => {
    for (let offset: string | number | null | undefined; offset !== null; ) {
      const page = await client.scroll('docs', { filter, limit: pageSize, offset, with_vector: withVector });
      listed += page.points.length;
      await onPage(page.points);
      offset = page.next_page_offset;
    }
  };
  const list = await seconds(() => pages(async () => undefined, false));
  const copy = await seconds(() => pages((points) => copied.upsert('docs', { points }), true));
  return { ingest, list, copy, listed: listed / 2 };
}

async function manyCollections(): Promise<{ make: number; open: number; files: number; addressGb: number }> {
  const location = await mkdtemp(join(tmpdir(), 'bench-limits-'));
  try {
    let client = await LocalQdrantClient.open({ location });
    const make = await seconds(async () => {
      for (let number = 0; number < collectionCount; number++) {
        await client.createCollection(`client_${number}_docs`, { vectors: { size: 384, distance: 'Cosine' } });
        await client.upsert(`client_${number}_docs`, { points: [{ id: 1, vector: dataset.vector(number) }] });
      }
      await client.close();
    });
    const open = await seconds(async () => {
      client = await LocalQdrantClient.open({ location });
    });
    await client.query('client_1_docs', { query: dataset.vector(1), limit: 1 });
    const files = (await readdir('/proc/self/fd')).length;
    const status = await readFile('/proc/self/status', 'utf8');
    const addressGb = Number(/VmSize:\s+(\d+)/.exec(status)?.[1]) / 1e6;
    await client.close();
    return { make, open, files, addressGb };
  } finally {
    await rm(location, { recursive: true });
  }
}

const list = await listing();
console.log(JSON.stringify(list));
const many = await manyCollections();
console.log(JSON.stringify(many));
await writeSection('local-engine-limits', [
  '## The local engine at its limits',
  '',
  `${list.listed.toLocaleString('en')} points of 8 dimensions in memory, in pages of ${pageSize}: listed in ${list.list.toFixed(1)} s, copied into another collection`,
  `in ${list.copy.toFixed(1)} s (stored in ${list.ingest.toFixed(1)} s). ${collectionCount.toLocaleString('en')} collections in one folder, a point in each: made in ${many.make.toFixed(0)} s, opened in`,
  `${many.open.toFixed(1)} s, with ${many.files} open files and ${many.addressGb.toFixed(1)} GB of address space.`,
  '',
  `${cpus()[0]?.model}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}. Written by \`npx tsx bench/local-engine-limits.ts\`.`,
]);
