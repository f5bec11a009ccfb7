import process from 'node:process';
import type { CallOptions } from '../../core/embedding-provider.js';
import type {
  CollectionDescription,
  CreateCollectionOptions,
  SearchOptions,
  SimilarRecord,
  VectorRecord,
  VectorStore,
} from '../../core/vector-store.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import { CollectionCatalog } from './collection-catalog.js';
import { QdrantConnection } from './connection.js';
import { createCollection } from './create-collection.js';
import { tenantFilter } from './filter.js';
import { collectionName, pointId, requireRecordId } from './naming.js';
import { optionsFromEnv, type PulseQdrantClientOptions, resolveOptions } from './options.js';
import { checkSearch, searchSimilar } from './search.js';
import { checkRecords, upsertRecords } from './upsert.js';

/** How many ids go into one delete. */
const idsPerDelete = 1_000;

/**
 * Vectors of many tenants on Qdrant, each seeing only its own: a collection for each tenant and table, and the tenant in the filter of
 * every request. On a server, or in this process with `location`.
 *
 * Every call ends within `timeoutMs` a request and heeds its `signal`; requests that found the server busy or away are sent again. A bad
 * argument is an `InvalidInputError` before anything is sent, a failure a `VectorStoreError` naming the server.
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
   * Makes the collection `client_{tenantId}_{tableName}` (cosine, HNSW with m 16 and ef_construct 100) and the index of its tenant. Where it
   * exists it is left as it is; one that the platform made before is taken over.
   *
   * @throws `AiProviderError` with code `dimension_mismatch` where it exists with another vector size; `EmbeddingSpaceMismatchError` where
   * it is pinned to another space, or holds vectors of an unknown one; `VectorStoreError`.
   */
  async createCollection(tenantId: number, tableName: string, options: CreateCollectionOptions = {}): Promise<void> {
    await createCollection(this.#connection, this.#catalog, tenantId, tableName, options);
  }

  async describeCollection(
    tenantId: number,
    tableName: string,
    options: CallOptions = {},
  ): Promise<CollectionDescription | undefined> {
    const collection = await this.#catalog.find(tenantId, tableName, options.signal);
    if (collection === undefined) return undefined;
    const { scope, vectorSize, metadata } = collection;
    const { count } = await this.#connection.request(
      { operation: 'counting', collection: scope.collection, signal: options.signal },
      (client) => client.count(scope.collection, { filter: tenantFilter(scope), exact: true }),
    );
    return { vectorSize, embeddingSpace: metadata?.embedding_space ?? null, pointCount: count };
  }

  /**
   * Stores records; one that is stored already, under the same record id, is replaced. The number 1 and the string '1' are two record ids.
   *
   * @param records - Must not change before the call ends. No records: an empty result, without a request.
   * @returns The point ids, in the order of the records.
   * @throws `InvalidInputError` with the position of a record that is unusable (a wrong vector, a vector of zeros, metadata that is not JSON or
   * holds a reserved key, a record id that stands in the batch twice), before anything is stored; `PartialUpsertError` naming the records
   * that are not known to be stored.
   */
  async upsertVectorsBatch(
    tenantId: number,
    tableName: string,
    records: readonly VectorRecord[],
    options: CallOptions = {},
  ): Promise<string[]> {
    const scope = { tenantId, tableName, collection: collectionName(tenantId, tableName) };
    if (!Array.isArray(records)) {
      throw new InvalidInputError(`Expected \`records\` to be an array, got ${describeValue(records)}.`);
    }
    const checked = checkRecords(scope, records);
    if (checked.length === 0) return [];
    const collection = await this.#catalog.require(tenantId, tableName, options.signal);
    return upsertRecords(this.#connection, collection, checked, options.signal);
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
    options: SearchOptions = {},
  ): Promise<SimilarRecord[]> {
    const scope = { tenantId, tableName, collection: collectionName(tenantId, tableName) };
    const search = checkSearch(scope, vector, options);
    const collection = await this.#catalog.require(tenantId, tableName, options.signal);
    return searchSimilar(this.#connection, collection, search, options.signal);
  }

  async deleteRecords(
    tenantId: number,
    tableName: string,
    recordIds: readonly (string | number)[],
    options: CallOptions = {},
  ): Promise<void> {
    collectionName(tenantId, tableName);
    if (!Array.isArray(recordIds)) {
      throw new InvalidInputError(`Expected \`recordIds\` to be an array, got ${describeValue(recordIds)}.`);
    }
    const ids = Array.from(recordIds, (id: unknown, position) =>
      pointId(tenantId, tableName, requireRecordId(id, position)),
    );
    if (ids.length === 0) return;
    const { scope } = await this.#catalog.require(tenantId, tableName, options.signal);
    for (let start = 0; start < ids.length; start += idsPerDelete) {
      const filter = tenantFilter(scope, undefined, { has_id: ids.slice(start, start + idsPerDelete) });
      await this.#connection.change(
        { operation: 'delete', collection: scope.collection, signal: options.signal },
        (client) => client.delete(scope.collection, { wait: true, filter }),
      );
    }
  }

  /** Fails what is under way with `aborted_by_close` and closes what this client opened, never an injected `client`. May be called again. */
  async close(): Promise<void> {
    await this.#connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
