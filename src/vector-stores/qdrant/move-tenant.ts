import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { VectorStoreError } from '../../errors.js';
import {
  type Collection,
  type CollectionCatalog,
  catalogAgeMs,
  collectionNotFound,
  requireDimension,
} from './collection-catalog.js';
import type { CollectionMetadata } from './collection-metadata.js';
import { checkCollectionOptions } from './collection-request.js';
import type { QdrantConnection } from './connection.js';
import { type CopyEnd, type CopyOptions, copyPoints } from './copy-points.js';
import { createIfAbsent, createIndexes, indexesOf } from './create-collection.js';
import { buildsOf, deleteBuild, deleteTenant } from './drop-collection.js';
import { type CollectionMode, collectionName } from './naming.js';
import { countRecords } from './read-records.js';
import { setMetadata } from './set-metadata.js';

/**
 * Moves a tenant's points of a table from one mode to the other. Reads go on all the while; writes are refused, as retryable, from the first
 * step to the last. Every step can be done again, so that a move that was interrupted goes on when it is called again:
 *
 * 1. mark the tenant's own collection as moving, and wait until every process has noticed;
 * 2. copy until a whole pass finds nothing that differs;
 * 3. to `shared`: drop the own collection. To `collection`: take the mark away, wait again, and delete the tenant's points in the shared one.
 *
 * @returns How many points the tenant has in its new place.
 */
export async function moveTenant(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  to: CollectionMode,
  options: CopyOptions,
): Promise<number> {
  const { signal } = options;
  const own = await catalog.findInMode(tenantId, tableName, 'collection', signal);
  const shared = await catalog.findInMode(tenantId, tableName, 'shared', signal);
  catalog.forget(tenantId, tableName);
  const move = { connection, catalog, tenantId, tableName, options };
  try {
    return to === 'shared' ? await toShared(move, own, shared) : await toOwn(move, own, shared);
  } finally {
    catalog.forget(tenantId, tableName);
  }
}

interface Move {
  readonly connection: QdrantConnection;
  readonly catalog: CollectionCatalog;
  readonly tenantId: number;
  readonly tableName: string;
  readonly options: CopyOptions;
}

async function toShared(move: Move, own: Collection | undefined, shared: Collection | undefined): Promise<number> {
  const { connection, options } = move;
  const { signal } = options;
  if (own === undefined) return pointsIn(move, shared);
  if (own.metadata?.pulse_moving_to === 'collection') throw otherWay(own, 'collection');
  const target = shared ?? (await createLike(move, own, 'shared', {}));
  requireSameVectors(own, target);
  const mayGoOn = await claim(move, own, 'shared');
  await sleep(catalogAgeMs, undefined, { signal });
  const ends = [own, target].map((collection) => ({ connection, collection })) as [CopyEnd, CopyEnd];
  const count = await copyPoints(...ends, { ...options, mayGoOn });
  await mayGoOn();
  for (const collection of await buildsOf(connection, own.scope, signal)) {
    await deleteBuild(connection, { ...own.scope, collection }, signal);
  }
  return count;
}

async function toOwn(move: Move, own: Collection | undefined, shared: Collection | undefined): Promise<number> {
  const { connection, options } = move;
  const { signal } = options;
  if (own?.metadata?.pulse_moving_to === 'shared') throw otherWay(own, 'shared');
  if (own !== undefined && own.metadata?.pulse_moving_to !== 'collection') {
    // The last step of a move that was interrupted there; nothing where none was.
    if (shared !== undefined && (await pointsIn(move, shared)) > 0) {
      await sleep(catalogAgeMs, undefined, { signal });
      await deleteTenant(connection, shared, signal);
    }
    return pointsIn(move, own);
  }
  if (shared === undefined) throw collectionNotFound(move.tenantId, move.tableName, connection);
  const target = own ?? (await createLike(move, shared, 'collection', { pulse_moving_to: 'collection' }));
  requireSameVectors(shared, target);
  const mayGoOn = await claim(move, target, 'collection');
  await sleep(catalogAgeMs, undefined, { signal });
  const ends = [shared, target].map((collection) => ({ connection, collection })) as [CopyEnd, CopyEnd];
  const count = await copyPoints(...ends, { ...options, mayGoOn });
  await mayGoOn();
  await setMetadata(connection, target, { pulse_moving_to: null, pulse_mover: null }, signal);
  await sleep(catalogAgeMs, undefined, { signal });
  await deleteTenant(connection, shared, signal);
  return count;
}

/**
 * Marks the tenant's own collection as moving, by this call. Of two calls at the same time the later one goes on: the other would compare with a
 * source that is gone, and delete what was written after the move.
 */
async function claim(
  { connection, catalog, options: { signal } }: Move,
  own: Collection,
  to: CollectionMode,
): Promise<() => Promise<void>> {
  const mover = randomUUID();
  await setMetadata(connection, own, { pulse_moving_to: to, pulse_mover: mover }, signal);
  return async () => {
    const latest = await catalog.read(own.scope, signal);
    if (latest?.metadata?.pulse_mover === mover) return;
    throw new VectorStoreError(
      `Another call of moveTenant has taken over the table ${own.scope.tableName} of tenant ${own.scope.tenantId}.`,
      { code: 'unavailable', isRetryable: true, collection: own.scope.collection },
    );
  };
}

/** A collection for the same vectors, in the other mode and with the same indexes. */
async function createLike(
  { connection, catalog, tenantId, tableName, options: { signal } }: Move,
  model: Collection,
  mode: CollectionMode,
  metadata: Partial<CollectionMetadata>,
): Promise<Collection> {
  const scope = { tenantId, tableName, mode, collection: collectionName(tenantId, tableName, mode) };
  const options = checkCollectionOptions({
    vectorSize: model.vectorSize,
    embeddingSpace: model.metadata?.pulse_ai_providers.embedding_space ?? undefined,
    hasSparseVectors: model.hasSparseVectors,
    payloadIndexes: indexesOf(model),
  });
  await createIfAbsent(connection, scope, options, signal, metadata);
  const collection = await catalog.findInMode(tenantId, tableName, mode, signal);
  if (collection === undefined) throw collectionNotFound(tenantId, tableName, connection);
  await createIndexes(connection, collection, options.payloadIndexes, signal);
  return collection;
}

function requireSameVectors(source: Collection, target: Collection): void {
  requireDimension(target, source.vectorSize);
  const [from, to] = [source, target].map(({ metadata }) => metadata?.pulse_ai_providers.embedding_space ?? null);
  if (from === to) return;
  throw new VectorStoreError(
    `The collections ${source.scope.collection} and ${target.scope.collection} hold vectors of different embedding spaces; their points cannot be put together.`,
    { code: 'unsupported_operation', collection: target.scope.collection },
  );
}

function otherWay({ scope }: Collection, mode: CollectionMode): VectorStoreError {
  return new VectorStoreError(
    `The table ${scope.tableName} of tenant ${scope.tenantId} is on its way to the mode '${mode}'; end that move first by calling moveTenant with it.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

async function pointsIn(
  { connection, tenantId, tableName, options }: Move,
  collection: Collection | undefined,
): Promise<number> {
  if (collection === undefined) throw collectionNotFound(tenantId, tableName, connection);
  return countRecords(connection, collection, undefined, options.signal);
}
