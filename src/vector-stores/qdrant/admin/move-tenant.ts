import { scopeOf } from '../collections/builds.js';
import { catalogAgeMs } from '../collections/catalog.js';
import { type Collection, collectionNotFound } from '../collections/collection.js';
import { createIfAbsent, requireNoPoints } from '../collections/create-collection.js';
import { deleteBuilds, deleteTenant } from '../collections/drop-collection.js';
import { movedTo, movingTo, noMove } from '../collections/metadata.js';
import { checkCollectionOptions } from '../collections/options.js';
import { createIndexes, indexesOf } from '../collections/payload-indexes.js';
import { countRecords, requireNoStrays } from '../collections/point-counts.js';
import { setMetadata } from '../collections/set-metadata.js';
import type { CollectionMode } from '../tenancy/naming.js';
import { type CopyOptions, copyPoints, requireSameVectors } from './copy-points.js';
import { checkSource } from './copy-source.js';
import { optionsLike } from './inherited-options.js';
import { arrivedIn, type Claim, claim, findOwn, findShared, type Move, otherMove, takenOver } from './move-marks.js';

/**
 * Moves a tenant's points of a table from one mode to the other. Reads go on all the while; writes are refused, as
 * retryable, from the second step to the fourth. Every step can be done again, so that a move that was interrupted goes
 * on when it is called again:
 *
 * 1. look whether the move can be done: usable points, all of them the tenant's, equal vectors, nothing of the tenant's
 *    in the new place; make that, and its indexes;
 * 2. mark the tenant's own collection as moving: a write that was under way looks again before it counts, however late
 *    it ends;
 * 3. copy until a whole pass finds nothing that differs;
 * 4. mark that all points are in the new place;
 * 5. delete what the old place has, and the marks.
 *
 * Nothing is lost if a process stops at any step for any time, since no step takes another one's time for granted: a
 * late write is not acknowledged, and the marks of a call that no longer has its claim are without effect.
 *
 * @returns How many points the tenant has in its new place.
 */
export async function moveTenant(move: Move, to: CollectionMode, options: CopyOptions): Promise<number> {
  try {
    // The last step of an earlier move that was interrupted in it, in whichever direction.
    const own = await findOwn(move);
    const arrived = movedTo(own?.metadata);
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
  return copyAndArrive(move, own, [own, target], await claim(move, own, target, 'shared'), options);
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
  const claimed = await claim(move, target, shared, 'collection');
  if ((await pointsIn(move, shared)) === 0 && (await pointsIn(move, target)) > 0) {
    // Another call ended the move just before this one's mark came: there is nothing to copy from any more.
    await setMetadata(move.connection, target, noMove, move.signal);
    throw takenOver(target);
  }
  return copyAndArrive(move, target, [shared, target], claimed, options);
}

/**
 * Finds out whether a move can be done before anything of the tenant's is touched; returns the collection that the
 * points go to.
 */
async function prepare(
  move: Move,
  source: Collection,
  existing: Collection | undefined,
  to: CollectionMode,
): Promise<Collection> {
  const { connection, tenantId, tableName, signal } = move;
  const scope = scopeOf(tenantId, tableName, to);
  await requireMovable(move, source);
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

/** Of a collection that is to be deleted, every point has to be the tenant's. */
async function requireMovable({ connection, signal }: Move, source: Collection): Promise<void> {
  if (source.scope.mode === 'shared') return;
  // Made if it is missing: a server in strict mode finds strays only by a field with an index.
  await createIndexes(connection, source, {}, signal);
  await requireNoStrays(connection, source, signal);
}

async function copyAndArrive(
  move: Move,
  own: Collection,
  [source, target]: readonly [Collection, Collection],
  claimed: Claim,
  options: CopyOptions,
): Promise<number> {
  const { connection, signal } = move;
  const ends = [
    { connection, collection: source },
    { connection, collection: target },
  ] as const;
  await claimed.require();
  const count = await copyPoints(...ends, { ...options, mayGoOn: claimed.require });
  await claimed.require();
  await setMetadata(connection, own, arrivedIn(target.scope.mode, claimed), signal);
  await clearOldPlace(move, target.scope.mode, claimed);
  return count;
}

/** The last step: deletes what the old place has. The mark is the proof that the new one has it all. */
async function clearOldPlace(move: Move, to: CollectionMode, claimed?: Claim): Promise<void> {
  const { connection, catalog, tenantId, tableName, signal } = move;
  // Searches that began before the mark read the shared collection; they look again only if they took longer than this.
  if (to === 'collection') await connection.clock.sleep(catalogAgeMs, signal);
  const [own, shared] = [await findOwn(move), await findShared(move)];
  if (own === undefined || movedTo(own.metadata) !== to) {
    // Another call was faster: it has ended the move, or taken it over.
    const hasEnded = to === 'shared' ? own === undefined : own !== undefined && !own.metadata?.pulse_mover;
    if (claimed === undefined || hasEnded) return;
    throw takenOver({ scope: scopeOf(tenantId, tableName, 'collection') });
  }
  if (to === 'shared') {
    if (shared === undefined) throw collectionNotFound(tenantId, tableName, connection);
    await requireNoStrays(connection, own, signal);
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
