import { isObject, type JsonObject } from './json.js';
import { badInput, formatError, validationError } from './qdrant-api-error.js';
import type { Distance } from './vectors/vector-matrix.js';

/** What a collection was created with, in the form that `getCollection` returns it, and what was declared since. */
export interface CollectionConfig {
  readonly name: string;
  readonly params: JsonObject;
  readonly hnsw_config: JsonObject;
  readonly optimizer_config: JsonObject;
  readonly wal_config: JsonObject;
  readonly quantization_config: unknown;
  readonly metadata?: JsonObject;
  /** By payload key, as it was declared: `{ type: 'keyword', … }`. */
  readonly payloadIndexes: Readonly<Record<string, JsonObject>>;
}

export interface DenseVectorConfig {
  readonly size: number;
  readonly distance: Distance;
}

/** Vectors without a name are the vectors named ''. */
export const unnamedVector = '';

// A server's defaults. They steer its index and mean nothing to a scan, but a caller may read them back.
const hnswDefaults = { m: 16, ef_construct: 100, full_scan_threshold: 10_000, max_indexing_threads: 0, on_disk: false };
const optimizerDefaults = {
  deleted_threshold: 0.2,
  vacuum_min_vector_number: 1000,
  default_segment_number: 0,
  indexing_threshold: 10_000,
  flush_interval_sec: 5,
};
const walDefaults = { wal_capacity_mb: 32, wal_segments_ahead: 0 };
const parameterNames = [
  'shard_number',
  'sharding_method',
  'replication_factor',
  'write_consistency_factor',
  'on_disk_payload',
];

/** @throws a 400 or 422 if the request is malformed or asks for what the local engine has not. */
export function parseCreateCollection(name: string, request: unknown): CollectionConfig {
  if (!isObject(request)) throw formatError('a request must be an object');
  const params: JsonObject = {
    shard_number: 1,
    replication_factor: 1,
    write_consistency_factor: 1,
    on_disk_payload: true,
  };
  for (const name of ['vectors', 'sparse_vectors', ...parameterNames]) {
    if (request[name] !== undefined && request[name] !== null) params[name] = request[name];
  }
  const config: CollectionConfig = {
    name,
    params,
    hnsw_config: { ...hnswDefaults, ...optionalObject(request, 'hnsw_config') },
    optimizer_config: { ...optimizerDefaults, ...optionalObject(request, 'optimizers_config') },
    wal_config: { ...walDefaults, ...optionalObject(request, 'wal_config') },
    quantization_config: optionalObject(request, 'quantization_config') ?? null,
    ...('metadata' in request ? { metadata: optionalObject(request, 'metadata') ?? {} } : {}),
    payloadIndexes: {},
  };
  denseVectorsOf(config);
  sparseVectorsOf(config);
  return toJson(config);
}

/** Changes merge key by key, as on a server. */
export function mergeUpdateCollection(config: CollectionConfig, request: unknown): CollectionConfig {
  if (!isObject(request)) throw formatError('a request must be an object');
  const metadata = optionalObject(request, 'metadata');
  const quantization = optionalObject(request, 'quantization_config');
  return toJson({
    ...config,
    params: { ...config.params, ...optionalObject(request, 'params') },
    hnsw_config: { ...config.hnsw_config, ...optionalObject(request, 'hnsw_config') },
    optimizer_config: { ...config.optimizer_config, ...optionalObject(request, 'optimizers_config') },
    ...(quantization === undefined ? {} : { quantization_config: quantization }),
    ...(metadata === undefined ? {} : { metadata: { ...config.metadata, ...metadata } }),
  });
}

/** The dense vectors of a collection by name. */
export function denseVectorsOf(config: CollectionConfig): Map<string, DenseVectorConfig> {
  const vectors = config.params.vectors ?? {};
  if (!isObject(vectors)) throw formatError('`vectors` must be an object');
  if ('size' in vectors) return new Map([[unnamedVector, parseDenseVector(vectors)]]);
  return new Map(Object.entries(vectors).map(([name, value]) => [name, parseDenseVector(value)]));
}

function parseDenseVector(value: unknown): DenseVectorConfig {
  if (!isObject(value)) throw formatError('a vector configuration must be an object');
  const { size, distance } = value;
  if (typeof size !== 'number' || !Number.isSafeInteger(size))
    throw formatError('the `size` of a vector must be an integer');
  if (size < 1 || size > 65_536) throw validationError('vectors.size: must be from 1 to 65536');
  if (distance !== 'Cosine' && distance !== 'Dot') throw badInput('the local engine has the distances Cosine and Dot');
  if (isObject(value.multivector_config)) throw badInput('the local engine has no multivectors');
  return { size, distance };
}

/** The names of the sparse vectors, and whether their scores are weighted by inverse document frequency. */
export function sparseVectorsOf(config: CollectionConfig): Map<string, { readonly isIdf: boolean }> {
  const vectors = config.params.sparse_vectors ?? {};
  if (!isObject(vectors)) throw formatError('`sparse_vectors` must be an object');
  return new Map(
    Object.entries(vectors).map(([name, value]) => [name, { isIdf: isObject(value) && value.modifier === 'idf' }]),
  );
}

function optionalObject(request: JsonObject, name: string): JsonObject | undefined {
  const value = request[name];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw formatError(`\`${name}\` must be an object`);
  return value;
}

/** What is not JSON does not survive the log, and must not be seen before it is written either. */
function toJson(config: CollectionConfig): CollectionConfig {
  return JSON.parse(JSON.stringify(config)) as CollectionConfig;
}
