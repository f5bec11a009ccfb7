import { VectorStoreError } from '../../errors.js';
import { type CollectionMetadata, readMetadata } from './collection-metadata.js';
import type { QdrantConnection } from './connection.js';
import type { TenantScope } from './filter.js';
import { collectionName } from './naming.js';
import type { QdrantResponse } from './qdrant-client-like.js';
import { invalidResponse } from './qdrant-errors.js';

/** How long a collection's description is believed: short enough to notice one that was dropped and made anew by another process. */
const maxAgeMs = 5_000;

export interface Collection {
  readonly scope: TenantScope;
  readonly vectorSize: number;
  /** Undefined where the collection says nothing about itself. */
  readonly metadata: CollectionMetadata | undefined;
}

/** Finds the collection of a tenant's table, and checks whose it says it is, before anything is read from it or written to it. */
export class CollectionCatalog {
  readonly #connection: QdrantConnection;
  readonly #known = new Map<string, { readonly collection: Collection; readonly readAt: number }>();

  constructor(connection: QdrantConnection) {
    this.#connection = connection;
  }

  /** @throws {@link VectorStoreError} with code `collection_not_found`. */
  async require(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection> {
    const name = collectionName(tenantId, tableName);
    const known = this.#known.get(name);
    if (known !== undefined && performance.now() - known.readAt < maxAgeMs) return known.collection;
    const collection = await this.find(tenantId, tableName, signal);
    if (collection !== undefined) return collection;
    throw new VectorStoreError(
      `There is no collection ${name} at ${this.#connection.endpoint}. Make it with createCollection first.`,
      { code: 'collection_not_found', collection: name },
    );
  }

  /** Asks the server, whatever is known; undefined where there is no such collection. */
  async find(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    const scope = { tenantId, tableName, collection: collectionName(tenantId, tableName) };
    const request = { operation: 'reading the description', collection: scope.collection, signal };
    let response: QdrantResponse;
    try {
      response = await this.#connection.request(request, (client) => client.getCollection(scope.collection));
    } catch (error) {
      this.#known.delete(scope.collection);
      if (error instanceof VectorStoreError && error.code === 'collection_not_found') return undefined;
      throw error;
    }
    const collection = { scope, ...this.#read(scope, response) };
    this.#known.set(scope.collection, { collection, readAt: performance.now() });
    return collection;
  }

  #read(scope: TenantScope, response: QdrantResponse): Omit<Collection, 'scope'> {
    const vectors: { size?: unknown; distance?: unknown } | undefined = response.config?.params?.vectors;
    if (typeof vectors?.size !== 'number' || vectors.distance !== 'Cosine') {
      const request = {
        operation: 'reading the description',
        collection: scope.collection,
        endpoint: this.#connection.endpoint,
      };
      throw invalidResponse(request, 'one unnamed cosine vector, as this store makes collections');
    }
    return { vectorSize: vectors.size, metadata: readMetadata(scope, response.config.metadata) };
  }
}
