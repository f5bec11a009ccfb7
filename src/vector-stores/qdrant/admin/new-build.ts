import { VectorStoreError } from '../../../errors.js';
import { buildsOf, deleteBuild } from '../collections/builds.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import { type Collection, requireDimension, requireSpace } from '../collections/collection.js';
import { createIfAbsent } from '../collections/create-collection.js';
import type { CheckedCollectionOptions } from '../collections/options.js';
import { collectionName, generationOf } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';

/**
 * An empty build with a number that no other has. Unfinished ones are dropped: their jobs end with
 * `collection_not_found`.
 */
export async function newBuild(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  current: Collection,
  asked: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
): Promise<Collection> {
  const unfinished = await unfinishedBuilds(connection, current, signal);
  const plainName = collectionName(current.scope.tenantId, current.scope.tableName, current.scope.mode);
  let generation = generationOf(unfinished.at(-1) ?? current.scope.collection);
  let scope = current.scope;
  do {
    generation++;
    scope = { ...current.scope, collection: `${plainName}@${generation}` };
  } while (!(await createIfAbsent(connection, scope, asked, signal, { pulse_generation: generation })));
  for (const collection of unfinished) {
    await deleteIfUnfinished(connection, catalog, { ...scope, collection }, signal);
  }
  const next = await catalog.read(scope, signal);
  if (next === undefined) throw nothingToReplace(scope);
  return next;
}

/** Another call may have committed it since it was found, and a committed build is never unfinished. */
async function deleteIfUnfinished(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  const current = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
  if (current === undefined || generationOf(scope.collection) <= generationOf(current.scope.collection)) return;
  const build = await catalog.read(scope, signal);
  if (build !== undefined && build.metadata?.pulse_committed !== true) await deleteBuild(connection, scope, signal);
}

export async function newestBuild(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  current: Collection,
  asked: CheckedCollectionOptions,
  signal: AbortSignal | undefined,
): Promise<Collection> {
  const collection = (await unfinishedBuilds(connection, current, signal)).at(-1);
  const next = collection && (await catalog.read({ ...current.scope, collection }, signal));
  if (!next) {
    throw new VectorStoreError(
      `There is no build of ${current.scope.collection} to go on with: none was begun, or it was committed or aborted. Begin one without \`resume\`.`,
      { code: 'collection_not_found', collection: current.scope.collection },
    );
  }
  requireDimension(next, asked.vectorSize);
  requireSpace(next, asked.embeddingSpace);
  return next;
}

/** The builds that are newer than the one that serves, the newest last. */
async function unfinishedBuilds(
  connection: QdrantConnection,
  { scope }: Collection,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const builds = await buildsOf(connection, scope, signal);
  const isNewer = (name: string): boolean => generationOf(name) > generationOf(scope.collection);
  return builds.filter(isNewer).toSorted((a, b) => generationOf(a) - generationOf(b));
}

export function nothingToReplace({ tableName, collection }: TenantScope): VectorStoreError {
  return new VectorStoreError(
    `The table ${tableName} was dropped or moved while ${collection} was built; there is nothing that it could take the place of.`,
    { code: 'collection_not_found', collection },
  );
}
