/**
 * What quantisation costs and gives on a Qdrant server: recall@10 of the graph, unquantised, scalar and binary, against exact search. Writes its section of
 * bench/README.md.
 *
 *     QDRANT_URL=http://localhost:6333 npx tsx bench/qdrant-quantization.ts [vectors, default 100000]
 */
import { QdrantAdmin } from '../src/admin.js';
import { PulseQdrantClient, type QdrantCollectionOptions } from '../src/index.js';
import { writeSection } from './report/write-section.js';
import { untilGreen } from './vectors/until-green.js';

const dimension = 384;
const count = Number(process.argv[2] ?? 100_000);
const queryCount = 200;
const tenantId = 900_000_001;
const variants: Record<string, QdrantCollectionOptions> = {
  none: {},
  scalar: { quantization: 'scalar' },
  binary: { quantization: 'binary' },
};

const url = process.env.QDRANT_URL;
if (!url) {
  console.warn('*** NOT RUN: there is no Qdrant server. Set QDRANT_URL (and QDRANT_API_KEY). ***');
} else {
  await main(url);
}

async function main(serverUrl: string): Promise<void> {
  const apiKey = process.env.QDRANT_API_KEY || undefined;
  const store = new PulseQdrantClient({ url: serverUrl, apiKey });
  const admin = new QdrantAdmin(store);
  const centers = Array.from({ length: 200 }, () => randomUnitVector());
  const vectors = Array.from({ length: count }, (_, i) => randomUnitVector(centers[i % centers.length]));
  const queries = Array.from({ length: queryCount }, (_, i) => randomUnitVector(centers[i % centers.length]));
  const rows: string[] = [];
  try {
    for (const [name, options] of Object.entries(variants)) {
      const table = `bench_${name}`;
      await store.createCollection(tenantId, table, { ...options, vectorSize: dimension });
      const started = performance.now();
      const records = vectors.map((vector, recordId) => ({ recordId, vector }));
      await admin.bulkLoad(tenantId, table, () => store.upsertVectorsBatch(tenantId, table, records));
      const ingestMs = performance.now() - started;
      await untilGreen(async () => (await store.describeCollection(tenantId, table))!.status);
      const search = { limit: 10, scoreThreshold: -1 };
      const times: number[] = [];
      let found = 0;
      for (const query of queries) {
        const exact = await store.searchSimilar(tenantId, table, query, { ...search, exact: true });
        const begun = performance.now();
        const hits = await store.searchSimilar(tenantId, table, query, search);
        times.push(performance.now() - begun);
        const expected = new Set(exact.map(({ id }) => id));
        found += hits.filter(({ id }) => expected.has(id)).length;
      }
      rows.push(row(name, ingestMs, times, (found / (10 * queryCount)).toFixed(4)));
    }
  } finally {
    for (const name of Object.keys(variants)) await store.dropCollection(tenantId, `bench_${name}`);
    await store.close();
  }
  await writeSection('qdrant-quantization', [
    '## Quantisation on a Qdrant server',
    '',
    `${count.toLocaleString('en')} clustered vectors of ${dimension} dimensions, ${queryCount} queries one after another, filtered by tenant.`,
    '',
    '| quantisation | ingest, points/s | search p50 | p99 | recall@10 |',
    '|---|---|---|---|---|',
    ...rows,
  ]);
}

function row(name: string, ingestMs: number, times: number[], recall: string): string {
  times.sort((a, b) => a - b);
  const at = (share: number): string => `${times[Math.floor(times.length * share)]!.toFixed(1)} ms`;
  return `| ${name} | ${Math.round((count / ingestMs) * 1000).toLocaleString('en')} | ${at(0.5)} | ${at(0.99)} | ${recall} |`;
}

function randomUnitVector(center?: Float32Array): Float32Array {
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const vector = Float32Array.from(
    { length: dimension },
    (_, i) => gauss() + 2 * (center?.[i] ?? 0) * Math.sqrt(dimension),
  );
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
