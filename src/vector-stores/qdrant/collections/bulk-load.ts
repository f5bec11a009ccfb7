import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './catalog.js';
import { setMetadata } from './set-metadata.js';

/** How long a bulk load counts as under way without a sign of life. */
const leaseMs = 5 * 60_000;
/** What a server without a setting of its own uses, in kilobytes of vectors a segment. */
const defaultIndexingThreshold = 10_000;

/**
 * Runs a load while the server builds no index, which it then builds once instead of over and over. The setting to go back to stands in the collection's
 * metadata before it is changed, with a time that is put off while the load runs: after a crash, the first write or
 * `createCollection` past that time restores it. Two loads of a table at once are one: the first that ends ends it for both.
 */
export async function bulkLoad<Value>(
  connection: QdrantConnection,
  collection: Collection,
  load: () => Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  const { metadata, response } = collection;
  const configured: unknown = response.config?.optimizer_config?.indexing_threshold;
  const mark = metadata?.pulse_bulk_load;
  // Where a load died here, what is configured now is its zero.
  const before = mark ? mark.indexing_threshold : typeof configured === 'number' ? configured : null;
  // Without the caller's signal: a change that is aborted under way could be made after what undoes it.
  const sign = (): Promise<void> =>
    setMetadata(
      connection,
      collection,
      { pulse_bulk_load: { indexing_threshold: before, until: new Date(Date.now() + leaseMs).toISOString() } },
      undefined,
    );
  const end = (): Promise<void> => endBulkLoad(connection, collection, before);
  signal?.throwIfAborted();
  // A sign of life that fails is not worth ending the load for: at worst the index is built early.
  const timer = setInterval(() => void sign().catch(() => {}), leaseMs / 5);
  try {
    await sign();
    await setIndexingThreshold(connection, collection, 0);
    signal?.throwIfAborted();
    const value = await load();
    await end();
    return value;
  } catch (error) {
    // What cannot be restored now is restored when the lease is over; why the load failed must not be lost over it.
    await end().catch(() => {});
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Restores what a bulk load that is over, or died, had set; nothing where there is none. */
export async function restoreAfterBulkLoad(connection: QdrantConnection, collection: Collection): Promise<void> {
  const mark = collection.metadata?.pulse_bulk_load;
  if (mark && Date.parse(mark.until) < Date.now()) await endBulkLoad(connection, collection, mark.indexing_threshold);
}

async function endBulkLoad(
  connection: QdrantConnection,
  collection: Collection,
  threshold: number | null,
): Promise<void> {
  await setIndexingThreshold(connection, collection, threshold ?? defaultIndexingThreshold);
  await setMetadata(connection, collection, { pulse_bulk_load: null }, undefined);
}

async function setIndexingThreshold(
  connection: QdrantConnection,
  { scope }: Collection,
  threshold: number,
): Promise<void> {
  await connection.request({ operation: 'setting the indexing threshold', scope }, (client) =>
    client.updateCollection(scope.collection, { optimizers_config: { indexing_threshold: threshold } }),
  );
}
