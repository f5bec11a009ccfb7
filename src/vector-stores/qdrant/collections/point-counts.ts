import { VectorStoreError } from '../../../errors.js';
import type { QdrantConnection } from '../wire/connection.js';

/** Stands for all of them where a shared collection as a whole is looked up: it is the same for every tenant. */
export const anyTenant = 1;
/** The most tenants that are looked for in one shared collection. */
const maxTenants = 1_000_000;

/** How many points each tenant has in a shared collection: a question that is not asked for a tenant, and whose answer is for operators. */
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
