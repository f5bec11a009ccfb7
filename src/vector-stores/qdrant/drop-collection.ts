import type { Collection, CollectionCatalog } from './collection-catalog.js';
import type { QdrantConnection } from './connection.js';
import { type TenantScope, tenantFilter } from './filter.js';
import { collectionName } from './naming.js';

/** Removes all of a tenant's table: its own collection with all its builds, and its points in a shared one; never another tenant's. */
export async function dropCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const own = await catalog.findInMode(tenantId, tableName, 'collection', signal);
  const shared = await catalog.findInMode(tenantId, tableName, 'shared', signal);
  catalog.forget(tenantId, tableName);
  if (shared !== undefined) await deleteTenant(connection, shared, signal);
  if (own === undefined) return;
  for (const name of await buildsOf(connection, own.scope, signal)) {
    await deleteBuild(connection, { ...own.scope, collection: name }, signal);
  }
}

/** Deletes all points of one tenant and table. */
export async function deleteTenant(
  connection: QdrantConnection,
  { scope }: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.change({ operation: "deleting the tenant's points", scope, signal }, (client) =>
    client.delete(scope.collection, { wait: true, filter: tenantFilter(scope) }),
  );
}

/** Every collection that was built for a table: `client_1_docs`, `client_1_docs@2`, … */
export async function buildsOf(
  connection: QdrantConnection,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const name = collectionName(scope.tenantId, scope.tableName, scope.mode);
  const request = { operation: 'listing', scope, signal };
  const { collections } = await connection.request(request, (client) => client.getCollections());
  return collections.map((entry) => entry.name).filter((entry) => isBuildOf(entry, name));
}

function isBuildOf(entry: string, name: string): boolean {
  return entry === name || (entry.startsWith(`${name}@`) && /^[0-9]+$/.test(entry.slice(name.length + 1)));
}

/** Deletes one whole collection, which must hold nothing but the scope's own points; the server drops its aliases with it. */
export async function deleteBuild(
  connection: QdrantConnection,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.request({ operation: 'dropping', scope, signal }, (client) =>
    client.deleteCollection(scope.collection),
  );
}
