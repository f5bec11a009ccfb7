import { reservedKeys } from '../../../core/index/check-record.js';
import type { CreateCollectionOptions } from '../../../core/ports/vector-store.js';
import { InvalidInputError } from '../../../errors.js';
import { describeValue, requireNonEmptyString, requirePositiveInteger } from '../../../internal/validate.js';
import { requireKeyPath } from '../tenancy/filter-values.js';
import type { CollectionMode } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import { makeMetadata } from './metadata.js';

export type PayloadIndexType = 'keyword' | 'integer' | 'float' | 'bool' | 'datetime' | 'text' | 'uuid' | 'geo';

/**
 * How a server keeps vectors in memory for searching: as they are, or as a smaller copy beside the originals, which
 * rescore what it finds.
 */
export type Quantization = 'none' | 'scalar' | 'binary';

/**
 * Presets by the number of vectors that a collection is expected to hold; docs/operations.md has their memory
 * arithmetic.
 */
export type CollectionPreset = 'small' | 'standard' | 'large' | 'distributed';

export interface QdrantCollectionOptions extends CreateCollectionOptions {
  /**
   * Chosen when the collection is made, and kept with it; see {@link CollectionMode}.
   * @default what exists, or else 'collection'
   */
  readonly mode?: CollectionMode | undefined;
  /**
   * `small`: up to 100,000 vectors, with a small footprint a collection. `standard`: up to 1M, all in memory. `large`:
   * 10M and more on one machine, quantised in memory and the originals on disk. `distributed`: 100M on several
   * machines. The other options go before it. @default 'standard'
   */
  readonly preset?: CollectionPreset | undefined;
  /** Fields of the metadata that filters use, and their types: without an index, a server reads every payload. */
  readonly payloadIndexes?: Readonly<Record<string, PayloadIndexType>> | undefined;
  /** Whether records may have a `sparseVector` beside the dense one, for `searchHybrid`. @default false */
  readonly hasSparseVectors?: boolean | undefined;
  /**
   * How `searchHybrid` weighs the terms of sparse vectors. `idf`: rare ones more, counted among the tenant's own
   * records, which in the mode `shared` takes a server of 1.19 or later. `none`: by the vectors' own values. Fixed at
   * creation. @default 'idf'
   */
  readonly termWeights?: 'idf' | 'none' | undefined;
  readonly onDiskVectors?: boolean | undefined;
  readonly onDiskPayload?: boolean | undefined;
  readonly quantization?: Quantization | undefined;
  /** Fixed at creation. */
  readonly shardNumber?: number | undefined;
  readonly replicationFactor?: number | undefined;
  /** How many replicas must take a write before it counts. */
  readonly writeConsistencyFactor?: number | undefined;
}

const defaultVectorSize = 1536;
/** Names the sparse vector of a collection that has one. */
export const sparseVectorName = 'text';

/**
 * As the platform has them. `full_scan_threshold` is in kilobytes: smaller segments are scanned, which is faster there
 * than the graph.
 */
const hnsw = { m: 16, ef_construct: 100, full_scan_threshold: 10_000 };
/** One graph a tenant instead of one for all: a search never walks through another tenant's vectors. */
const tenantHnsw = { ...hnsw, m: 0, payload_m: 16 };

type Storage = Pick<
  QdrantCollectionOptions,
  'onDiskVectors' | 'onDiskPayload' | 'quantization' | 'shardNumber' | 'replicationFactor' | 'writeConsistencyFactor'
>;

const presets: Readonly<Record<CollectionPreset, Storage>> = {
  small: {},
  standard: {},
  large: { onDiskVectors: true, onDiskPayload: true, quantization: 'scalar', shardNumber: 2 },
  distributed: {
    onDiskVectors: true,
    onDiskPayload: true,
    quantization: 'scalar',
    shardNumber: 12,
    replicationFactor: 2,
    writeConsistencyFactor: 2,
  },
};

/**
 * One segment and a log of 1 MB: by default a server preallocates 32 MB and keeps a segment for every other core, for
 * each collection.
 */
const smallFootprint = {
  optimizers_config: { default_segment_number: 1 },
  wal_config: { wal_capacity_mb: 1, wal_segments_ahead: 0 },
};

const payloadIndexTypes: readonly string[] = [
  'keyword',
  'integer',
  'float',
  'bool',
  'datetime',
  'text',
  'uuid',
  'geo',
] satisfies PayloadIndexType[];

export interface CheckedCollectionOptions extends Storage {
  readonly vectorSize: number;
  readonly embeddingSpace: string | undefined;
  readonly mode: CollectionMode | undefined;
  readonly isSmall: boolean;
  readonly hasSparseVectors: boolean;
  readonly termWeights: 'idf' | 'none';
  readonly payloadIndexes: Readonly<Record<string, PayloadIndexType>>;
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkCollectionOptions(options: QdrantCollectionOptions): CheckedCollectionOptions {
  const { embeddingSpace } = options;
  const preset = oneOf(options.preset ?? 'standard', Object.keys(presets), 'preset') as CollectionPreset;
  return {
    vectorSize: requirePositiveInteger(options.vectorSize ?? defaultVectorSize, 'vectorSize'),
    embeddingSpace: embeddingSpace === undefined ? undefined : requireNonEmptyString(embeddingSpace, 'embeddingSpace'),
    mode:
      options.mode === undefined
        ? undefined
        : (oneOf(options.mode, ['collection', 'shared'], 'mode') as CollectionMode),
    isSmall: preset === 'small',
    hasSparseVectors: optionalBoolean(options.hasSparseVectors, 'hasSparseVectors') ?? false,
    termWeights: oneOf(options.termWeights ?? 'idf', ['idf', 'none'], 'termWeights') as 'idf' | 'none',
    payloadIndexes: requirePayloadIndexes(options.payloadIndexes ?? {}),
    onDiskVectors: optionalBoolean(options.onDiskVectors, 'onDiskVectors') ?? presets[preset].onDiskVectors,
    onDiskPayload: optionalBoolean(options.onDiskPayload, 'onDiskPayload') ?? presets[preset].onDiskPayload,
    quantization: oneOf(
      options.quantization ?? presets[preset].quantization ?? 'none',
      ['none', 'scalar', 'binary'],
      'quantization',
    ) as Quantization,
    shardNumber: optionalCount(options.shardNumber, 'shardNumber') ?? presets[preset].shardNumber,
    replicationFactor:
      optionalCount(options.replicationFactor, 'replicationFactor') ?? presets[preset].replicationFactor,
    writeConsistencyFactor:
      optionalCount(options.writeConsistencyFactor, 'writeConsistencyFactor') ?? presets[preset].writeConsistencyFactor,
  };
}

/** The body of `PUT /collections/{name}`; what is not asked for is left to the server's configuration. */
export function collectionRequest(scope: TenantScope, options: CheckedCollectionOptions): Record<string, unknown> {
  const { onDiskVectors, onDiskPayload, quantization, shardNumber, replicationFactor, writeConsistencyFactor } =
    options;
  return {
    vectors: { size: options.vectorSize, distance: 'Cosine', ...given({ on_disk: onDiskVectors }) },
    ...(options.hasSparseVectors ? { sparse_vectors: { [sparseVectorName]: { modifier: options.termWeights } } } : {}),
    hnsw_config: scope.mode === 'shared' ? tenantHnsw : hnsw,
    ...(options.isSmall ? smallFootprint : {}),
    ...quantizationRequest(quantization),
    ...given({
      on_disk_payload: onDiskPayload,
      shard_number: shardNumber,
      replication_factor: replicationFactor,
      write_consistency_factor: writeConsistencyFactor,
    }),
    metadata: makeMetadata(scope, options.embeddingSpace),
  };
}

function quantizationRequest(quantization: Quantization | undefined): Record<string, unknown> {
  switch (quantization) {
    case 'scalar':
      // The outermost percent are clipped: one far value would otherwise coarsen all others.
      return { quantization_config: { scalar: { type: 'int8', quantile: 0.99, always_ram: true } } };
    case 'binary':
      return { quantization_config: { binary: { always_ram: true } } };
    default:
      return {};
  }
}

function given(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** @throws {@link InvalidInputError} for a field or a type that cannot be indexed. */
function requirePayloadIndexes(value: unknown): Readonly<Record<string, PayloadIndexType>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError(`Expected \`payloadIndexes\` to be an object, got ${describeValue(value)}.`);
  }
  for (const [field, type] of Object.entries(value)) {
    // Compared as a server does, which takes `"client_id"` for `client_id`: its index would replace the one that keeps
    // tenants apart.
    const [, quoted, plain] = /^(?:"([^"]*)"|([^.[]*))/.exec(requireKeyPath(field, 'a field of payloadIndexes')) ?? [];
    if ((reservedKeys as readonly string[]).includes(quoted ?? plain ?? '')) {
      throw new InvalidInputError(`Expected the fields of \`payloadIndexes\` to be metadata fields, not \`${field}\`.`);
    }
    oneOf(type, payloadIndexTypes, `payloadIndexes.${field}`);
  }
  return { ...value };
}

function oneOf(value: unknown, known: readonly string[], name: string): string {
  if (typeof value === 'string' && known.includes(value)) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be one of ${known.join(', ')}, got ${describeValue(value)}.`);
}

function optionalBoolean(value: unknown, name: string): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a boolean, got ${describeValue(value)}.`);
}

function optionalCount(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : requirePositiveInteger(value, name);
}
