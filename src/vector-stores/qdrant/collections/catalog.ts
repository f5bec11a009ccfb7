import { AiProviderError, EmbeddingSpaceMismatchError, isAiProviderError, VectorStoreError } from '../../../errors.js';
import type { QdrantResponse } from '../../qdrant-api.js';
import { type CollectionMode, collectionName, generationOf } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { invalidResponse } from '../wire/qdrant-errors.js';
import { type CollectionMetadata, readMetadata } from './metadata.js';
import { movedTo, movingTo } from './move-marks.js';

/** How long a collection's description is believed, in milliseconds: how long a move or a rebuild waits until every process has noticed it. */
export const catalogAgeMs = 2_000;
/** Beyond this many tables of tenants, the oldest are looked up again. */
const maxKnown = 10_000;

/** A collection, and the tenant that it was looked up for. */
export interface Collection {
  readonly scope: TenantScope;
  readonly vectorSize: number;
  readonly hasSparseVectors: boolean;
  /** Whether a hybrid search weighs terms by their rarity. */
  readonly weighsTerms: boolean;
  /** Undefined where the collection says nothing about itself. */
  readonly metadata: CollectionMetadata | undefined;
  /** What the server said, for those who want more. */
  readonly response: QdrantResponse;
}

/** Finds the collection that holds a tenant's table, and checks whose it says it is, before anything is read from it or written to it. */
export class CollectionCatalog {
  readonly #connection: QdrantConnection;
  readonly #known = new Map<string, { readonly collection: Collection; readonly readAt: number }>();

  constructor(connection: QdrantConnection) {
    this.#connection = connection;
  }

  /**
   * Runs `work` on the collection of a tenant's table. What is known of it may be out of date: where that may be why `work` failed, it runs once more
   * on what the server says now.
   *
   * @throws {@link VectorStoreError} with code `collection_not_found`.
   */
  async use<Value>(
    tenantId: number,
    tableName: string,
    signal: AbortSignal | undefined,
    work: (collection: Collection) => Promise<Value>,
  ): Promise<Value> {
    const known = this.#known.get(keyOf(tenantId, tableName));
    if (known !== undefined && performance.now() - known.readAt < catalogAgeMs) {
      try {
        return await work(known.collection);
      } catch (error) {
        if (!mayBeOutdated(error)) throw error;
      }
    }
    return work(await this.require(tenantId, tableName, signal));
  }

  /** Asks the server. @throws {@link VectorStoreError} with code `collection_not_found`. */
  async require(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection> {
    const collection = await this.find(tenantId, tableName, signal);
    if (collection !== undefined) return collection;
    throw collectionNotFound(tenantId, tableName, this.#connection);
  }

  /**
   * Asks the server; undefined where there is no such collection. A collection of the tenant's own goes before one that it shares, unless its
   * points are still on their way there, or have left it.
   */
  async find(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    this.forget(tenantId, tableName);
    const own = await this.findInMode(tenantId, tableName, 'collection', signal);
    const isArriving = movingTo(own?.metadata) === 'collection';
    const isElsewhere = own === undefined || isArriving || movedTo(own.metadata) === 'shared';
    const shared = isElsewhere ? await this.findInMode(tenantId, tableName, 'shared', signal) : undefined;
    // The shared collection of a tenant that is moving out of it is not to be written to either.
    const found =
      isArriving && shared ? { ...shared, metadata: withMove(shared.metadata, 'collection') } : (shared ?? own);
    if (found !== undefined) this.#remember(tenantId, tableName, found);
    return found;
  }

  /** Asks the server for the table's collection in one mode, whichever holds the tenant's points. */
  async findInMode(
    tenantId: number,
    tableName: string,
    mode: CollectionMode,
    signal: AbortSignal | undefined,
  ): Promise<Collection | undefined> {
    const name = collectionName(tenantId, tableName, mode);
    const scope = { tenantId, tableName, mode, collection: name };
    const current = await this.#readIfReachable(scope, signal);
    const isSuperseded = typeof current?.metadata?.pulse_superseded_by === 'string';
    // Between the old collection's end and the alias that takes its name, only this alias leads to the new one.
    if (current !== undefined && !isSuperseded) return current;
    return (await this.#readIfReachable({ ...scope, collection: `${name}@live` }, signal)) ?? current;
  }

  /** A server asks for access before it says whether a collection exists: one that a tenant's key does not name is none of the tenant's. */
  async #readIfReachable(scope: TenantScope, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    try {
      return await this.read(scope, signal);
    } catch (error) {
      if (this.#connection.hasTenantKeys && error instanceof VectorStoreError && error.status === 403) return undefined;
      throw error;
    }
  }

  /**
   * Asks the server for one collection by its name or alias, and addresses it by its own name from then on.
   *
   * @throws {@link VectorStoreError} with code `invalid_response` for a collection that is not one of this store's; see {@link isForeign}.
   */
  async read(scope: TenantScope, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    let response: QdrantResponse;
    try {
      response = await this.#connection.request({ operation: 'reading the description', scope, signal }, (client) =>
        client.getCollection(scope.collection),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
    const metadata = readMetadata(scope, response.config?.metadata);
    // Only a tenant's own collection may be the platform's; a shared one that says nothing is somebody else's.
    if (metadata === undefined && scope.mode === 'shared') return undefined;
    // Only a build has an alias, and not always: one may have been restored under the plain name.
    const isBuild = typeof metadata?.pulse_generation === 'number';
    const collection = isBuild ? await this.#addressOf(scope, signal) : scope.collection;
    if (collection !== scope.collection && generationOf(collection) !== metadata?.pulse_generation) {
      // The alias was pointed at another build meanwhile.
      return this.read({ ...scope, collection }, signal);
    }
    const { vectors, sparse_vectors } = response.config?.params ?? {};
    if (typeof vectors?.size !== 'number' || vectors.distance !== 'Cosine') {
      const request = { operation: 'reading the description', collection, endpoint: this.#connection.endpoint };
      throw invalidResponse(request, 'one unnamed cosine vector, as this store makes collections');
    }
    const hasSparseVectors = typeof sparse_vectors === 'object' && sparse_vectors !== null && 'text' in sparse_vectors;
    const weighsTerms = hasSparseVectors && sparse_vectors.text?.modifier === 'idf';
    return {
      scope: { ...scope, collection },
      vectorSize: vectors.size,
      hasSparseVectors,
      weighsTerms,
      metadata,
      response,
    };
  }

  /** The collection that an alias leads to; a name that is no alias is a collection's own. */
  async #addressOf(scope: TenantScope, signal: AbortSignal | undefined): Promise<string> {
    const { aliases } = await this.#connection.request({ operation: 'reading aliases', scope, signal }, (client) =>
      client.getAliases(),
    );
    const alias = aliases.find(({ alias_name: name }) => name === scope.collection);
    return alias?.collection_name ?? scope.collection;
  }

  forget(tenantId: number, tableName: string): void {
    this.#known.delete(keyOf(tenantId, tableName));
  }

  #remember(tenantId: number, tableName: string, collection: Collection): void {
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(keyOf(tenantId, tableName), { collection, readAt: performance.now() });
  }
}

export function collectionNotFound(
  tenantId: number,
  tableName: string,
  { endpoint, hasTenantKeys }: Pick<QdrantConnection, 'endpoint' | 'hasTenantKeys'>,
): VectorStoreError {
  const collection = collectionName(tenantId, tableName);
  const reachable = hasTenantKeys ? " that the tenant's key reaches" : '';
  return new VectorStoreError(
    `There is no collection ${collection} at ${endpoint}${reachable}, nor a shared one of the table. Make it with createCollection first.`,
    { code: 'collection_not_found', collection, status: 404 },
  );
}

export function isNotFound(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'collection_not_found';
}

/** Whether a collection that has one of our names was made by somebody else, for other vectors than this store's. */
export function isForeign(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'invalid_response';
}

/**
 * @throws {@link VectorStoreError} where the tenant's points are being moved: a write now would be lost.
 */
export function requireWritable({ scope, metadata }: Collection): void {
  if (movingTo(metadata) === undefined) return;
  throw new VectorStoreError(
    `The points of tenant ${scope.tenantId} in the collection ${scope.collection} are being moved; write again when moveTenant has ended. ` +
      'One that was interrupted goes on when it is called again; cancelMove takes it back.',
    { code: 'unavailable', isRetryable: true, collection: scope.collection },
  );
}

/** @throws {@link EmbeddingSpaceMismatchError} unless the collection is pinned to `embeddingSpace`, where one is named. */
export function requirePin({ scope, metadata }: Collection, embeddingSpace: string | undefined): void {
  const pinned = metadata?.pulse_ai_providers.embedding_space;
  if (embeddingSpace === undefined || pinned === embeddingSpace) return;
  const expected = pinned ?? 'unknown (it was made without one)';
  throw new EmbeddingSpaceMismatchError(
    `The collection ${scope.collection} holds vectors of the embedding space ${expected}, not ${embeddingSpace}. Vectors of two spaces cannot be compared: ` +
      'use the model it was made with, or build a new collection and embed its records again.',
    { expected, received: embeddingSpace },
  );
}

/** @throws {@link AiProviderError} with code `dimension_mismatch`. */
export function requireDimension({ scope, vectorSize }: Collection, dimension: number, position?: number): void {
  if (dimension === vectorSize) return;
  const at = position === undefined ? '' : ` as the vector at position ${position} has`;
  throw new AiProviderError(
    `The collection ${scope.collection} holds vectors of ${vectorSize} dimensions, not ${dimension}${at}. Vectors of another model need a collection of their own.`,
    { code: 'dimension_mismatch' },
  );
}

function mayBeOutdated(error: unknown): boolean {
  if (!isAiProviderError(error)) return false;
  return ['collection_not_found', 'dimension_mismatch', 'embedding_space_mismatch'].includes(error.code);
}

function withMove(metadata: CollectionMetadata | undefined, mode: CollectionMode): CollectionMetadata | undefined {
  return metadata && { ...metadata, pulse_moving_to: mode };
}

function keyOf(tenantId: number, tableName: string): string {
  return collectionName(tenantId, tableName);
}
