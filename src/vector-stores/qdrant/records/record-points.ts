import type { Collection } from '../collections/collection.js';
import { mayHoldPlatformPoints } from '../collections/metadata.js';
import { pointId } from '../tenancy/naming.js';
import { type QdrantCondition, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection, RequestOptions } from '../wire/connection.js';

type RecordId = string | number;

// Which points are a record's, and how they are deleted.

/** True of all points of these records, whoever stored them. */
export function recordCondition(collection: Collection, recordIds: readonly RecordId[]): QdrantCondition {
  const { tenantId, tableName } = collection.scope;
  const ours = { has_id: recordIds.map((recordId) => pointId(tenantId, tableName, recordId)) };
  return mayHoldPlatformPoints(collection) ? { should: [ours, ...payloadConditions(recordIds)] } : ours;
}

/**
 * Deletes what the platform stored of records that were stored again. It comes after storing: a crash in between leaves
 * a record twice, never not at all, and storing it again ends that.
 */
export async function deleteReplaced(
  connection: QdrantConnection,
  collection: Collection,
  stored: readonly { readonly pointId: string; readonly recordId: RecordId }[],
  options: Pick<RequestOptions, 'signal' | 'beforeRetry'>,
): Promise<void> {
  if (!mayHoldPlatformPoints(collection)) return;
  const { scope } = collection;
  const sameRecords = { should: payloadConditions(stored.map(({ recordId }) => recordId)) };
  const notThese = { must_not: [{ has_id: stored.map((record) => record.pointId) }] };
  await connection.change({ operation: 'deleting what was replaced', scope, ...options }, (client) =>
    client.delete(scope.collection, { wait: true, filter: tenantFilter(scope, undefined, sameRecords, notThese) }),
  );
}

/** The number 1 and the string '1' are two records, and a list of values may hold only one type. */
function payloadConditions(recordIds: readonly RecordId[]): QdrantCondition[] {
  const numbers = recordIds.filter((recordId) => typeof recordId === 'number');
  const strings = recordIds.filter((recordId) => typeof recordId === 'string');
  const lists = [numbers, strings].filter(({ length }) => length > 0);
  return lists.map((any) => ({ key: 'record_id', match: { any } }));
}

/**
 * Deletes the tenant's points that a filter or a condition leaves. Never by bare ids: the tenant is in the filter of
 * every delete.
 */
export async function deletePoints(
  connection: QdrantConnection,
  collection: Collection,
  what: { readonly filter?: unknown; readonly condition?: QdrantCondition },
  options: Pick<RequestOptions, 'signal' | 'beforeRetry'>,
): Promise<void> {
  const { scope } = collection;
  const conditions = what.condition === undefined ? [] : [what.condition];
  const filter = tenantFilter(scope, what.filter, ...conditions);
  await connection.change({ operation: 'delete', scope, ...options }, (client) =>
    client.delete(scope.collection, { wait: true, filter }),
  );
}
