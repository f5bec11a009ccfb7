import { AiProviderError, EmbeddingSpaceMismatchError, isAiProviderError, VectorStoreError } from '../../../errors.js';
import type { QdrantResponse } from '../../qdrant-api.js';
import { collectionName } from '../tenancy/naming.js';
import { type QdrantFilter, type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { type CollectionMetadata, movingTo } from './metadata.js';

/** A collection, and the tenant that it was looked up for. */
export interface Collection {
  readonly scope: TenantScope;
  readonly vectorSize: number;
  readonly hasSparseVectors: boolean;
  /** Whether a hybrid search weighs terms by their rarity. */
  readonly weighsTerms: boolean;
  /** Undefined if the collection says nothing about itself. */
  readonly metadata: CollectionMetadata | undefined;
  /** The server's whole answer. */
  readonly response: QdrantResponse;
}

/** Whether two lookups found the same collection, and no move of its points began in between. */
export function isSamePlace(before: Collection, after: Collection | undefined): boolean {
  return (
    after !== undefined &&
    before.scope.collection === after.scope.collection &&
    (before.metadata?.pulse_last_move ?? null) === (after.metadata?.pulse_last_move ?? null)
  );
}

/** @throws {@link VectorStoreError} if the tenant's points are being moved: a write now would be lost. */
export function requireWritable({ scope, metadata }: Collection): void {
  if (movingTo(metadata) === undefined) return;
  throw new VectorStoreError(
    `The points of tenant ${scope.tenantId} in the collection ${scope.collection} are being moved; write again when moveTenant has ended. ` +
      'One that was interrupted goes on when it is called again; cancelMove takes it back.',
    { code: 'unavailable', isRetryable: true, collection: scope.collection },
  );
}

/** @throws {@link EmbeddingSpaceMismatchError} unless the collection has this embedding space, if one is named. */
export function requireSpace({ scope, metadata }: Collection, embeddingSpace: string | undefined): void {
  const ofCollection = metadata?.pulse_ai_providers.embedding_space;
  if (embeddingSpace === undefined || ofCollection === embeddingSpace) return;
  const expected = ofCollection ?? 'unknown (it was made without one)';
  throw new EmbeddingSpaceMismatchError(
    `The collection ${scope.collection} holds vectors of the embedding space ${expected}, not ${embeddingSpace}. Vectors of two spaces cannot be compared: ` +
      'use the model it was made with, or build a new collection and embed its records again.',
    { expected, received: embeddingSpace },
  );
}

/** @throws {@link AiProviderError} with code `dimension_mismatch`. */
export function requireDimension({ scope, vectorSize }: Collection, dimension: number, position?: number): void {
  if (dimension === vectorSize) return;
  const at = position === undefined ? '' : ` as the vector at position ${position} has`;
  throw new AiProviderError(
    `The collection ${scope.collection} holds vectors of ${vectorSize} dimensions, not ${dimension}${at}. Vectors of another model need a collection of their own.`,
    { code: 'dimension_mismatch' },
  );
}

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
 * The points over which a server counts how rare a term is. In a shared collection these are the tenant's own: counted
 * over all, a tenant's scores would change with other tenants' records, and tell how many of them have a term.
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

export function collectionNotFound(
  tenantId: number,
  tableName: string,
  { endpoint, hasTenantKeys }: Pick<QdrantConnection, 'endpoint' | 'hasTenantKeys'>,
): VectorStoreError {
  const collection = collectionName(tenantId, tableName);
  const reachable = hasTenantKeys ? " that the tenant's key reaches" : '';
  return new VectorStoreError(
    `There is no collection ${collection} at ${endpoint}${reachable}, nor a shared one of the table. Make it with createCollection first.`,
    { code: 'collection_not_found', collection, status: 404 },
  );
}

export function isNotFound(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'collection_not_found';
}

/** Whether a collection that has one of our names was made by somebody else, for other vectors than this store's. */
export function isForeign(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'invalid_response';
}
