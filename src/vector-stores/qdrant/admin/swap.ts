import type { QdrantRequest } from '../../qdrant-api.js';
import { buildsOf, deleteBuild, scopeOf } from '../collections/builds.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import type { Collection } from '../collections/collection.js';
import { setMetadata } from '../collections/set-metadata.js';
import { generationOf } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';

/**
 * Makes a build the table's. The mark on the old build is the moment of the swap: from it on every lookup goes on to
 * the new one, and every write that was under way in the old one looks again and is made in the new one. The aliases
 * follow. A name that is still a collection's own cannot be an alias, so that `@live` leads to the new build until that
 * collection is gone.
 */
export async function swap(
  connection: QdrantConnection,
  current: Collection,
  next: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = plainNameOf(current.scope);
  const target = next.scope.collection;
  await setMetadata(connection, current, { pulse_superseded_by: target }, signal);
  // Before any alias moves: a build with this mark holds the table, also if its alias is lost.
  await setMetadata(connection, next, { pulse_committed: true }, signal);
  const isAlias = current.scope.collection !== name;
  await setAlias(connection, current.scope, isAlias ? name : `${name}@live`, target, signal);
}

/**
 * What comes after a swap, and after one that was interrupted: drops the older builds, and makes the table's plain name
 * an alias of the current one.
 */
export async function finishSwap(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  const current = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
  const generation = generationOf(current?.scope.collection ?? '');
  if (current === undefined || generation === 1) return;
  if (current.metadata?.pulse_committed !== true) {
    await setMetadata(connection, current, { pulse_committed: true }, signal);
  }
  const outdated = (await buildsOf(connection, scope, signal)).filter((build) => generationOf(build) < generation);
  const name = plainNameOf(scope);
  // Before the collection of that name goes, something else has to lead to the build.
  if (outdated.includes(name)) await setAlias(connection, scope, `${name}@live`, current.scope.collection, signal);
  else await setAlias(connection, scope, name, current.scope.collection, signal);
  for (const collection of outdated) await deleteBuild(connection, { ...scope, collection }, signal);
  await nameByAlias(connection, current, signal);
}

/** Makes the plain name an alias in place of `@live`. */
async function nameByAlias(
  connection: QdrantConnection,
  { scope }: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = plainNameOf(scope);
  const { aliases } = await connection.request({ operation: 'reading aliases', scope, signal }, (client) =>
    client.getAliases(),
  );
  if (!aliases.some((alias) => alias.alias_name === `${name}@live`)) return;
  await setAlias(connection, scope, name, scope.collection, signal);
  await changeAliases(connection, scope, [{ delete_alias: { alias_name: `${name}@live` } }], signal);
}

/**
 * Points an alias at a collection. Creating one that exists moves it: one action, which a server that dies makes whole
 * or not at all.
 */
function setAlias(
  connection: QdrantConnection,
  scope: TenantScope,
  alias: string,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const actions = [{ create_alias: { alias_name: alias, collection_name: collection } }];
  return changeAliases(connection, scope, actions, signal);
}

async function changeAliases(
  connection: QdrantConnection,
  scope: TenantScope,
  actions: readonly QdrantRequest[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.request({ operation: 'changing aliases', scope, signal }, (client) =>
    client.updateCollectionAliases({ actions }),
  );
}

function plainNameOf({ tenantId, tableName, mode }: TenantScope): string {
  return scopeOf(tenantId, tableName, mode).collection;
}
