import process from 'node:process';
import { requireRecordId, reservedKeys } from '../../core/index/check-record.js';
import type { CallOptions } from '../../core/ports/call-options.js';
import type {
  ReadStoredOptions,
  StoredContent,
  UpsertVectorsOptions,
  VectorRecord,
  VectorStore,
} from '../../core/ports/vector-store.js';
import { InvalidInputError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { describeValue } from '../../internal/validate.js';
import { CollectionCatalog } from './collections/catalog.js';
import { type Collection, requireSpace } from './collections/collection.js';
import { createCollection } from './collections/create-collection.js';
import { describeCollection, listCollections, type QdrantCollectionDescription } from './collections/describe.js';
import { dropCollection } from './collections/drop-collection.js';
import { checkCollectionOptions, type QdrantCollectionOptions } from './collections/options.js';
import { countRecords } from './collections/point-counts.js';
import {
  type CountValuesOptions,
  countValues,
  type FacetValue,
  type FilterOptions,
  type ListRecordsOptions,
  type ReadOptions,
  readByRecordIds,
  readPage,
  readStoredContents,
  type StoredRecord,
  toStoredContent,
  toStoredRecord,
} from './records/read-records.js';
import { deletePoints, recordCondition } from './records/record-points.js';
import { Upsert, type UpsertTarget } from './records/upsert.js';
import { checkExamples, type RecommendOptions, recommend } from './search/recommend.js';
import {
  type HitGroup,
  searchBatch,
  searchGroups,
  searchHybrid,
  searchSimilar,
  toSearchBatches,
  type VectorHit,
} from './search/search.js';
import {
  type BatchSearch,
  checkFilter,
  checkGroups,
  checkHybridSearch,
  checkSearch,
  checkSearches,
  type GroupSearchOptions,
  type HybridSearchOptions,
  requireLimit,
  type VectorSearchOptions,
} from './search/search-options.js';
import { reachOf } from './tenancy/filter-groups.js';
import { requireFilter } from './tenancy/filter-shape.js';
import { requireKeyPath } from './tenancy/filter-values.js';
import { collectionName } from './tenancy/naming.js';
import { optionsFromEnv, type PulseQdrantClientOptions, resolveOptions } from './wire/client-options.js';
import { QdrantConnection } from './wire/connection.js';
import { checkHealth, type VectorStoreHealth } from './wire/health.js';

/** @internal What a store is made of. */
export interface StoreParts {
  readonly connection: QdrantConnection;
  readonly catalog: CollectionCatalog;
}

/** @internal Registered, so that it holds between the ESM and the CommonJS build. */
export const storeParts: unique symbol = Symbol.for('@pulse/ai-providers/qdrant-store-parts');

type UseCollection = <Value>(work: (collection: Collection) => Promise<Value>) => Promise<Value>;

/** How many ids go into one request. */
const idsPerRequest = 1_000;
/** Any vector will do: the options are checked before the vector is known. */
const placeholder = [1];

/**
 * Vectors of many tenants on Qdrant, each seeing only its own: the tenant is in the filter of every request, and in a
 * collection of its own or, in the mode `shared`, in one index of its own. On a server, or in this process with
 * `location`.
 *
 * A call that gives one answer (a search, a read by id, a count, a delete, a description, `health`) ends within
 * `timeoutMs`, with all that it asks the server and asks again. Of what may take long (upserts, `listRecords`, and what
 * makes or drops collections) each request or page has that time. All honour their `signal`; a change that was under
 * way then may still be made. A request that found the server busy or away is sent again. What an operator does
 * (moving, rebuilding, copying, loading in bulk) is in `QdrantAdmin`, of `@pulse/ai-providers/admin`.
 *
 * A bad argument is an `InvalidInputError` before anything is sent, a failure a `VectorStoreError` naming the server. A
 * table without a collection is a `VectorStoreError` with code `collection_not_found`.
 *
 * @example
 * // Or { location: './vectors' }, or { location: ':memory:' }, which need no server.
 * const store = new PulseQdrantClient({ url: 'http://localhost:6333' })
 * await store.createCollection(7, 'documents', { vectorSize: 384 })
 * await store.upsertVectorsBatch(7, 'documents', [{ recordId: 42, vector, metadata: { language: 'de' } }])
 * const filter = { must: [{ key: 'language', match: { value: 'de' } }] }
 * const hits = await store.searchSimilar(7, 'documents', queryVector, { filter })
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
   * A client as the environment says: `QDRANT_HOST` (a host or a URL, default `localhost`), `QDRANT_PORT` (6333),
   * `QDRANT_TIMEOUT` (seconds, 120), `QDRANT_API_KEY`.
   *
   * @throws `AiProviderError` with code `invalid_config` naming the variable.
   */
  static fromEnv(env: Readonly<Record<string, string | undefined>> = process.env): PulseQdrantClient {
    return new PulseQdrantClient(optionsFromEnv(env));
  }

  /**
   * Makes the collection of a tenant's table, with cosine distance, and its indexes: `client_{tenantId}_{tableName}`,
   * or with `mode: 'shared'` one for the table's points of all tenants. What exists is left as it is, apart from
   * indexes that it lacks; a collection that the platform made before is taken over.
   *
   * @throws `AiProviderError` with code `dimension_mismatch` if it exists with another vector size;
   *   `EmbeddingSpaceMismatchError` if it is pinned to another space, or holds vectors of an unknown one;
   *   `VectorStoreError`.
   */
  async createCollection(tenantId: number, tableName: string, options: QdrantCollectionOptions = {}): Promise<void> {
    collectionName(tenantId, tableName);
    requireOptions(options);
    const checked = checkCollectionOptions(options);
    await createCollection(this.#connection, this.#catalog, tenantId, tableName, checked, options.signal);
  }

  async describeCollection(
    tenantId: number,
    tableName: string,
    options: CallOptions = {},
  ): Promise<QdrantCollectionDescription | undefined> {
    return this.#answer('describing', tenantId, tableName, options, async (_use, signal) => {
      const collection = await this.#catalog.find(tenantId, tableName, signal);
      return collection && describeCollection(this.#connection, collection, signal);
    });
  }

  /**
   * The tables that the tenant has a collection for, and those of shared collections that hold a point of it; ordered
   * by name.
   */
  async listCollections(tenantId: number, options: CallOptions = {}): Promise<QdrantCollectionDescription[]> {
    requireOptions(options);
    return this.#connection.withinDeadline({ operation: 'listing', signal: options.signal }, (signal) =>
      listCollections(this.#connection, this.#catalog, tenantId, signal),
    );
  }

  /**
   * Removes the tenant's table: a collection of its own as a whole, of a shared one only the tenant's points. Does
   * nothing if there is none.
   */
  async dropCollection(tenantId: number, tableName: string, options: CallOptions = {}): Promise<void> {
    requireOptions(options);
    await dropCollection(this.#connection, this.#catalog, tenantId, tableName, options.signal);
  }

  /**
   * Stores records, in requests of up to 256 points and 8 MB, four at a time, each within `timeoutMs`; one that is
   * stored already, under the same record id, is replaced. The number 1 and the string '1' are two record ids.
   *
   * @param records - An array, which is checked as a whole before anything is sent and in which a record id may occur
   *   once; or any iterable, read as fast as it is stored, in which the last of two records with one id is kept. Must
   *   not change before the call ends.
   * @returns The point ids, in the order of the records. No records: an empty result, without a request.
   * @throws `InvalidInputError` with the position of a record that is unusable (a wrong vector, a vector of zeros,
   *   metadata that is not JSON or holds a reserved key), or what an iterable threw: of an iterable, all records before
   *   it are stored then. `PartialUpsertError` naming every record that was read and is not known to be stored, with
   *   why reading ended as its `cause`. A failure of `onProgress`, as it is.
   */
  async upsertVectorsBatch(
    tenantId: number,
    tableName: string,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
    options: UpsertVectorsOptions = {},
  ): Promise<string[]> {
    collectionName(tenantId, tableName);
    const target: UpsertTarget = {
      use: (work) => this.#catalog.use(tenantId, tableName, options?.signal, work),
      change: (change) => this.#catalog.change(tenantId, tableName, options?.signal, change),
    };
    return new Upsert(this.#connection, target, options).run({ tenantId, tableName }, records);
  }

  /**
   * The tenant's records nearest to a vector, best first.
   *
   * @throws `InvalidInputError` for an unusable vector, option or filter; `VectorStoreError` with code
   *   `isolation_violated`, and nothing of the answer, if a hit is another tenant's.
   */
  async searchSimilar(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    options: VectorSearchOptions = {},
  ): Promise<VectorHit[]> {
    const search = checkSearch(vector, options);
    return this.#use('search', tenantId, tableName, options, (collection, signal) => {
      requireSpace(collection, options.embeddingSpace);
      return searchSimilar(this.#connection, collection, search, signal);
    });
  }

  /** Several searches at once, in as few requests as a server takes; the hits of each, in the order of the searches. */
  async searchBatch(
    tenantId: number,
    tableName: string,
    searches: readonly BatchSearch[],
    options: Pick<VectorSearchOptions, 'signal' | 'embeddingSpace'> = {},
  ): Promise<VectorHit[][]> {
    collectionName(tenantId, tableName);
    const checked = checkSearches(requireList(searches, 'searches'));
    if (checked.length === 0) return [];
    return this.#answer('batch search', tenantId, tableName, options, async (use, signal) => {
      const hits: VectorHit[][] = [];
      for (const batch of toSearchBatches(checked)) {
        const found = await use((collection) => {
          requireSpace(collection, options.embeddingSpace);
          return searchBatch(this.#connection, collection, batch, signal);
        });
        hits.push(...found);
      }
      return hits;
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
    return this.#use('group search', tenantId, tableName, options, (collection, signal) => {
      requireSpace(collection, options.embeddingSpace);
      return searchGroups(this.#connection, collection, search, groups, signal);
    });
  }

  /**
   * Searches by meaning and by keywords at once, and fuses the two lists. Scores are ranks, not similarities; hits of
   * one score come in any order, which a server may change between two pages.
   *
   * @throws `VectorStoreError` with code `unsupported_operation` if the collection has no sparse vectors.
   */
  async searchHybrid(
    tenantId: number,
    tableName: string,
    vector: ArrayLike<number>,
    sparseVector: VectorRecord['sparseVector'],
    options: HybridSearchOptions = {},
  ): Promise<VectorHit[]> {
    const search = checkHybridSearch(vector, sparseVector, options);
    return this.#use('hybrid search', tenantId, tableName, options, (collection, signal) => {
      requireSpace(collection, options.embeddingSpace);
      return searchHybrid(this.#connection, collection, search, signal);
    });
  }

  /** Records like some of the tenant's own, and unlike others; the examples themselves are left out. */
  async recommend(
    tenantId: number,
    tableName: string,
    like: readonly (string | number)[],
    options: RecommendOptions = {},
  ): Promise<VectorHit[]> {
    requireOptions(options);
    const examples = { like: checkExamples(like, 'like'), unlike: checkExamples(options.unlike ?? [], 'unlike') };
    const search = checkSearch(placeholder, options);
    return this.#use('recommending', tenantId, tableName, options, (collection, signal) =>
      recommend(this.#connection, collection, examples, search, signal),
    );
  }

  /** Records by their ids; those that are not stored are left out. The order is the store's. */
  async getRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: ReadOptions = {},
  ): Promise<StoredRecord[]> {
    const ids = requireRecordIds(recordIds);
    return this.#answer('reading records', tenantId, tableName, options, async (use, signal) => {
      const records: StoredRecord[] = [];
      for (const part of chunks(ids)) {
        const found = await use(async (collection) => {
          const withVectors = options.withVectors === true;
          const points = await readByRecordIds(this.#connection, collection, part, withVectors, signal);
          return points.map((point) => toStoredRecord(collection.scope, point));
        });
        records.push(...found);
      }
      return records;
    });
  }

  /**
   * The content hashes of records by their ids, without their metadata; records that are not stored are left out. The
   * order is the store's. A table without a collection is an error, as it is for every read.
   */
  async readStored(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: ReadStoredOptions = {},
  ): Promise<StoredContent[]> {
    const ids = requireRecordIds(recordIds);
    return this.#answer('reading records', tenantId, tableName, options, async (use, signal) => {
      const contents: StoredContent[] = [];
      for (const part of chunks(ids)) {
        const found = await use((collection) =>
          readStoredContents(this.#connection, collection, part, options.withVectors === true, signal),
        );
        contents.push(...found);
      }
      return contents;
    });
  }

  /** The ids and content hashes of all records, page by page, without their metadata; each page has `timeoutMs`. */
  async *listStored(
    tenantId: number,
    tableName: string,
    options: CallOptions = {},
  ): AsyncGenerator<StoredContent, void, undefined> {
    requireOptions(options);
    let offset: unknown;
    do {
      const read = { offset, limit: idsPerRequest, withVectors: false, payloadKeys: reservedKeys };
      const page = await this.#use('reading records', tenantId, tableName, options, async (collection, signal) => {
        const { points, nextOffset } = await readPage(this.#connection, collection, read, signal);
        return { contents: points.map((point) => toStoredContent(collection.scope, point)), nextOffset };
      });
      yield* page.contents;
      offset = page.nextOffset;
    } while (offset !== undefined);
  }

  /** All records that a filter leaves, page by page, in the store's order; each page has `timeoutMs`. */
  async *listRecords(
    tenantId: number,
    tableName: string,
    options: ListRecordsOptions = {},
  ): AsyncGenerator<StoredRecord, void, undefined> {
    requireOptions(options);
    const filter = checkFilter(options.filter);
    let offset: unknown;
    do {
      const read = { filter, offset, withVectors: options.withVectors === true };
      const page = await this.#use('reading records', tenantId, tableName, options, async (collection, signal) => {
        const { points, nextOffset } = await readPage(this.#connection, collection, read, signal);
        return { records: points.map((point) => toStoredRecord(collection.scope, point)), nextOffset };
      });
      yield* page.records;
      offset = page.nextOffset;
    } while (offset !== undefined);
  }

  async countRecords(tenantId: number, tableName: string, options: FilterOptions = {}): Promise<number> {
    requireOptions(options);
    const filter = checkFilter(options.filter);
    return this.#use('counting', tenantId, tableName, options, (collection, signal) =>
      countRecords(this.#connection, collection, filter, signal),
    );
  }

  /**
   * The values of a metadata field and how many records have each; the field needs an index of its type
   * (`payloadIndexes`).
   */
  async countValues(
    tenantId: number,
    tableName: string,
    field: string,
    options: CountValuesOptions = {},
  ): Promise<FacetValue[]> {
    requireOptions(options);
    requireKeyPath(field, 'field');
    const counted = { filter: checkFilter(options.filter), limit: requireLimit(options.limit ?? 10, 'limit') };
    return this.#use('counting values', tenantId, tableName, options, (collection, signal) =>
      countValues(this.#connection, collection, field, counted, signal),
    );
  }

  async deleteRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: CallOptions = {},
  ): Promise<void> {
    const ids = requireRecordIds(recordIds);
    await this.#answer('delete', tenantId, tableName, options, async (_, signal) => {
      for (const part of chunks(ids)) {
        await this.#delete(tenantId, tableName, signal, (collection) => ({
          condition: recordCondition(collection, part),
        }));
      }
    });
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
    const checked = requireFilter(filter);
    if (reachOf(checked) === 'all') {
      throw new InvalidInputError(
        'Expected `filter` to ask something of a record: this one is true of all, as `{}` and an alternative of nothing are. ' +
          'To remove all records, use dropCollection.',
      );
    }
    await this.#answer('delete', tenantId, tableName, options, (_, signal) =>
      this.#delete(tenantId, tableName, signal, () => ({ filter: checked })),
    );
  }

  /**
   * Whether the store answers, has loaded its collections, and takes the key. Never throws, but for the reason of
   * `signal`.
   */
  async health(options: CallOptions = {}): Promise<VectorStoreHealth> {
    requireOptions(options);
    return checkHealth(this.#connection, options.signal);
  }

  /**
   * Fails what is under way with `aborted_by_close` and closes what this client opened, never an injected `client`. May
   * be called again.
   */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal For `QdrantAdmin`, which works on the same connection. No method: nobody calls it by mistake. */
  get [storeParts](): StoreParts {
    return { connection: this.#connection, catalog: this.#catalog };
  }

  #delete(
    tenantId: number,
    tableName: string,
    signal: AbortSignal,
    what: (collection: Collection) => Parameters<typeof deletePoints>[2],
  ): Promise<void> {
    return this.#catalog.change(tenantId, tableName, signal, {
      make: (collection, beforeRetry) =>
        deletePoints(this.#connection, collection, what(collection), { signal, beforeRetry }),
    });
  }

  /** A call that needs the table's collection once. */
  #use<Value>(
    operation: string,
    tenantId: number,
    tableName: string,
    options: CallOptions,
    work: (collection: Collection, signal: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    return this.#answer(operation, tenantId, tableName, options, (use, signal) =>
      use((collection) => work(collection, signal)),
    );
  }

  /**
   * A call of one answer: one deadline for all that it does, and the collection looked up again, once it is old, for
   * each of its requests.
   */
  #answer<Value>(
    operation: string,
    tenantId: number,
    tableName: string,
    options: CallOptions,
    work: (use: UseCollection, signal: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    requireOptions(options);
    const scope = { tenantId, collection: collectionName(tenantId, tableName) };
    return this.#connection.withinDeadline({ operation, scope, signal: options.signal }, (signal) =>
      work((use) => this.#catalog.use(tenantId, tableName, signal, use), signal),
    );
  }
}

function requireRecordIds(value: readonly (string | number)[]): (string | number)[] {
  return requireList(value, 'recordIds').map((id, position) => requireRecordId(id, position));
}

function requireList<Value>(value: readonly Value[], name: string): readonly Value[] {
  // A copy without holes, which `map` would leave out.
  if (Array.isArray(value)) return Array.from(value);
  throw new InvalidInputError(`Expected \`${name}\` to be an array, got ${describeValue(value)}.`);
}

function* chunks(ids: readonly (string | number)[]): Generator<(string | number)[]> {
  for (let start = 0; start < ids.length; start += idsPerRequest) yield ids.slice(start, start + idsPerRequest);
}
