import { type Collection, requireWritable } from '../collections/catalog.js';
import { type QdrantCondition, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';

/** Deletes the tenant's points that a filter or a condition leaves. Never by bare ids: the tenant is in the filter of every delete. */
export async function deletePoints(
  connection: QdrantConnection,
  collection: Collection,
  what: { readonly filter?: unknown; readonly condition?: QdrantCondition },
  signal: AbortSignal | undefined,
): Promise<void> {
  requireWritable(collection);
  const { scope } = collection;
  const conditions = what.condition === undefined ? [] : [what.condition];
  const filter = tenantFilter(scope, what.filter, ...conditions);
  await connection.change({ operation: 'delete', scope, signal }, (client, _, signal) =>
    client.delete(scope.collection, { wait: true, filter }, { signal }),
  );
}
