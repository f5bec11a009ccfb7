import type { Collection } from '../collections/collection.js';
import { endBulkLoad, setIndexingThreshold } from '../collections/end-bulk-load.js';
import { setMetadata } from '../collections/set-metadata.js';
import type { QdrantConnection } from '../wire/connection.js';

/** How long a bulk load counts as under way after it last renewed its lease. */
const leaseMs = 5 * 60_000;

/**
 * Runs a load while the server builds no index, which it then builds once instead of over and over. The setting to go
 * back to is written into the collection's metadata before it is changed, with a lease that is renewed while the load
 * runs: after a crash, the first write or `createCollection` past the lease restores it. Two loads of a table at once
 * are one: the first that ends ends it for both.
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
  // If a load was interrupted here, what is configured now is its zero.
  const before = mark ? mark.indexing_threshold : typeof configured === 'number' ? configured : null;
  // Without the caller's signal: a change that is aborted under way could be made after what undoes it.
  const renew = (): Promise<void> =>
    setMetadata(
      connection,
      collection,
      {
        pulse_bulk_load: {
          indexing_threshold: before,
          until: new Date(connection.clock.date() + leaseMs).toISOString(),
        },
      },
      undefined,
    );
  const end = (): Promise<void> => endBulkLoad(connection, collection, before);
  signal?.throwIfAborted();
  // A renewal that fails is not worth ending the load for: at worst the index is built early.
  const timer = setInterval(() => void renew().catch(() => {}), leaseMs / 5);
  try {
    await renew();
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
