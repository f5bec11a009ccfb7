import { setTimeout as sleep } from 'node:timers/promises';
import type { QdrantRequest } from '../../qdrant-api.js';
import { buildsOf, deleteBuild } from '../collections/builds.js';
import { type Collection, type CollectionCatalog, catalogAgeMs } from '../collections/catalog.js';
import { setMetadata } from '../collections/set-metadata.js';
import { collectionName, generationOf } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';

/** Points the table's name at the new collection. A name that is still a collection's own cannot be an alias: it is marked, and `@live` leads on. */
export async function swap(
  connection: QdrantConnection,
  current: Collection,
  next: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = plainNameOf(current.scope);
  const target = next.scope.collection;
  const isAlias = current.scope.collection !== name;
  await setAlias(connection, current.scope, isAlias ? name : `${name}@live`, target, signal);
  if (!isAlias) await setMetadata(connection, current, { pulse_superseded_by: target }, signal);
}

/**
 * What comes after a swap, and after one that was interrupted: waits until every reader has noticed, drops the older builds, and makes the
 * table's plain name an alias of the current one.
 */
export async function finishSwap(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  const outdated = async (): Promise<string[]> => {
    const current = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
    const generation = generationOf(current?.scope.collection ?? '');
    if (generation === 1) return [];
    return (await buildsOf(connection, scope, signal)).filter((build) => generationOf(build) < generation);
  };
  if ((await outdated()).length > 0) {
    await sleep(catalogAgeMs, undefined, { signal });
    // Looked for again: what is current may have changed.
    for (const collection of await outdated()) await deleteBuild(connection, { ...scope, collection }, signal);
  }
  await nameByAlias(connection, catalog, scope, signal);
}

/** Makes the plain name an alias in place of `@live`, which stood in for it. */
async function nameByAlias(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  const name = plainNameOf(scope);
  const current = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
  if (current === undefined || current.scope.collection === name) return;
  const { aliases } = await connection.request({ operation: 'reading aliases', scope, signal }, (client) =>
    client.getAliases(),
  );
  if (!aliases.some((alias) => alias.alias_name === `${name}@live`)) return;
  await setAlias(connection, scope, name, current.scope.collection, signal);
  await changeAliases(connection, scope, [{ delete_alias: { alias_name: `${name}@live` } }], signal);
}

/** Points an alias at a collection. Creating one that exists moves it: one action, which a server that dies makes whole or not at all. */
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
  return collectionName(tenantId, tableName, mode);
}
