import { collectionName } from '../tenancy/naming.js';
import { type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { CollectionCatalog } from './catalog.js';

/** The collection of a table in one mode, by its plain name. */
export function scopeOf(tenantId: number, tableName: string, mode: TenantScope['mode']): TenantScope {
  return { tenantId, tableName, mode, collection: collectionName(tenantId, tableName, mode) };
}

/** Every collection that was built for a table: `client_1_docs`, `client_1_docs@2`, … */
export async function buildsOf(
  connection: QdrantConnection,
  { tenantId, tableName, mode }: TenantScope,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const scope = scopeOf(tenantId, tableName, mode);
  const request = { operation: 'listing', scope, signal };
  const { collections } = await connection.request(request, (client) => client.getCollections());
  return collections.map(({ name }) => name).filter((name) => isBuildOf(name, scope.collection));
}

function isBuildOf(entry: string, name: string): boolean {
  return entry === name || (entry.startsWith(`${name}@`) && /^[0-9]+$/.test(entry.slice(name.length + 1)));
}

/**
 * Deletes a tenant's own collection with all its builds, found by their names: also those that a deletion left over that died halfway. The one
 * that serves goes last, since it leads to the others' end.
 */
export async function deleteBuilds(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const build of await checkedBuilds(connection, catalog, scope, signal)) {
    await deleteBuild(connection, build, signal);
  }
}

/** Deletes all points of one tenant in a table's shared collection and in its builds: from one that is under way, they would be back. */
export async function deleteTenant(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const build of await checkedBuilds(connection, catalog, scope, signal)) {
    await connection.change({ operation: "deleting the tenant's points", scope: build, signal }, (client) =>
      client.delete(build.collection, { wait: true, filter: tenantFilter(build) }),
    );
  }
}

/** The builds of a table that say that they are, the one that serves last. */
async function checkedBuilds(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<TenantScope[]> {
  const serving = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
  const isServing = (name: string): number => Number(name === serving?.scope.collection);
  const names = await buildsOf(connection, scope, signal);
  const builds: TenantScope[] = [];
  for (const collection of names.toSorted((a, b) => isServing(a) - isServing(b))) {
    const build = await catalog.read({ ...scope, collection }, signal);
    if (build !== undefined) builds.push(build.scope);
  }
  return builds;
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
