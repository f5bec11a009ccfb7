import type { CollectionMode } from '../tenancy/naming.js';
import type { Collection } from './collection.js';
import { type CollectionMetadata, movedTo, movingTo } from './metadata.js';

// The place of a table, from what its collections say about themselves. Nothing here asks the server.

/** Whether a tenant's own collection alone says that the table is in it. */
export function isSettled(own: Collection | undefined): boolean {
  return own !== undefined && movingTo(own.metadata) !== 'collection' && movedTo(own.metadata) !== 'shared';
}

/**
 * Which of a tenant's two places holds its points: the own collection, unless they are on their way there from the
 * shared one, or have all left.
 *
 * | own collection says | points are read in | and written |
 * |---|---|---|
 * | nothing, or there is no shared one | own | own |
 * | moving to shared | own | nowhere |
 * | moved to shared | shared | shared |
 * | moving to collection | shared | nowhere |
 * | moved to collection | own | own |
 */
export function locate(own: Collection | undefined, shared: Collection | undefined): Collection | undefined {
  if (isSettled(own) || shared === undefined) return own;
  const isArriving = movingTo(own?.metadata) === 'collection';
  return isArriving ? { ...shared, metadata: withMove(shared.metadata, 'collection') } : shared;
}

function withMove(metadata: CollectionMetadata | undefined, mode: CollectionMode): CollectionMetadata | undefined {
  return metadata && { ...metadata, pulse_moving_to: mode };
}
