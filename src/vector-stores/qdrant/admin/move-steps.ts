import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { VectorStoreError } from '../../../errors.js';
import { deleteBuilds, deleteTenant } from '../collections/builds.js';
import { type Collection, type CollectionCatalog, catalogAgeMs } from '../collections/catalog.js';
import { movedTo, movingTo, noMove } from '../collections/move-marks.js';
import { setMetadata } from '../collections/set-metadata.js';
import type { CollectionMode } from '../tenancy/naming.js';
import type { QdrantConnection } from '../wire/connection.js';

/** Whose table is moved, and with what. */
export interface Move {
  readonly connection: QdrantConnection;
  readonly catalog: CollectionCatalog;
  readonly tenantId: number;
  readonly tableName: string;
  readonly signal: AbortSignal | undefined;
}

export function findOwn({ catalog, tenantId, tableName, signal }: Move): Promise<Collection | undefined> {
  return catalog.findInMode(tenantId, tableName, 'collection', signal);
}

export function findShared({ catalog, tenantId, tableName, signal }: Move): Promise<Collection | undefined> {
  return catalog.findInMode(tenantId, tableName, 'shared', signal);
}

/**
 * Marks the tenant's own collection as moving, by this call. Of two calls at the same time the later one goes on: the other would compare with a
 * source that is gone, and delete what was written after the move.
 *
 * @returns A check that this call is still the one, and the move not at its end.
 */
export async function claim(
  { connection, catalog, signal }: Move,
  own: Collection,
  to: CollectionMode,
): Promise<() => Promise<void>> {
  const mover = randomUUID();
  const latest = await catalog.read(own.scope, signal);
  // What this call has seen of it may be old: another one may have ended the move since.
  if (latest === undefined || movingTo(latest.metadata) !== movingTo(own.metadata) || movedTo(latest.metadata)) {
    throw takenOver(own);
  }
  await setMetadata(connection, own, { pulse_moving_to: to, pulse_mover: mover }, signal);
  return async () => {
    const { metadata } = (await catalog.read(own.scope, signal)) ?? {};
    if (metadata?.pulse_mover !== mover || movedTo(metadata) !== undefined) throw takenOver(own);
  };
}

/**
 * Takes back a move that is under way, or was interrupted: the old place has all points, and what the new one has of them is deleted. Nothing
 * where no move is under way.
 *
 * @throws {@link VectorStoreError} where all points are in the new place already: that move can only be ended.
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
    const mayGoOn = await claim(move, own, to);
    await sleep(catalogAgeMs, undefined, { signal });
    await mayGoOn();
    if (to === 'collection') return await deleteBuilds(connection, catalog, own.scope, signal);
    if (shared !== undefined) await deleteTenant(connection, catalog, shared.scope, signal);
    await setMetadata(connection, own, noMove, signal);
  } finally {
    catalog.forget(tenantId, tableName);
  }
}

export function takenOver({ scope }: Collection): VectorStoreError {
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
