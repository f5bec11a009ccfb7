import type { QdrantConnection } from '../wire/connection.js';
import { deleteBuilds, deleteTenant, scopeOf } from './builds.js';
import type { CollectionCatalog } from './catalog.js';

/**
 * Removes all of a tenant's table: its own collection with all its builds, and its points in a shared one and in the builds of that; never
 * another tenant's. Where it died halfway, the same call removes the rest.
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
  // What serves goes last: in the middle of a move, the other place has a copy, and what is left must never be taken for the whole.
  const steps = serving?.scope.mode === 'shared' ? [own, shared] : [shared, own];
  try {
    for (const step of steps) await step();
  } finally {
    catalog.forget(tenantId, tableName);
  }
}
