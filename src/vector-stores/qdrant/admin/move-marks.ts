import { randomUUID } from 'node:crypto';
import { VectorStoreError } from '../../../errors.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import type { Collection } from '../collections/collection.js';
import { deleteBuilds, deleteTenant } from '../collections/drop-collection.js';
import { type CollectionMetadata, movedTo, movingTo, noMove } from '../collections/metadata.js';
import { setMetadata } from '../collections/set-metadata.js';
import type { CollectionMode } from '../tenancy/naming.js';
import type { QdrantConnection } from '../wire/connection.js';
import { pagesOf, pointsById } from './copy-source.js';

/** Whose table is moved, and with what. */
export interface Move {
  readonly connection: QdrantConnection;
  readonly catalog: CollectionCatalog;
  readonly tenantId: number;
  readonly tableName: string;
  readonly signal: AbortSignal | undefined;
}

/** One call's right to do a move. */
export interface Claim {
  readonly mover: string;
  /** @throws {@link VectorStoreError} if another call has taken the move over, or ended it. */
  require(): Promise<void>;
}

export function findOwn({ catalog, tenantId, tableName, signal }: Move): Promise<Collection | undefined> {
  return catalog.findInMode(tenantId, tableName, 'collection', signal);
}

export function findShared({ catalog, tenantId, tableName, signal }: Move): Promise<Collection | undefined> {
  return catalog.findInMode(tenantId, tableName, 'shared', signal);
}

/**
 * Marks the tenant's own collection as moving, by this call. Of two calls at the same time the later one goes on: the
 * other would compare with a source that is gone, and delete what was written after the move.
 */
export async function claim(
  move: Move,
  own: Collection,
  shared: Collection | undefined,
  to: CollectionMode,
): Promise<Claim> {
  const { connection, catalog, signal } = move;
  const mover = randomUUID();
  const latest = await catalog.read(own.scope, signal);
  // What this call has seen of it may be old: another one may have ended the move since.
  if (latest === undefined || movingTo(latest.metadata) !== movingTo(own.metadata) || movedTo(latest.metadata)) {
    throw takenOver(own);
  }
  // A write that began before looks again when it is done, and finds that a move has begun, however it has ended since.
  const mark = { pulse_last_move: mover };
  if (shared !== undefined) await setMetadata(connection, shared, mark, signal);
  await setMetadata(connection, own, { ...mark, pulse_moving_to: to, pulse_mover: mover }, signal);
  return {
    mover,
    require: async () => {
      const { metadata } = (await catalog.read(own.scope, signal)) ?? {};
      if (metadata?.pulse_mover !== mover || movedTo(metadata) !== undefined) throw takenOver(own);
    },
  };
}

/** The mark that all points are in the new place; without effect if another call has claimed the move since. */
export function arrivedIn(mode: CollectionMode, { mover }: Claim): Partial<CollectionMetadata> {
  return { pulse_moved_to: { mode, mover } };
}

/**
 * Takes back a move that is under way, or was interrupted: the old place has all points, and what the new one has of
 * them is deleted. Does nothing if no move is under way.
 *
 * @throws {@link VectorStoreError} if all points are in the new place already, so that the move can only be ended.
 */
export async function cancelMove(move: Move): Promise<void> {
  const { connection, catalog, tenantId, tableName, signal } = move;
  const own = await findOwn(move);
  if (own === undefined) return;
  const arrived = movedTo(own.metadata);
  if (arrived !== undefined) throw tooLate(own, arrived);
  const to = movingTo(own.metadata);
  if (to === undefined) return;
  const shared = await findShared(move);
  if (to === 'collection' && shared === undefined) throw noWayBack(own);
  try {
    await (await claim(move, own, shared, to)).require();
    if (to === 'collection') {
      await requireAllIn(move, own, shared!);
      return await deleteBuilds(connection, catalog, own.scope, signal);
    }
    if (shared !== undefined) await deleteTenant(connection, catalog, shared.scope, signal);
    await setMetadata(connection, own, noMove, signal);
  } finally {
    catalog.forget(tenantId, tableName);
  }
}

/** Before the copy is deleted: it may be no copy any more, if its move has ended since it was looked at. */
async function requireAllIn({ connection, signal }: Move, copy: Collection, original: Collection): Promise<void> {
  for await (const page of pagesOf({ connection, collection: copy }, false, signal)) {
    const ids = page.map(({ id }) => id);
    const found = await pointsById({ connection, collection: original }, ids, false, signal);
    if (found.length < ids.length) throw takenOver(copy);
  }
}

export function takenOver({ scope }: Pick<Collection, 'scope'>): VectorStoreError {
  return new VectorStoreError(
    `Another call has taken over, or ended, the move of the table ${scope.tableName} of tenant ${scope.tenantId}.`,
    { code: 'unavailable', isRetryable: true, collection: scope.collection },
  );
}

export function otherMove({ scope }: Collection, mode: CollectionMode): VectorStoreError {
  return new VectorStoreError(
    `The table ${scope.tableName} of tenant ${scope.tenantId} is on its way to the mode '${mode}'; end that move first by calling moveTenant with it, or take it back with cancelMove.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

function tooLate({ scope }: Collection, mode: CollectionMode): VectorStoreError {
  return new VectorStoreError(
    `All points of the table ${scope.tableName} of tenant ${scope.tenantId} have arrived in the mode '${mode}'; end that move by calling moveTenant with it, then move them back.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

function noWayBack({ scope }: Collection): VectorStoreError {
  return new VectorStoreError(
    `The shared collection that the points of tenant ${scope.tenantId} came from is gone; ${scope.collection} has what is left of them and was not touched.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}
