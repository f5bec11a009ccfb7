import type { CreateCollectionOptions } from '../../core/vector-store.js';
import { AiProviderError, EmbeddingSpaceMismatchError, VectorStoreError } from '../../errors.js';
import { requireNonEmptyString, requirePositiveInteger } from '../../internal/validate.js';
import type { Collection, CollectionCatalog } from './collection-catalog.js';
import { makeMetadata } from './collection-metadata.js';
import type { QdrantConnection } from './connection.js';
import { type TenantScope, tenantFilter } from './filter.js';
import { collectionName } from './naming.js';
import type { QdrantClientLike } from './qdrant-client-like.js';

const defaultVectorSize = 1536;

/** As the platform has them. `full_scan_threshold` is in kilobytes: smaller segments are scanned, which is faster there than the graph. */
const hnswConfig = { m: 16, ef_construct: 100, full_scan_threshold: 10_000 };

/** Makes the collection of a tenant's table, or makes sure that the one that exists is the one that is asked for. */
export async function createCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  options: CreateCollectionOptions,
): Promise<void> {
  const vectorSize = requirePositiveInteger(options.vectorSize ?? defaultVectorSize, 'vectorSize');
  const embeddingSpace =
    options.embeddingSpace === undefined ? undefined : requireNonEmptyString(options.embeddingSpace, 'embeddingSpace');
  const { signal } = options;
  const scope = { tenantId, tableName, collection: collectionName(tenantId, tableName) };

  let collection = await catalog.find(tenantId, tableName, signal);
  if (collection === undefined) {
    const request = {
      vectors: { size: vectorSize, distance: 'Cosine' },
      hnsw_config: hnswConfig,
      metadata: makeMetadata(scope, embeddingSpace),
    };
    await create(connection, scope, request, signal);
    collection = await catalog.find(tenantId, tableName, signal);
    if (collection === undefined) throw notThere(scope);
  }
  requireSameVectors(collection, vectorSize);
  if (collection.metadata === undefined) {
    collection = await adopt(connection, catalog, collection, embeddingSpace, signal);
  }
  requireSamePin(collection, embeddingSpace);
  await indexTenant(connection, scope, signal);
}

/** Idempotent: another process may have made it a moment ago, and then the caller looks at what is there. */
async function create(
  connection: QdrantConnection,
  scope: TenantScope,
  request: Record<string, unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const options = { operation: 'creating', collection: scope.collection, signal };
  try {
    await connection.request(options, (client) => createWithMetadata(client, scope.collection, request));
  } catch (error) {
    if (!(error instanceof VectorStoreError) || !isConflict(error)) throw error;
  }
}

function isConflict(error: VectorStoreError): boolean {
  // Servers before 1.8 say 400.
  return error.status === 409 || (error.status === 400 && /already exists/i.test(error.message));
}

function createWithMetadata(
  client: QdrantClientLike,
  name: string,
  request: Record<string, unknown>,
): Promise<unknown> {
  const api = client.api?.();
  if (api === undefined) return client.createCollection(name, request);
  return api.createCollection({ collection_name: name, ...request });
}

/**
 * Writes our metadata onto a collection that has none: one that the platform made, or a server's own client. Its name says whose it is. Which
 * model its vectors came from, nobody can tell: with points in it, it cannot be pinned to an embedding space.
 */
async function adopt(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  { scope }: Collection,
  embeddingSpace: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Collection> {
  if (embeddingSpace !== undefined) {
    const { count } = await connection.request(
      { operation: 'counting', collection: scope.collection, signal },
      (client) => client.count(scope.collection, { filter: tenantFilter(scope), exact: true }),
    );
    if (count > 0) throw pinMismatch(scope, 'unknown (it was made without one)', embeddingSpace);
  }
  await connection.request({ operation: 'writing the metadata', collection: scope.collection, signal }, (client) =>
    client.updateCollection(scope.collection, { metadata: makeMetadata(scope, embeddingSpace) }),
  );
  const adopted = await catalog.find(scope.tenantId, scope.tableName, signal);
  if (adopted?.metadata !== undefined) return adopted;
  throw new VectorStoreError(
    `Qdrant at ${connection.endpoint} does not keep a collection's metadata, which names its tenant and its embedding space. It needs Qdrant 1.16 or later.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

function requireSameVectors(collection: Collection, vectorSize: number): void {
  if (collection.vectorSize === vectorSize) return;
  throw new AiProviderError(
    `The collection ${collection.scope.collection} exists with vectors of ${collection.vectorSize} dimensions, not ${vectorSize}. ` +
      'Vectors of another model need a collection of their own.',
    { code: 'dimension_mismatch' },
  );
}

function requireSamePin({ scope, metadata }: Collection, embeddingSpace: string | undefined): void {
  const pinned = metadata?.embedding_space ?? undefined;
  if (embeddingSpace === undefined || pinned === embeddingSpace) return;
  throw pinMismatch(scope, pinned ?? 'unknown (it was made without one)', embeddingSpace);
}

function pinMismatch(scope: TenantScope, expected: string, received: string): EmbeddingSpaceMismatchError {
  return new EmbeddingSpaceMismatchError(
    `The collection ${scope.collection} holds vectors of the embedding space ${expected}, not ${received}. Vectors of two spaces cannot be compared: ` +
      'use the model it was made with, or build a new collection and embed its records again.',
    { expected, received },
  );
}

/** Each time, since a crash may have come between the collection and its index; a server that has it does nothing. */
function indexTenant(connection: QdrantConnection, scope: TenantScope, signal: AbortSignal | undefined): Promise<void> {
  return connection.change({ operation: 'indexing client_id', collection: scope.collection, signal }, (client) =>
    client.createPayloadIndex(scope.collection, { field_name: 'client_id', field_schema: 'integer', wait: true }),
  );
}

function notThere(scope: TenantScope): VectorStoreError {
  return new VectorStoreError(
    `The collection ${scope.collection} was created but is not there; somebody dropped it meanwhile.`,
    {
      code: 'collection_not_found',
      collection: scope.collection,
      isRetryable: true,
    },
  );
}
