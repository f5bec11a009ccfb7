import { QdrantClient } from '@qdrant/js-client-rest';
import { LocalQdrantClient } from '../../src/vector-stores/local/local-qdrant-client.js';
import { PulseQdrantClient } from '../../src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '../../src/vector-stores/qdrant-api.js';
import { type Dataset, dimension } from './dataset.js';
import { untilGreen } from './until-green.js';

/** One way to store and search the same points. */
export interface Target {
  create(): Promise<void>;
  ingest(from: number, to: number): Promise<void>;
  /** Ends when what was stored is indexed, if anything is. */
  settle(): Promise<void>;
  /** The numbers of the points that were found, the nearest first. */
  search(query: Float32Array, filter: object | undefined): Promise<number[]>;
  drop(): Promise<void>;
  close(): Promise<void>;
}

/**
 * How many points are stored at once; their vectors are made in the same memory each time, so that it does not count as
 * the engine's.
 */
export const batchSize = 256;
const buffers = Array.from({ length: batchSize }, () => new Float32Array(dimension));

const collection = 'bench_passages';
/** One that nobody has: its table is dropped, on whatever server QDRANT_URL names. */
const tenant = 900_000_001;
const limit = 10;
const numberOf = (title: unknown): number => Number(/\d+$/.exec(String(title))?.[0]);

type Settled = (readStatus: () => Promise<string>) => Promise<void>;
/** The engine has nothing to index. */
const atOnce: Settled = async () => {};

/** Requests made by hand to a client: Qdrant's own, or the engine. */
async function bareTarget(
  dataset: Dataset,
  client: QdrantClientLike,
  settled: Settled,
  close: () => Promise<void>,
): Promise<Target> {
  const vectorOf = (vector: Float32Array) => (client.acceptsFloat32Array ? vector : Array.from(vector));
  return {
    async create() {
      await client.deleteCollection(collection);
      await client.createCollection(collection, { vectors: { size: dimension, distance: 'Cosine' } });
      await client.createPayloadIndex(collection, { field_name: 'client_id', field_schema: 'integer', wait: true });
    },
    async ingest(from, to) {
      const points = Array.from({ length: to - from }, (_, index) => {
        const at = from + index;
        return {
          id: dataset.id(at),
          vector: vectorOf(dataset.vector(at, buffers[index])),
          payload: { client_id: tenant, table_name: 'passages', record_id: at, ...dataset.payload(at) },
        };
      });
      await client.upsert(collection, { wait: true, points });
    },
    settle: () => settled(async () => String((await client.getCollection(collection)).status)),
    async search(query, filter) {
      const must = [{ key: 'client_id', match: { value: tenant } }, ...(filter ? [filter] : [])];
      const request = {
        query: vectorOf(query),
        filter: { must },
        limit,
        with_payload: ['title'],
        params: { hnsw_ef: 128 },
      };
      const { points } = await client.query(collection, request);
      return points.map(({ payload }) => numberOf(payload?.title));
    },
    async drop() {
      await client.deleteCollection(collection);
    },
    close,
  };
}

/** Our vector store, on a server or on the engine. */
function storeTarget(dataset: Dataset, store: PulseQdrantClient, settled: Settled): Target {
  return {
    async create() {
      await store.dropCollection(tenant, 'passages');
      await store.createCollection(tenant, 'passages', { vectorSize: dimension });
    },
    async ingest(from, to) {
      const records = Array.from({ length: to - from }, (_, index) => ({
        recordId: from + index,
        vector: dataset.vector(from + index, buffers[index]) as Float32Array,
        metadata: dataset.payload(from + index),
      }));
      await store.upsertVectorsBatch(tenant, 'passages', records);
    },
    settle: () => settled(async () => String((await store.describeCollection(tenant, 'passages'))?.status)),
    async search(query, filter) {
      const hits = await store.searchSimilar(tenant, 'passages', query, {
        limit,
        scoreThreshold: -1,
        ...(filter ? { filter: filter as Record<string, unknown> } : {}),
      });
      return hits.map(({ metadata }) => numberOf(metadata.title));
    },
    async drop() {
      await store.dropCollection(tenant, 'passages');
    },
    close: () => store.close(),
  };
}

export type TargetName = 'engine' | 'store on the engine' | 'bare client' | 'store on the server';

export async function openTarget(name: TargetName, dataset: Dataset, location: string): Promise<Target> {
  const url = process.env.QDRANT_URL ?? 'http://localhost:6333';
  const apiKey = process.env.QDRANT_API_KEY || undefined;
  switch (name) {
    case 'engine': {
      const client = await LocalQdrantClient.open({ location });
      return bareTarget(dataset, client, atOnce, () => client.close());
    }
    case 'store on the engine':
      return storeTarget(dataset, new PulseQdrantClient({ location }), atOnce);
    case 'bare client': {
      const port = new URL(url).port || (url.startsWith('https:') ? '443' : '6333');
      const headers = apiKey === undefined ? {} : { headers: { 'api-key': apiKey } };
      const client = new QdrantClient({ url, port: Number(port), checkCompatibility: false, ...headers });
      return bareTarget(dataset, client as unknown as QdrantClientLike, untilGreen, async () => undefined);
    }
    case 'store on the server':
      return storeTarget(dataset, new PulseQdrantClient({ url, apiKey }), untilGreen);
  }
}
