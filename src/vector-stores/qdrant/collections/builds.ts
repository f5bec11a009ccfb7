import { collectionName } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection, RequestOptions } from '../wire/connection.js';

// A build is a physical collection of a table: `client_1_docs`, and `client_1_docs@2`, `client_1_docs@3`, … after each
// rebuild.

/** The collection of a table in one mode, by its plain name. */
export function scopeOf(tenantId: number, tableName: string, mode: TenantScope['mode']): TenantScope {
  return { tenantId, tableName, mode, collection: collectionName(tenantId, tableName, mode) };
}

/** Every collection that was built for a table. */
export async function buildsOf(
  connection: QdrantConnection,
  { tenantId, tableName, mode }: TenantScope,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const scope = scopeOf(tenantId, tableName, mode);
  return buildsAmong(await collectionNames(connection, scope, signal), scope.collection);
}

/** The names of all collections that the scope's key reaches. */
export async function collectionNames(
  connection: QdrantConnection,
  scope: RequestOptions['scope'],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const request = { operation: 'listing', scope, signal };
  const { collections } = await connection.request(request, (client) => client.getCollections());
  return collections.map(({ name }) => name);
}

export function buildsAmong(names: readonly string[], plainName: string): string[] {
  const isBuild = (name: string): boolean =>
    name.startsWith(`${plainName}@`) && /^[0-9]+$/.test(name.slice(plainName.length + 1));
  return names.filter((name) => name === plainName || isBuild(name));
}

/**
 * Deletes one whole collection, which must hold nothing but the scope's own points; the server drops its aliases with
 * it.
 */
export async function deleteBuild(
  connection: QdrantConnection,
  scope: TenantScope,
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.request({ operation: 'dropping', scope, signal }, (client) =>
    client.deleteCollection(scope.collection),
  );
}
