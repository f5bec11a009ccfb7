import type { CallOptions } from './call-options.js';

/** What a payload or a filter may hold. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/**
 * The value of each dimension that is not zero, as keyword models (BM25, SPLADE) make them: two lists of one length.
 */
export interface SparseVector {
  /** Unsigned 32-bit integers, none twice. */
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

export interface VectorRecord {
  /** The record's key in its table. The same key replaces what was stored under it. */
  readonly recordId: string | number;
  readonly vector: ArrayLike<number>;
  /** For hybrid search, if the collection has sparse vectors. */
  readonly sparseVector?: SparseVector | undefined;
  /**
   * Anything to filter by or to get back. `client_id`, `table_name`, `record_id` and `pulse_content_hash` are set by
   * the store and refused here.
   */
  readonly metadata?: Readonly<Record<string, JsonValue>> | undefined;
  /**
   * Says what the vector was made from, up to 200 characters. A store that has `readStored` keeps it in the same write
   * as the vector, so that the two always belong together.
   */
  readonly contentHash?: string | undefined;
}

/** What a store knows of a record without its metadata. */
export interface StoredContent {
  /** The id of the point in the store. */
  readonly id: string;
  readonly recordId: string | number;
  /** As it was given with the vector; undefined if it was stored without one. */
  readonly contentHash: string | undefined;
  /** If it was asked for; of length 1, whatever its length was when it was stored. */
  readonly vector?: Float32Array;
}

export interface ReadStoredOptions extends CallOptions {
  /** @default false */
  readonly withVectors?: boolean | undefined;
}

export interface SimilarRecord {
  /** The id of the point in the store. */
  readonly id: string;
  /** Cosine similarity, -1 to 1. */
  readonly score: number;
  readonly recordId: string | number;
  readonly tableName: string;
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

export interface CreateCollectionOptions extends CallOptions {
  /** The length of the vectors. @default 1536 */
  readonly vectorSize?: number | undefined;
  /**
   * Pins the collection to an embedding space (its `embeddingSpaceId`). An existing collection with another pin is an
   * error.
   */
  readonly embeddingSpace?: string | undefined;
}

export interface CollectionDescription {
  readonly vectorSize: number;
  /** The pinned embedding space, or null if the collection was made without one. */
  readonly embeddingSpace: string | null;
  readonly pointCount: number;
}

export interface SearchOptions extends CallOptions {
  /** @default 10 */
  readonly limit?: number | undefined;
  /** The lowest cosine similarity of a hit. @default 0.7 */
  readonly scoreThreshold?: number | undefined;
  /** The space of the query vector: refused if the collection is pinned to another. */
  readonly embeddingSpace?: string | undefined;
  /**
   * Narrows the search further; it can never widen it beyond the tenant. Qdrant's filter form (`must`, `should`,
   * `must_not`, …).
   */
  readonly filter?: Readonly<Record<string, unknown>> | undefined;
}

export interface UpsertVectorsOptions extends CallOptions {
  /** The space of the vectors: refused if the collection is pinned to another. */
  readonly embeddingSpace?: string | undefined;
  /**
   * Called after each part that was stored, with how many records are stored so far. Awaited: if it fails, the call
   * fails with its error.
   */
  readonly onProgress?: ((progress: { readonly storedCount: number }) => unknown) | undefined;
}

/** Vectors of many tenants, each seeing only its own. */
export interface VectorStore {
  /** Makes the collection unless it exists with the same vector size and embedding space. */
  createCollection(tenantId: number, tableName: string, options?: CreateCollectionOptions): Promise<void>;
  /** Undefined if there is no such collection. */
  describeCollection(
    tenantId: number,
    tableName: string,
    options?: CallOptions,
  ): Promise<CollectionDescription | undefined>;
  /** Returns the point ids in the order of the records. */
  upsertVectorsBatch(
    tenantId: number,
    tableName: string,
    records: readonly VectorRecord[],
    options?: UpsertVectorsOptions,
  ): Promise<string[]>;
  searchSimilar(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    options?: SearchOptions,
  ): Promise<SimilarRecord[]>;
  /**
   * The content hashes of records, read at once; records that are not stored are left out, and the order is the
   * store's. Optional: on a store without it every record counts as changed.
   */
  readStored?(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options?: ReadStoredOptions,
  ): Promise<readonly StoredContent[]>;
  /**
   * All records of the table, without their metadata and vectors. Optional: needed to find out which ones a source has
   * lost.
   */
  listStored?(tenantId: number, tableName: string, options?: CallOptions): AsyncIterable<StoredContent>;
  /** Deletes by record id; unknown ids are ignored. */
  deleteRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options?: CallOptions,
  ): Promise<void>;
  close(): Promise<void>;
}
