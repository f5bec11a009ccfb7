import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './collection.js';
import { setMetadata } from './set-metadata.js';

/** What a server without a setting of its own uses, in kilobytes of vectors a segment. */
const defaultIndexingThreshold = 10_000;

/** Restores what a bulk load had set that is over or was interrupted. */
export async function restoreAfterBulkLoad(connection: QdrantConnection, collection: Collection): Promise<void> {
  const mark = collection.metadata?.pulse_bulk_load;
  if (mark && Date.parse(mark.until) < connection.clock.date())
    await endBulkLoad(connection, collection, mark.indexing_threshold);
}

export async function endBulkLoad(
  connection: QdrantConnection,
  collection: Collection,
  threshold: number | null,
): Promise<void> {
  await setIndexingThreshold(connection, collection, threshold ?? defaultIndexingThreshold);
  await setMetadata(connection, collection, { pulse_bulk_load: null }, undefined);
}

export async function setIndexingThreshold(
  connection: QdrantConnection,
  { scope }: Collection,
  threshold: number,
): Promise<void> {
  await connection.request({ operation: 'setting the indexing threshold', scope }, (client) =>
    client.updateCollection(scope.collection, { optimizers_config: { indexing_threshold: threshold } }),
  );
}
