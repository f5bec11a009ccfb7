import { type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { buildsOf, deleteBuild, scopeOf } from './builds.js';
import type { CollectionCatalog } from './catalog.js';

/**
 * Removes all of a tenant's table: its own collection with all its builds, and its points in a shared one and in the
 * builds of that; never another tenant's. After an interruption the same call removes the rest.
 */
export async function dropCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const serving = await catalog.find(tenantId, tableName, signal);
  const own = () => deleteBuilds(connection, catalog, scopeOf(tenantId, tableName, 'collection'), signal);
  const shared = () => deleteTenant(connection, catalog, scopeOf(tenantId, tableName, 'shared'), signal);
  // What serves goes last: in the middle of a move, the other place has a copy, and what is left must never be taken
  // for the whole.
  const steps = serving?.scope.mode === 'shared' ? [own, shared] : [shared, own];
  try {
    for (const step of steps) await step();
  } finally {
    catalog.forget(tenantId, tableName);
  }
}

/**
 * Deletes a tenant's own collection with all its builds, found by their names: also those that an interrupted deletion
 * left over. The one that serves goes last, since it leads to the others' end.
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

/**
 * Deletes all points of one tenant in a table's shared collection and in its builds: from one that is being filled,
 * they would be back.
 */
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
