import type { CollectionDescription } from '../../../core/ports/vector-store.js';
import { requireTenantId } from '../../../internal/validate.js';
import { type CollectionMode, parseCollectionName } from '../tenancy/naming.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { CollectionCatalog } from './catalog.js';
import { type Collection, isForeign, isNotFound } from './collection.js';
import { indexesOf } from './payload-indexes.js';
import { countRecords } from './point-counts.js';

export interface QdrantCollectionDescription extends CollectionDescription {
  readonly tableName: string;
  readonly mode: CollectionMode;
  /** Its name on the server. */
  readonly collection: string;
  /**
   * As the server says: `green` all is well, `yellow` it is optimising, `grey` optimisations wait for an update, `red`
   * it failed.
   */
  readonly status: string;
  /** The indexed fields of the metadata and their types. */
  readonly payloadIndexes: Readonly<Record<string, string>>;
}

export async function describeCollection(
  connection: QdrantConnection,
  collection: Collection,
  signal: AbortSignal | undefined,
): Promise<QdrantCollectionDescription> {
  const { scope, vectorSize, metadata, response } = collection;
  return {
    vectorSize,
    embeddingSpace: metadata?.pulse_ai_providers.embedding_space ?? null,
    pointCount: await countRecords(connection, collection, undefined, signal),
    tableName: scope.tableName,
    mode: scope.mode,
    collection: scope.collection,
    status: String(response.status ?? 'unknown'),
    payloadIndexes: indexesOf(collection),
  };
}

/**
 * The tables that have a collection for the tenant: its own, and the shared ones that hold a point of it; ordered by
 * name. A collection that somebody else made under such a name, for other vectors, is none of them.
 */
export async function listCollections(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  signal: AbortSignal | undefined,
): Promise<QdrantCollectionDescription[]> {
  requireTenantId(tenantId);
  const scope = { tenantId, collection: `client_${tenantId}_*` };
  const { collections } = await connection.request({ operation: 'listing', scope, signal }, (client) =>
    client.getCollections(),
  );
  const { aliases } = await connection.request({ operation: 'listing', scope, signal }, (client) =>
    client.getAliases(),
  );
  const names = [...collections.map(({ name }) => name), ...aliases.map((alias) => alias.alias_name)];
  const parsed = names.map(parseCollectionName).filter((table) => table !== undefined);
  const tables = parsed.filter((table) => table.tenantId === undefined || table.tenantId === tenantId);
  const descriptions: QdrantCollectionDescription[] = [];
  for (const tableName of new Set(tables.map((table) => table.tableName).toSorted())) {
    const description = await describeIfPresent(connection, catalog, { tenantId, tableName }, signal);
    if (description === undefined) continue;
    if (description.mode === 'collection' || description.pointCount > 0) descriptions.push(description);
  }
  return descriptions;
}

/** Undefined also if the collection is dropped meanwhile: a listing names what others may remove at any time. */
async function describeIfPresent(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  { tenantId, tableName }: { readonly tenantId: number; readonly tableName: string },
  signal: AbortSignal | undefined,
): Promise<QdrantCollectionDescription | undefined> {
  try {
    const collection = await catalog.find(tenantId, tableName, signal);
    return collection && (await describeCollection(connection, collection, signal));
  } catch (error) {
    if (isNotFound(error) || isForeign(error)) return undefined;
    throw error;
  }
}
