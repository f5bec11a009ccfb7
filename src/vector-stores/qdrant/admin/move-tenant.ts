import { setTimeout as sleep } from 'node:timers/promises';
import { deleteBuilds, deleteTenant, scopeOf } from '../collections/builds.js';
import { type Collection, catalogAgeMs, collectionNotFound } from '../collections/catalog.js';
import { createIfAbsent, requireNoPoints } from '../collections/create-collection.js';
import { arrivedIn, movedTo, movingTo, noMove } from '../collections/move-marks.js';
import { checkCollectionOptions } from '../collections/options.js';
import { createIndexes, indexesOf } from '../collections/payload-indexes.js';
import { setMetadata } from '../collections/set-metadata.js';
import { countRecords } from '../records/read-records.js';
import type { CollectionMode } from '../tenancy/naming.js';
import { type CopyOptions, copyPoints, requireSameVectors } from './copy-points.js';
import { checkSource } from './copy-source.js';
import { optionsLike } from './inherited-options.js';
import { claim, findOwn, findShared, type Move, otherMove, takenOver } from './move-steps.js';

/**
 * Moves a tenant's points of a table from one mode to the other. Reads go on all the while; writes are refused, as retryable, from the second
 * step to the fourth. Every step can be done again, so that a move that was interrupted goes on when it is called again:
 *
 * 1. look whether the move can be done: usable points, equal vectors, nothing of the tenant's in the new place; make that, and its indexes;
 * 2. mark the tenant's own collection as moving, and wait until every process has noticed;
 * 3. copy until a whole pass finds nothing that differs;
 * 4. change the mark to one that says where the points are now, and wait again;
 * 5. delete what the old place has, and the mark.
 *
 * @returns How many points the tenant has in its new place.
 */
export async function moveTenant(move: Move, to: CollectionMode, options: CopyOptions): Promise<number> {
  try {
    // The last step of an earlier move that was interrupted in it, in whichever direction.
    const arrived = movedTo((await findOwn(move))?.metadata);
    if (arrived !== undefined) await clearOldPlace(move, arrived);
    return to === 'shared' ? await toShared(move, options) : await toOwn(move, options);
  } finally {
    move.catalog.forget(move.tenantId, move.tableName);
  }
}

async function toShared(move: Move, options: CopyOptions): Promise<number> {
  const [own, shared] = [await findOwn(move), await findShared(move)];
  if (own === undefined) return pointsIn(move, shared);
  if (movingTo(own.metadata) === 'collection') throw otherMove(own, 'collection');
  if (shared !== undefined && movingTo(own.metadata) === undefined)
    await requireNoPoints(move.connection, shared, own, move.signal);
  const target = await prepare(move, own, shared, 'shared');
  const mayGoOn = await claim(move, own, 'shared');
  return copyAndArrive(move, own, [own, target], { ...options, mayGoOn });
}

async function toOwn(move: Move, options: CopyOptions): Promise<number> {
  const [own, shared] = [await findOwn(move), await findShared(move)];
  if (own !== undefined && movingTo(own.metadata) === 'shared') throw otherMove(own, 'shared');
  if (own !== undefined && movingTo(own.metadata) === undefined) {
    if (shared !== undefined) await requireNoPoints(move.connection, shared, own, move.signal);
    return pointsIn(move, own);
  }
  if (shared === undefined) throw collectionNotFound(move.tenantId, move.tableName, move.connection);
  const target = await prepare(move, shared, own, 'collection');
  // Somebody else made it, or ended this move, between two requests of ours.
  if (movingTo(target.metadata) !== 'collection') throw takenOver(target);
  const mayGoOn = await claim(move, target, 'collection');
  if ((await pointsIn(move, shared)) === 0 && (await pointsIn(move, target)) > 0) {
    // Another call ended the move just before this one's mark came: there is nothing to copy from any more.
    await setMetadata(move.connection, target, noMove, move.signal);
    throw takenOver(target);
  }
  return copyAndArrive(move, target, [shared, target], { ...options, mayGoOn });
}

/** Finds out whether a move can be done before anything of the tenant's is touched; returns the collection that the points go to. */
async function prepare(
  move: Move,
  source: Collection,
  existing: Collection | undefined,
  to: CollectionMode,
): Promise<Collection> {
  const { connection, tenantId, tableName, signal } = move;
  const scope = scopeOf(tenantId, tableName, to);
  await checkSource({ connection, collection: source }, scope, signal);
  let target = existing;
  if (target === undefined) {
    const marks = to === 'collection' ? { pulse_moving_to: to } : {};
    await createIfAbsent(connection, scope, checkCollectionOptions(optionsLike(source)), signal, marks);
    target = await (to === 'shared' ? findShared(move) : findOwn(move));
  }
  if (target === undefined) throw collectionNotFound(tenantId, tableName, connection);
  requireSameVectors(source, target);
  await createIndexes(connection, target, indexesOf(source), signal);
  return target;
}

async function copyAndArrive(
  move: Move,
  own: Collection,
  [source, target]: readonly [Collection, Collection],
  options: CopyOptions & { readonly mayGoOn: () => Promise<void> },
): Promise<number> {
  const { connection, signal } = move;
  await sleep(catalogAgeMs, undefined, { signal });
  await options.mayGoOn();
  const count = await copyPoints({ connection, collection: source }, { connection, collection: target }, options);
  await options.mayGoOn();
  await setMetadata(connection, own, arrivedIn(target.scope.mode), signal);
  await clearOldPlace(move, target.scope.mode);
  return count;
}

/** The last step: waits until nobody reads the old place any more, and deletes what it has. The mark is the proof that the new one has it all. */
async function clearOldPlace(move: Move, to: CollectionMode): Promise<void> {
  const { connection, catalog, tenantId, tableName, signal } = move;
  await sleep(catalogAgeMs, undefined, { signal });
  const [own, shared] = [await findOwn(move), await findShared(move)];
  // Another call was faster.
  if (own === undefined || movedTo(own.metadata) !== to) return;
  if (to === 'shared') {
    if (shared === undefined) throw collectionNotFound(tenantId, tableName, connection);
    await deleteBuilds(connection, catalog, own.scope, signal);
    return;
  }
  if (shared !== undefined) await deleteTenant(connection, catalog, shared.scope, signal);
  await setMetadata(connection, own, noMove, signal);
}

async function pointsIn(
  { connection, tenantId, tableName, signal }: Move,
  collection: Collection | undefined,
): Promise<number> {
  if (collection === undefined) throw collectionNotFound(tenantId, tableName, connection);
  return countRecords(connection, collection, undefined, signal);
}
