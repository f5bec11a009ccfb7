import type { Collection } from '../collections/catalog.js';
import { mayHoldPlatformPoints } from '../collections/metadata.js';
import { pointId } from '../tenancy/naming.js';
import { type QdrantCondition, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';

type RecordId = string | number;

/** True of all points of these records, whoever stored them. */
export function recordCondition(collection: Collection, recordIds: readonly RecordId[]): QdrantCondition {
  const { tenantId, tableName } = collection.scope;
  const ours = { has_id: recordIds.map((recordId) => pointId(tenantId, tableName, recordId)) };
  return mayHoldPlatformPoints(collection) ? { should: [ours, ...payloadConditions(recordIds)] } : ours;
}

/**
 * Deletes what the platform stored of records that were stored anew. Comes after: a crash in between leaves a record twice, never not at all,
 * and storing it again ends that.
 */
export async function deleteReplaced(
  connection: QdrantConnection,
  collection: Collection,
  stored: readonly { readonly pointId: string; readonly recordId: RecordId }[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!mayHoldPlatformPoints(collection)) return;
  const { scope } = collection;
  const sameRecords = { should: payloadConditions(stored.map(({ recordId }) => recordId)) };
  const notThese = { must_not: [{ has_id: stored.map((record) => record.pointId) }] };
  await connection.change({ operation: 'deleting what was replaced', scope, signal }, (client) =>
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
