import { VectorStoreError } from '../../../errors.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { collectionNames, deleteBuild, scopeOf } from './builds.js';
import type { CollectionCatalog } from './catalog.js';
import { type Collection, requireDimension, requireSpace, requireWritable } from './collection.js';
import { restoreAfterBulkLoad } from './end-bulk-load.js';
import { makeMetadata, noMove } from './metadata.js';
import { type CheckedCollectionOptions, collectionRequest } from './options.js';
import { createIndexes } from './payload-indexes.js';
import { countRecords } from './point-counts.js';
import { setMetadata } from './set-metadata.js';

/** Makes the collection of a tenant's table, or makes sure that the one that exists is the one that is asked for. */
export async function createCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  options: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
): Promise<Collection> {
  let collection = await catalog.find(tenantId, tableName, signal);
  if (collection === undefined) {
    const scope = scopeOf(tenantId, tableName, options.mode ?? 'collection');
    const isNew = await createIfAbsent(connection, scope, options, signal);
    if (isNew && scope.mode === 'collection') await giveWay(connection, catalog, scope, signal);
    collection = await catalog.find(tenantId, tableName, signal);
    if (collection === undefined) throw notOurs(scope);
    requireWritable(collection);
  }
  await restoreAlias(connection, collection, signal);
  requireMode(collection, options);
  requireDimension(collection, options.vectorSize);
  if (collection.metadata === undefined) {
    await adopt(connection, catalog, collection, options.embeddingSpace, signal);
    collection = await catalog.require(tenantId, tableName, signal);
    requireMetadata(collection, connection.endpoint);
  }
  requireSpace(collection, options.embeddingSpace);
  await restoreAfterBulkLoad(connection, collection);
  await createIndexes(connection, collection, options.payloadIndexes, signal);
  // What is known of it lacks the indexes.
  catalog.forget(tenantId, tableName);
  return collection;
}

/**
 * Another process may have made a shared collection between our look and our creation, and be about to use it for this
 * tenant. Then the own collection has to go again:
 *
 *     this process                          the other process
 *     finds no collection
 *                                           finds no collection, makes the shared one
 *     makes the own one                     uses the shared one
 *     finds the shared one
 *     marks the own one as arriving         writers of the own one look again, see the mark and are refused
 *     counts it: empty, so deletes it
 */
async function giveWay(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  const shared = await catalog.findInMode(scope.tenantId, scope.tableName, 'shared', signal);
  if (shared === undefined) return;
  const own = await catalog.read(scope, signal);
  if (own === undefined) return;
  await setMetadata(connection, own, { pulse_moving_to: 'collection' }, signal);
  if ((await countRecords(connection, own, undefined, signal)) > 0) {
    await setMetadata(connection, own, noMove, signal);
    throw inBothModes(own, shared);
  }
  await deleteBuild(connection, scope, signal);
}

/** A committed build whose alias is lost, as after a restore of its collection, gets its table's name back. */
async function restoreAlias(
  connection: QdrantConnection,
  { scope, metadata }: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (metadata?.pulse_committed !== true) return;
  const name = scopeOf(scope.tenantId, scope.tableName, scope.mode).collection;
  if (name === scope.collection) return;
  const request = { operation: 'changing aliases', scope, signal };
  const { aliases } = await connection.request(request, (client) => client.getAliases());
  const isNamed = aliases.some(({ alias_name: alias }) => alias === name || alias === `${name}@live`);
  const isTaken = (await collectionNames(connection, scope, signal)).includes(name);
  if (isNamed || isTaken) return;
  const actions = [{ create_alias: { alias_name: name, collection_name: scope.collection } }];
  await connection.request(request, (client) => client.updateCollectionAliases({ actions }));
}

/** @returns Whether this call made it: another process may have a moment ago, and the caller looks at what is there. */
export async function createIfAbsent(
  connection: QdrantConnection,
  scope: TenantScope,
  options: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
  extraMetadata: Readonly<Record<string, unknown>> = {},
): Promise<boolean> {
  const { metadata, ...request } = collectionRequest(scope, options);
  const body = { ...request, metadata: { ...(metadata as object), ...extraMetadata } };
  try {
    await connection.request({ operation: 'creating', scope, signal }, (client) =>
      createWithMetadata(client, scope.collection, body),
    );
    return true;
  } catch (error) {
    if (error instanceof VectorStoreError && isConflict(error)) return false;
    throw error;
  }
}

function notOurs({ collection }: TenantScope): VectorStoreError {
  return new VectorStoreError(
    `The collection ${collection} cannot be used: one of that name exists that was not made by this library, or somebody dropped it a moment ago.`,
    { code: 'unsupported_operation', collection },
  );
}

function isConflict(error: VectorStoreError): boolean {
  // Older servers say 400.
  return error.status === 409 || (error.status === 400 && /already exists/i.test(error.message));
}

function createWithMetadata(
  client: QdrantClientLike,
  name: string,
  request: Record<string, unknown>,
): Promise<unknown> {
  const api = client.api?.();
  if (api === undefined) return client.createCollection(name, request);
  return api.createCollection({ collection_name: name, ...request });
}

/**
 * Writes our metadata onto a collection that has none: one that the platform made, or a server's own client. Its name
 * says whose it is. Which model its vectors came from, nobody can tell: with points in it, it is not pinned to an
 * embedding space.
 */
async function adopt(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  own: Collection,
  embeddingSpace: string | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { scope } = own;
  const shared = await catalog.findInMode(scope.tenantId, scope.tableName, 'shared', signal);
  if (shared !== undefined) await requireNoPoints(connection, shared, own, signal);
  // A server in strict mode counts only by fields with an index.
  await createIndexes(connection, own, {}, signal);
  const count = await countRecords(connection, own, undefined, signal);
  const metadata = { ...makeMetadata(scope, count === 0 ? embeddingSpace : undefined), pulse_adopted: true };
  await connection.request({ operation: 'writing the metadata', scope, signal }, (client) =>
    client.updateCollection(scope.collection, { metadata }),
  );
}

/**
 * @throws {@link VectorStoreError} if a shared collection holds points of a tenant that has a collection of its own,
 *   which hides them.
 */
export async function requireNoPoints(
  connection: QdrantConnection,
  shared: Collection,
  own: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((await countRecords(connection, shared, undefined, signal)) > 0) throw inBothModes(own, shared);
}

function inBothModes(own: Collection, shared: Collection): VectorStoreError {
  const [mine, theirs] = [own.scope.collection, shared.scope.collection];
  return new VectorStoreError(
    `Tenant ${own.scope.tenantId} has points of the table ${own.scope.tableName} in ${theirs} and a collection ${mine} beside it, and no move is under way: ` +
      'nobody knows which of them are to stay, and nothing was deleted. Remove one of the two on the server, then call again.',
    { code: 'unsupported_operation', collection: mine },
  );
}

function requireMetadata({ scope, metadata }: Collection, endpoint: string): void {
  if (metadata !== undefined) return;
  throw new VectorStoreError(
    `Qdrant at ${endpoint} does not keep a collection's metadata, which names its tenant and its embedding space. It needs Qdrant 1.16 or later.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

function requireMode({ scope }: Collection, { mode }: CheckedCollectionOptions): void {
  if (mode === undefined || mode === scope.mode) return;
  throw new VectorStoreError(
    `The table ${scope.tableName} of tenant ${scope.tenantId} is in the mode '${scope.mode}', in the collection ${scope.collection}. Use moveTenant to bring it to '${mode}'.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}
