import { VectorStoreError } from '../../../errors.js';
import { type QdrantFilter, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './catalog.js';

/** @throws `VectorStoreError` with code `unsupported_operation` if the collection was made without sparse vectors. */
export function requireSparseSupport({
  scope,
  hasSparseVectors,
}: Pick<Collection, 'scope' | 'hasSparseVectors'>): void {
  if (hasSparseVectors) return;
  throw new VectorStoreError(
    `The collection ${scope.collection} has no sparse vectors; make it with \`hasSparseVectors: true\`.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

/**
 * The points over which a server counts how rare a term is. In a shared collection these are the tenant's own: counted over all, a tenant's
 * scores would change with other tenants' records, and tell how many of them have a term.
 *
 * @returns Undefined if no term is weighed by its rarity, or if the collection has no other tenant.
 * @throws `VectorStoreError` with code `unsupported_operation` if the server cannot count within one tenant.
 */
export async function termCorpus(
  connection: QdrantConnection,
  { scope, weighsTerms }: Pick<Collection, 'scope' | 'weighsTerms'>,
  signal: AbortSignal | undefined,
): Promise<QdrantFilter | undefined> {
  if (scope.mode !== 'shared' || !weighsTerms) return undefined;
  const version = await connection.serverVersion(countsTermsWithinTenants, signal);
  if (countsTermsWithinTenants(version)) return tenantFilter(scope);
  throw new VectorStoreError(
    `Qdrant ${version} at ${connection.endpoint} weighs the terms of a hybrid search over all tenants of the shared collection ${scope.collection}, which tells each of the others' records. ` +
      "Use Qdrant 1.19 or later, or make the table with `termWeights: 'none'`, or in the mode 'collection'.",
    { code: 'unsupported_operation', collection: scope.collection },
  );
}

/** `params.idf.corpus` came with 1.19 (qdrant#9661). An older server ignores it. */
function countsTermsWithinTenants(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 1 || (major === 1 && minor >= 19);
}
