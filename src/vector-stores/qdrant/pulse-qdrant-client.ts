import process from 'node:process';
import type { CallOptions } from '../../core/embedding-provider.js';
import { requireRecordId } from '../../core/vector-record.js';
import type { UpsertVectorsOptions, VectorRecord, VectorStore } from '../../core/vector-store.js';
import { InvalidInputError } from '../../errors.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';
import { describeValue, requireNonEmptyString } from '../../internal/validate.js';
import { bulkLoad } from './bulk-load.js';
import { type Collection, CollectionCatalog, requirePin } from './collection-catalog.js';
import { CollectionRebuild } from './collection-rebuild.js';
import { checkCollectionOptions, type QdrantCollectionOptions } from './collection-request.js';
import { QdrantConnection } from './connection.js';
import type { CopyOptions } from './copy-points.js';
import { createCollection } from './create-collection.js';
import { deletePoints } from './delete-records.js';
import { dropCollection } from './drop-collection.js';
import { hasCondition } from './filter-shape.js';
import { checkHealth, type VectorStoreHealth } from './health.js';
import { describeCollection, listCollections, type QdrantCollectionDescription } from './list-collections.js';
import { moveTenant } from './move-tenant.js';
import { type CollectionMode, collectionName, pointId } from './naming.js';
import { optionsFromEnv, type PulseQdrantClientOptions, resolveOptions } from './options.js';
import {
  type CountValuesOptions,
  countRecords,
  countValues,
  type FacetValue,
  type FilterOptions,
  type ListRecordsOptions,
  type ReadOptions,
  readPage,
  type StoredRecord,
  toStoredRecord,
} from './read-records.js';
import { checkExamples, type RecommendOptions, recommend } from './recommend.js';
import { type HitGroup, searchBatch, searchGroups, searchHybrid, searchSimilar, type VectorHit } from './search.js';
import {
  type BatchSearch,
  checkFilter,
  checkGroups,
  checkHybridSearch,
  checkSearch,
  type GroupSearchOptions,
  type HybridSearchOptions,
  requireLimit,
  type VectorSearchOptions,
} from './search-options.js';
import { Upsert } from './upsert.js';

/** How many ids go into one request. */
const idsPerRequest = 1_000;
/** Any vector will do where the options are checked and the vector comes later. */
const placeholder = [1];

/**
 * Vectors of many tenants on Qdrant, each seeing only its own: the tenant is in the filter of every request, and in a collection of its own or,
 * in the mode `shared`, in one index of its own. On a server, or in this process with `location`.
 *
 * Every request ends within `timeoutMs` and heeds its `signal` (a change that was under way then may still be made); one that found the server busy or
 * away is sent again. A bad argument is an
 * `InvalidInputError` before anything is sent, a failure a `VectorStoreError` naming the server. A table that has no collection is a
 * `VectorStoreError` with code `collection_not_found`.
 *
 * @example
 * const store = new PulseQdrantClient({ url: 'http://localhost:6333' })   // or { location: './vectors' }, or { location: ':memory:' }
 * await store.createCollection(7, 'documents', { vectorSize: 384 })
 * await store.upsertVectorsBatch(7, 'documents', [{ recordId: 42, vector, metadata: { language: 'de' } }])
 * const hits = await store.searchSimilar(7, 'documents', queryVector, { filter: { must: [{ key: 'language', match: { value: 'de' } }] } })
 * await store.close()
 */
export class PulseQdrantClient implements VectorStore {
  readonly #connection: QdrantConnection;
  readonly #catalog: CollectionCatalog;

  /** Connects at the first call. @throws `InvalidInputError` for options that contradict each other. */
  constructor(options: PulseQdrantClientOptions = {}) {
    this.#connection = new QdrantConnection(resolveOptions(options));
    this.#catalog = new CollectionCatalog(this.#connection);
  }

  /**
   * A client as the environment says: `QDRANT_HOST` (a host or a URL, default `localhost`), `QDRANT_PORT` (6333), `QDRANT_TIMEOUT` (seconds, 120),
   * `QDRANT_API_KEY`.
   *
   * @throws `AiProviderError` with code `invalid_config` naming the variable.
   */
  static fromEnv(env: Readonly<Record<string, string | undefined>> = process.env): PulseQdrantClient {
    return new PulseQdrantClient(optionsFromEnv(env));
  }

  /**
   * Makes the collection of a tenant's table, with cosine distance, and its indexes: `client_{tenantId}_{tableName}`, or with `mode: 'shared'`
   * one for the table's points of all tenants. What exists is left as it is, apart from indexes that it lacks; a collection that the platform made
   * before is taken over.
   *
   * @throws `AiProviderError` with code `dimension_mismatch` where it exists with another vector size; `EmbeddingSpaceMismatchError` where
   * it is pinned to another space, or holds vectors of an unknown one; `VectorStoreError`.
   */
  async createCollection(tenantId: number, tableName: string, options: QdrantCollectionOptions = {}): Promise<void> {
    collectionName(tenantId, tableName);
    const checked = checkCollectionOptions(options);
    await createCollection(this.#connection, this.#catalog, tenantId, tableName, checked, options.signal);
  }

  async describeCollection(
    tenantId: number,
    tableName: string,
    options: CallOptions = {},
  ): Promise<QdrantCollectionDescription | undefined> {
    const collection = await this.#catalog.find(tenantId, tableName, options.signal);
    return collection && describeCollection(this.#connection, collection, options.signal);
  }

  /** The tables that the tenant has a collection for, and those of shared collections that hold a point of it; ordered by name. */
  async listCollections(tenantId: number, options: CallOptions = {}): Promise<QdrantCollectionDescription[]> {
    return listCollections(this.#connection, this.#catalog, tenantId, options.signal);
  }

  /** Removes the tenant's table: a collection of its own as a whole, of a shared one only the tenant's points. No such collection is no error. */
  async dropCollection(tenantId: number, tableName: string, options: CallOptions = {}): Promise<void> {
    await dropCollection(this.#connection, this.#catalog, tenantId, tableName, options.signal);
  }

  /**
   * Moves the tenant's points of a table to a collection of its own, or to one that tenants share. Reads go on meanwhile, writes are refused as
   * retryable. After an interruption the same call goes on where it was. docs/operations.md describes the steps.
   *
   * @returns How many points the tenant has in its new place.
   */
  async moveTenant(
    tenantId: number,
    tableName: string,
    to: CollectionMode,
    options: CopyOptions = {},
  ): Promise<number> {
    collectionName(tenantId, tableName);
    if (to !== 'collection' && to !== 'shared') {
      throw new InvalidInputError(`Expected a mode, 'collection' or 'shared', got ${describeValue(to)}.`);
    }
    return moveTenant(this.#connection, this.#catalog, tenantId, tableName, to, options);
  }

  /**
   * Begins to build the table's collection anew, for another model or with other options, while the present one serves; see
   * {@link CollectionRebuild}. In the mode `shared` it is built for all tenants of the table.
   *
   * @example
   * const rebuild = await store.rebuildCollection(7, 'documents', { vectorSize: 1536, embeddingSpace })
   * await rebuild.upsertVectorsBatch(7, recordsOfTheNewModel)
   * await rebuild.commit()
   */
  async rebuildCollection(
    tenantId: number,
    tableName: string,
    options: Omit<QdrantCollectionOptions, 'mode'> = {},
  ): Promise<CollectionRebuild> {
    collectionName(tenantId, tableName);
    const checked = checkCollectionOptions(options);
    return CollectionRebuild.begin(this.#connection, this.#catalog, tenantId, tableName, checked, options.signal);
  }

  /**
   * Runs a large load while the server puts off building the index; searches meanwhile are slow. The index is built when `load` ends,
   * however it ends, and after a crash at the first write five minutes later.
   *
   * @example
   * await store.bulkLoad(7, 'documents', () => store.upsertVectorsBatch(7, 'documents', records))
   */
  async bulkLoad<Value>(
    tenantId: number,
    tableName: string,
    load: () => Promise<Value>,
    options: CallOptions = {},
  ): Promise<Value> {
    collectionName(tenantId, tableName);
    const collection = await this.#catalog.require(tenantId, tableName, options.signal);
    return bulkLoad(this.#connection, collection, load, options.signal);
  }

  /**
   * Stores records, in requests of up to 256 points and 8 MB, four at a time; one that is stored already, under the same record id, is
   * replaced. The number 1 and the string '1' are two record ids.
   *
   * @param records - An array, which is checked as a whole before anything is sent and in which a record id may stand once; or any iterable, read
   * as fast as it is stored, in which the last of two records with one id is kept. Must not change before the call ends.
   * @returns The point ids, in the order of the records. No records: an empty result, without a request.
   * @throws `InvalidInputError` with the position of a record that is unusable (a wrong vector, a vector of zeros, metadata that is not JSON or
   * holds a reserved key); `PartialUpsertError` naming the records that are not known to be stored.
   */
  async upsertVectorsBatch(
    tenantId: number,
    tableName: string,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
    options: UpsertVectorsOptions = {},
  ): Promise<string[]> {
    collectionName(tenantId, tableName);
    const { signal } = options;
    signal?.throwIfAborted();
    if (!isIterable(records)) {
      throw new InvalidInputError(`Expected \`records\` to be an array or an iterable, got ${describeValue(records)}.`);
    }
    const upsert = new Upsert(
      this.#connection,
      (work) => this.#catalog.use(tenantId, tableName, signal, work),
      options,
    );
    // An iterable of the caller's may wait for something else than us.
    return rejectOnAbort(upsert.run({ tenantId, tableName }, records), signal);
  }

  /**
   * The tenant's records nearest to a vector, best first.
   *
   * @throws `InvalidInputError` for an unusable vector, option or filter; `VectorStoreError` with code `isolation_violated`, and nothing of the
   * answer, where a hit is another tenant's.
   */
  async searchSimilar(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    options: VectorSearchOptions = {},
  ): Promise<VectorHit[]> {
    const search = checkSearch(vector, options);
    return this.#use(tenantId, tableName, options, (collection) => {
      requirePin(collection, options.embeddingSpace);
      return searchSimilar(this.#connection, collection, search, options.signal);
    });
  }

  /** Several searches in one request; the hits of each, in the order of the searches. */
  async searchBatch(
    tenantId: number,
    tableName: string,
    searches: readonly BatchSearch[],
    options: Pick<VectorSearchOptions, 'signal' | 'embeddingSpace'> = {},
  ): Promise<VectorHit[][]> {
    collectionName(tenantId, tableName);
    const checked = requireList(searches, 'searches').map((search) => checkSearch(search.vector, search));
    if (checked.length === 0) return [];
    return this.#use(tenantId, tableName, options, (collection) => {
      requirePin(collection, options.embeddingSpace);
      return searchBatch(this.#connection, collection, checked, options.signal);
    });
  }

  /** The best `limit` groups of hits that have a metadata field in common, such as the passages of one document. */
  async searchGroups(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    options: GroupSearchOptions,
  ): Promise<HitGroup[]> {
    const search = checkSearch(vector, options);
    const groups = checkGroups(options);
    return this.#use(tenantId, tableName, options, (collection) => {
      requirePin(collection, options.embeddingSpace);
      return searchGroups(this.#connection, collection, search, groups, options.signal);
    });
  }

  /**
   * Searches by meaning and by keywords at once, and fuses the two lists. Scores are ranks, not similarities.
   *
   * @throws `VectorStoreError` with code `unsupported_operation` where the collection has no sparse vectors.
   */
  async searchHybrid(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    sparseVector: VectorRecord['sparseVector'],
    options: HybridSearchOptions = {},
  ): Promise<VectorHit[]> {
    const search = checkHybridSearch(vector, sparseVector, options);
    return this.#use(tenantId, tableName, options, (collection) => {
      requirePin(collection, options.embeddingSpace);
      return searchHybrid(this.#connection, collection, search, options.signal);
    });
  }

  /** Records like some of the tenant's own, and unlike others; the examples themselves are left out. */
  async recommend(
    tenantId: number,
    tableName: string,
    like: readonly (string | number)[],
    options: RecommendOptions = {},
  ): Promise<VectorHit[]> {
    const examples = { like: checkExamples(like, 'like'), unlike: checkExamples(options.unlike ?? [], 'unlike') };
    const search = checkSearch(placeholder, options);
    return this.#use(tenantId, tableName, options, (collection) =>
      recommend(this.#connection, collection, examples, search, options.signal),
    );
  }

  /** Records by their ids; those that are not stored are left out. The order is the store's. */
  async getRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: ReadOptions = {},
  ): Promise<StoredRecord[]> {
    const ids = this.#pointIds(tenantId, tableName, recordIds);
    return this.#use(tenantId, tableName, options, async (collection) => {
      const records: StoredRecord[] = [];
      for (const part of chunks(ids)) {
        const read = { conditions: [{ has_id: part }], limit: part.length, withVectors: options.withVectors === true };
        const { points } = await readPage(this.#connection, collection, read, options.signal);
        records.push(...points.map((point) => toStoredRecord(collection.scope, point)));
      }
      return records;
    });
  }

  /** All records that a filter leaves, page by page, in the store's order. */
  async *listRecords(
    tenantId: number,
    tableName: string,
    options: ListRecordsOptions = {},
  ): AsyncGenerator<StoredRecord, void, undefined> {
    const filter = checkFilter(options.filter);
    let offset: unknown;
    do {
      const read = { filter, offset, withVectors: options.withVectors === true };
      const page = await this.#use(tenantId, tableName, options, async (collection) => {
        const { points, nextOffset } = await readPage(this.#connection, collection, read, options.signal);
        return { records: points.map((point) => toStoredRecord(collection.scope, point)), nextOffset };
      });
      yield* page.records;
      offset = page.nextOffset;
    } while (offset !== undefined);
  }

  async countRecords(tenantId: number, tableName: string, options: FilterOptions = {}): Promise<number> {
    const filter = checkFilter(options.filter);
    return this.#use(tenantId, tableName, options, (collection) =>
      countRecords(this.#connection, collection, filter, options.signal),
    );
  }

  /** The values of a metadata field and how many records have each; the field needs an index of its type (`payloadIndexes`). */
  async countValues(
    tenantId: number,
    tableName: string,
    field: string,
    options: CountValuesOptions = {},
  ): Promise<FacetValue[]> {
    requireNonEmptyString(field, 'field');
    const counted = { filter: checkFilter(options.filter), limit: requireLimit(options.limit ?? 10, 'limit') };
    return this.#use(tenantId, tableName, options, (collection) =>
      countValues(this.#connection, collection, field, counted, options.signal),
    );
  }

  async deleteRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: CallOptions = {},
  ): Promise<void> {
    const ids = this.#pointIds(tenantId, tableName, recordIds);
    for (const part of chunks(ids)) {
      await this.#use(tenantId, tableName, options, (collection) =>
        deletePoints(this.#connection, collection, { condition: { has_id: part } }, options.signal),
      );
    }
  }

  /**
   * Deletes the tenant's records that a filter leaves.
   *
   * @param filter - With at least one condition: to remove everything, there is `dropCollection`.
   */
  async deleteByFilter(
    tenantId: number,
    tableName: string,
    filter: Readonly<Record<string, unknown>>,
    options: CallOptions = {},
  ): Promise<void> {
    const checked = checkFilter(filter ?? null) as Record<string, unknown>;
    if (!hasCondition(checked)) {
      throw new InvalidInputError('Expected `filter` to have a condition. To remove all records, use dropCollection.');
    }
    await this.#use(tenantId, tableName, options, (collection) =>
      deletePoints(this.#connection, collection, { filter: checked }, options.signal),
    );
  }

  /** Whether the store answers, has loaded its collections, and takes the key. Never throws, but for the reason of `signal`. */
  async health(options: CallOptions = {}): Promise<VectorStoreHealth> {
    return checkHealth(this.#connection, options.signal);
  }

  /** Fails what is under way with `aborted_by_close` and closes what this client opened, never an injected `client`. May be called again. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #use<Value>(
    tenantId: number,
    tableName: string,
    options: CallOptions,
    work: (collection: Collection) => Promise<Value>,
  ): Promise<Value> {
    return this.#catalog.use(tenantId, tableName, options.signal, work);
  }

  #pointIds(tenantId: number, tableName: string, recordIds: readonly (string | number)[]): string[] {
    collectionName(tenantId, tableName);
    return requireList(recordIds, 'recordIds').map((id, position) =>
      pointId(tenantId, tableName, requireRecordId(id, position)),
    );
  }
}

function requireList<Value>(value: readonly Value[], name: string): readonly Value[] {
  // A copy without holes, which `map` would leave out.
  if (Array.isArray(value)) return Array.from(value);
  throw new InvalidInputError(`Expected \`${name}\` to be an array, got ${describeValue(value)}.`);
}

function isIterable(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Symbol.iterator in value || Symbol.asyncIterator in value;
}

function* chunks(ids: readonly string[]): Generator<string[]> {
  for (let start = 0; start < ids.length; start += idsPerRequest) yield ids.slice(start, start + idsPerRequest);
}
