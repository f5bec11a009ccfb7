import { reservedKeys } from '../../core/vector-record.js';
import { VectorStoreError } from '../../errors.js';
import { restoreAfterBulkLoad } from './bulk-load.js';
import { type Collection, type CollectionCatalog, requireDimension, requirePin } from './collection-catalog.js';
import { makeMetadata } from './collection-metadata.js';
import { type CheckedCollectionOptions, collectionRequest, type PayloadIndexType } from './collection-request.js';
import type { QdrantConnection } from './connection.js';
import { type TenantScope, tenantFilter } from './filter.js';
import { collectionName } from './naming.js';
import type { QdrantClientLike } from './qdrant-client-like.js';

/** Makes the collection of a tenant's table, or makes sure that the one that exists is the one that is asked for. */
export async function createCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  options: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
): Promise<Collection> {
  let collection = await catalog.find(tenantId, tableName, signal);
  if (collection === undefined) {
    const mode = options.mode ?? 'collection';
    const scope = { tenantId, tableName, mode, collection: collectionName(tenantId, tableName, mode) };
    await createIfAbsent(connection, scope, options, signal);
    collection = await catalog.find(tenantId, tableName, signal);
    if (collection === undefined) throw notOurs(scope);
  }
  requireMode(collection, options);
  requireDimension(collection, options.vectorSize);
  if (collection.metadata === undefined) {
    await adopt(connection, collection.scope, options.embeddingSpace, signal);
    collection = await catalog.require(tenantId, tableName, signal);
    requireMetadata(collection, connection.endpoint);
  }
  requirePin(collection, options.embeddingSpace);
  await restoreAfterBulkLoad(connection, collection);
  await createIndexes(connection, collection, options.payloadIndexes, signal);
  return collection;
}

/** Another process may have made it a moment ago; the caller looks at what is there. */
export async function createIfAbsent(
  connection: QdrantConnection,
  scope: TenantScope,
  options: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
  extraMetadata: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const { metadata, ...request } = collectionRequest(scope, options);
  const body = { ...request, metadata: { ...(metadata as object), ...extraMetadata } };
  try {
    await connection.request({ operation: 'creating', scope, signal }, (client) =>
      createWithMetadata(client, scope.collection, body),
    );
  } catch (error) {
    if (!(error instanceof VectorStoreError) || !isConflict(error)) throw error;
  }
}

function notOurs({ collection }: TenantScope): VectorStoreError {
  return new VectorStoreError(
    `The collection ${collection} cannot be used: one of that name exists that was not made by this library, or somebody dropped it a moment ago.`,
    { code: 'unsupported_operation', collection },
  );
}

function isConflict(error: VectorStoreError): boolean {
  // Older servers say 400.
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
 * model its vectors came from, nobody can tell: with points in it, it is not pinned to an embedding space.
 */
async function adopt(
  connection: QdrantConnection,
  scope: TenantScope,
  embeddingSpace: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { count } = await connection.request({ operation: 'counting', scope, signal }, (client) =>
    client.count(scope.collection, { filter: tenantFilter(scope), exact: true }),
  );
  const metadata = makeMetadata(scope, count === 0 ? embeddingSpace : undefined);
  await connection.request({ operation: 'writing the metadata', scope, signal }, (client) =>
    client.updateCollection(scope.collection, { metadata }),
  );
}

function requireMetadata({ scope, metadata }: Collection, endpoint: string): void {
  if (metadata !== undefined) return;
  throw new VectorStoreError(
    `Qdrant at ${endpoint} does not keep a collection's metadata, which names its tenant and its embedding space. It needs Qdrant 1.16 or later.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

function requireMode({ scope }: Collection, { mode }: CheckedCollectionOptions): void {
  if (mode === undefined || mode === scope.mode) return;
  throw new VectorStoreError(
    `The table ${scope.tableName} of tenant ${scope.tenantId} is in the mode '${scope.mode}', in the collection ${scope.collection}. Use moveTenant to bring it to '${mode}'.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

/** Makes what is missing, each time: a crash may have come between the collection and its indexes. */
export async function createIndexes(
  connection: QdrantConnection,
  { scope, response }: Collection,
  payloadIndexes: Readonly<Record<string, PayloadIndexType>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const tenantIndex = scope.mode === 'shared' ? { type: 'keyword', is_tenant: true } : 'integer';
  const existing: Readonly<Record<string, unknown>> = response.payload_schema ?? {};
  for (const [field, schema] of Object.entries({ client_id: tenantIndex, ...payloadIndexes })) {
    if (Object.hasOwn(existing, field)) continue;
    await connection.change({ operation: `indexing ${field}`, scope, signal }, (client) =>
      client.createPayloadIndex(scope.collection, {
        field_name: field,
        // Without positions, no phrase is ever found.
        field_schema: schema === 'text' ? { type: 'text', phrase_matching: true } : schema,
        wait: true,
      }),
    );
  }
}

/** The metadata fields that a collection has indexes for. */
export function indexesOf({ response }: Collection): Record<string, PayloadIndexType> {
  const schema: Readonly<Record<string, { data_type: PayloadIndexType }>> = response.payload_schema ?? {};
  const fields = Object.entries(schema).filter(([field]) => !(reservedKeys as readonly string[]).includes(field));
  return Object.fromEntries(fields.map(([field, { data_type: type }]) => [field, type]));
}
