/**
 * How fast vectors leave this process: the bare REST client, ours on top of it, rounding, and gRPC, each against a
 * server process that only reads and says yes, so that the client is what is measured. Writes its section of
 * bench/README.md.
 *
 *     npm --prefix bench install && npx tsx bench/qdrant-transport.ts
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { arch, cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { QdrantClient } from '@qdrant/js-client-rest';
import { PulseQdrantClient } from '../src/vector-stores/qdrant/pulse-qdrant-client.js';
import { writeSection } from './report/write-section.js';

const pointsPerRequest = 256;
const requestCount = 24;
const concurrency = 4;
const runs = 5;
const tenantId = 7;

type Send = (vectors: readonly Float32Array[]) => Promise<void>;

async function main(): Promise<void> {
  const { server, restPort, grpcPort } = await startServer();
  try {
    const rows: string[] = [];
    for (const dimension of [384, 1536]) {
      const vectors = Array.from({ length: pointsPerRequest * requestCount }, () => randomUnitVector(dimension));
      const variants = await makeVariants(restPort, grpcPort, dimension);
      const rates = new Map<string, number[]>();
      // Interleaved: whatever else the machine does falls on all variants alike.
      for (let run = 0; run <= runs; run++) {
        for (const [name, send] of variants) {
          const started = performance.now();
          await send(vectors);
          const rate = (vectors.length / (performance.now() - started)) * 1000;
          if (run > 0) rates.set(name, [...(rates.get(name) ?? []), rate]);
        }
      }
      for (const [name, values] of rates)
        rows.push(`| ${dimension} | ${name} | ${Math.round(median(values)).toLocaleString('en')} |`);
    }
    const recall = [384, 1536]
      .map((dimension) => `${recallOfRounding(dimension).toFixed(4)} at ${dimension}`)
      .join(', ');
    await writeSection('qdrant-transport', [
      '## Sending vectors to Qdrant',
      '',
      `Points sent a second, median of ${runs} runs, ${pointsPerRequest} points a request, ${concurrency} requests at once, to a server process that only reads.`,
      '',
      '| dimension | client | points/s |',
      '|---|---|---|',
      ...rows,
      '',
      `Recall@10 of vectors rounded to 6 decimals against the same unrounded, exact search, 20,000 clustered vectors, 200 queries: ${recall}.`,
      '',
      `${cpus().length} x ${cpus()[0]?.model ?? arch()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}. Written by \`npx tsx bench/qdrant-transport.ts\`.`,
    ]);
  } finally {
    server.kill();
  }
}

async function makeVariants(restPort: number, grpcPort: number, dimension: number): Promise<[string, Send][]> {
  const rest = new QdrantClient({ host: '127.0.0.1', port: restPort, checkCompatibility: false });
  const store = new PulseQdrantClient({ host: '127.0.0.1', port: restPort });
  const bare = (toNumbers: (vector: Float32Array) => number[]): Send =>
    inWindow((part) =>
      rest.upsert('client_7_docs', {
        wait: true,
        points: part.map((vector, i) => ({ id: pointId(i), vector: toNumbers(vector), payload: payloadOf(i) })),
      }),
    );
  const variants: [string, Send][] = [
    ['REST client, bare', bare((vector) => Array.from(vector))],
    [
      'PulseQdrantClient (checks, ids, lossless short numbers)',
      async (vectors) => {
        const records = vectors.map((vector, recordId) => ({ recordId, vector, metadata: { title: 'a passage' } }));
        await store.upsertVectorsBatch(tenantId, `docs_${dimension}`, records);
      },
    ],
    [
      'REST client, rounded to 6 decimals',
      bare((vector) => Array.from(vector, (value) => Math.round(value * 1e6) / 1e6)),
    ],
  ];
  const grpc = await import('@qdrant/js-client-grpc' as string).catch(() => undefined);
  if (grpc === undefined) {
    console.warn('gRPC is not measured: npm --prefix bench install');
    return variants;
  }
  for (const compression of [false, true]) {
    const client = new grpc.QdrantClient({ host: '127.0.0.1', port: grpcPort, compression, checkCompatibility: false });
    variants.push([
      `gRPC client${compression ? ', gzip (its default)' : ', no compression'}`,
      inWindow((part) =>
        client.api('points').upsert({
          collectionName: 'client_7_docs',
          wait: true,
          points: part.map((vector, i) => ({
            id: { pointIdOptions: { case: 'uuid', value: pointId(i) } },
            vectors: {
              vectorsOptions: {
                case: 'vector',
                value: { vector: { case: 'dense', value: { data: Array.from(vector) } } },
              },
            },
            payload: Object.fromEntries(
              Object.entries(payloadOf(i)).map(([key, value]) => [
                key,
                {
                  kind:
                    typeof value === 'number'
                      ? { case: 'integerValue', value: BigInt(value) }
                      : { case: 'stringValue', value },
                },
              ]),
            ),
          })),
        }),
      ),
    ]);
  }
  return variants;
}

/** Sends the vectors in requests, a few at once. */
function inWindow(request: (part: readonly Float32Array[]) => Promise<unknown>): Send {
  return async (vectors) => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < vectors.length) {
        const start = next;
        next += pointsPerRequest;
        await request(vectors.slice(start, start + pointsPerRequest));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
}

function payloadOf(i: number): Record<string, string | number> {
  return { title: 'a passage', client_id: tenantId, table_name: 'docs', record_id: i };
}

function pointId(i: number): string {
  return `00000000-0000-5000-8000-${i.toString(16).padStart(12, '0')}`;
}

function randomUnitVector(dimension: number, center?: Float32Array): Float32Array {
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  const vector = Float32Array.from(
    { length: dimension },
    (_, i) => gauss() + 2 * (center?.[i] ?? 0) * Math.sqrt(dimension),
  );
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function recallOfRounding(dimension: number): number {
  const centers = Array.from({ length: 50 }, () => randomUnitVector(dimension));
  const vectors = Array.from({ length: 20_000 }, (_, i) => randomUnitVector(dimension, centers[i % 50]));
  const rounded = vectors.map((vector) => vector.map((value) => Math.round(value * 1e6) / 1e6));
  let found = 0;
  for (let query = 0; query < 200; query++) {
    const vector = randomUnitVector(dimension, centers[query % 50]);
    const exact = new Set(nearest(vectors, vector));
    found += nearest(rounded, vector).filter((index) => exact.has(index)).length;
  }
  return found / 2000;
}

function nearest(vectors: readonly Float32Array[], query: Float32Array): number[] {
  const scores = vectors.map((vector) => {
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += vector[i]! * query[i]!;
    return sum;
  });
  return scores
    .map((_, index) => index)
    .sort((a, b) => scores[b]! - scores[a]!)
    .slice(0, 10);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function startServer(): Promise<{ server: ChildProcess; restPort: number; grpcPort: number }> {
  const server = fork(fileURLToPath(import.meta.url), ['serve'], { execArgv: process.execArgv });
  const ports = await new Promise<{ restPort: number; grpcPort: number }>((resolve) =>
    server.once('message', resolve as never),
  );
  return { server, ...ports };
}

function serve(): void {
  const description = (dimension: number): unknown => ({
    result: {
      status: 'green',
      config: { params: { vectors: { size: dimension, distance: 'Cosine' } } },
      payload_schema: {},
    },
  });
  const rest = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const answer =
        request.method === 'GET'
          ? description(Number(/\d+$/.exec(request.url ?? '')?.[0]))
          : { result: { operation_id: 1, status: 'completed' }, status: 'ok', time: 0 };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  // A PointsOperationResponse with the status Completed, as protobuf in a gRPC frame.
  const completed = Buffer.from([0, 0, 0, 0, 6, 0x0a, 4, 0x08, 1, 0x10, 2]);
  const grpc = createHttp2Server();
  grpc.on('stream', (stream) => {
    stream.resume();
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(completed);
    });
  });
  rest.listen(0, '127.0.0.1', () => {
    grpc.listen(0, '127.0.0.1', () => {
      process.send!({ restPort: (rest.address() as AddressInfo).port, grpcPort: (grpc.address() as AddressInfo).port });
    });
  });
}

if (process.argv[2] === 'serve') serve();
else await main();
