import { VectorStoreError } from '../../../errors.js';
import { othersFilter, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { invalidResponse } from '../wire/qdrant-errors.js';
import type { Collection } from './collection.js';

/** Any tenant will do to look a shared collection up as a whole: it is the same for all. */
export const anyTenant = 1;
/** The most tenants that are looked for in one shared collection. */
const maxTenants = 1_000_000;
/** More would not make a message clearer. */
const maxNamedPoints = 20;

/**
 * How many points each tenant has in a shared collection: a question that is not asked for a tenant, and whose answer
 * is for operators.
 */
export async function countByTenant(
  connection: QdrantConnection,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<Map<number, number>> {
  const { hits } = await connection.request({ operation: 'counting by tenant', signal }, (client) =>
    client.facet(collection, { key: 'client_id', limit: maxTenants, exact: true }),
  );
  if (hits.length < maxTenants) return new Map(hits.map(({ value, count }) => [Number(value), count]));
  throw new VectorStoreError(`The collection ${collection} holds points of ${maxTenants} tenants or more.`, {
    code: 'unsupported_operation',
    collection,
  });
}

/** How many of the tenant's points a filter leaves. */
export async function countRecords(
  connection: QdrantConnection,
  { scope }: Collection,
  filter: unknown,
  signal: AbortSignal | undefined,
): Promise<number> {
  const request = { operation: 'counting', scope, signal };
  const body = { filter: tenantFilter(scope, filter), exact: true };
  const { count } = await connection.request(request, (client) => client.count(scope.collection, body));
  if (typeof count !== 'number') throw invalidResponse(connection.describe(request), 'a count');
  return count;
}

/**
 * Makes sure that a collection holds no point that the tenant's filter does not see, before it is deleted or said to be
 * copied: points without `client_id`, or with one of another type, as other writers leave them.
 *
 * @throws {@link VectorStoreError} with code `unsupported_operation`, naming the points.
 */
export async function requireNoStrays(
  connection: QdrantConnection,
  { scope }: Pick<Collection, 'scope'>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const owners = scope.mode === 'shared' ? await ownersOf(connection, scope.collection, signal) : [scope.tenantId];
  if (owners === undefined) return;
  const body = {
    filter: othersFilter(scope.mode, owners),
    limit: maxNamedPoints,
    with_payload: false,
    with_vector: false,
  };
  const { points } = await connection.request({ operation: 'looking for stray points', scope, signal }, (client) =>
    client.scroll(scope.collection, body),
  );
  if (points.length === 0) return;
  const whose = scope.mode === 'shared' ? 'any tenant' : `tenant ${scope.tenantId}`;
  throw new VectorStoreError(
    `The collection ${scope.collection} holds points that are not ${whose}'s by their \`client_id\`, and would be lost: ${points.map(({ id }) => id).join(', ')}${points.length < maxNamedPoints ? '' : ', …'}. ` +
      'Give them the right one, or delete them; nothing was deleted.',
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

/** The tenants of a shared collection; undefined if its points are all theirs, by the numbers. */
async function ownersOf(
  connection: QdrantConnection,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<number[] | undefined> {
  const { count } = await connection.request({ operation: 'counting', signal }, (client) =>
    client.count(collection, { exact: true }),
  );
  const byTenant = await countByTenant(connection, collection, signal);
  const owned = [...byTenant.values()].reduce((sum, each) => sum + each, 0);
  return count > owned ? [...byTenant.keys()] : undefined;
}
