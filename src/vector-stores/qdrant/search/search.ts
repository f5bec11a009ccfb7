import type { SimilarRecord } from '../../../core/ports/vector-store.js';
import type { QdrantPoint, QdrantRequest } from '../../qdrant-api.js';
import { type Collection, requireDimension, requireSparseSupport, termCorpus } from '../collections/collection.js';
import { sparseVectorName } from '../collections/options.js';
import { requireOwnPayload } from '../tenancy/payload.js';
import { type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { invalidResponse } from '../wire/qdrant-errors.js';
import { toBatches } from '../wire/request-batches.js';
import { denseVectorOf, maxBytesPerDimension, type ToWireVector } from '../wire/vectors.js';
import { type CheckedHybridSearch, type CheckedSearch, hybridDepth } from './search-options.js';
import { searchParams } from './search-params.js';

/** The most bytes that a search takes in a request beside its vector and the caller's filter. */
const fixedBytes = 500;

/** A hit, with its vector if that was asked for. */
export interface VectorHit extends SimilarRecord {
  /** Has length 1, whatever its length when it was stored. */
  readonly vector?: Float32Array;
}

export interface HitGroup {
  /** The value of the field that the hits have in common. */
  readonly id: string | number;
  readonly hits: VectorHit[];
}

export async function searchSimilar(
  connection: QdrantConnection,
  collection: Collection,
  search: CheckedSearch,
  signal: AbortSignal | undefined,
): Promise<VectorHit[]> {
  const { scope } = collection;
  const request = { operation: 'search', scope, signal };
  const response = await connection.request(request, (client, toWire) =>
    client.query(scope.collection, searchRequest(connection, collection, search, toWire)),
  );
  return toHits(connection, scope, response);
}

/** All searches in one request; the hits of each in the order of the searches. */
export async function searchBatch(
  connection: QdrantConnection,
  collection: Collection,
  searches: readonly CheckedSearch[],
  signal: AbortSignal | undefined,
): Promise<VectorHit[][]> {
  const { scope } = collection;
  const request = { operation: 'batch search', scope, signal };
  const responses = await connection.request(request, (client, toWire) => {
    const body = { searches: searches.map((search) => searchRequest(connection, collection, search, toWire)) };
    return client.queryBatch(scope.collection, body);
  });
  if (!Array.isArray(responses) || responses.length !== searches.length) {
    throw invalidResponse(connection.describe(request), 'as many results as searches');
  }
  return responses.map((response) => toHits(connection, scope, response));
}

/** Splits searches into as many requests as they need. */
export function* toSearchBatches(searches: readonly CheckedSearch[]): Generator<CheckedSearch[]> {
  const items = searches.map((search) => ({ search, byteCount: byteCountOf(search) }));
  for (const batch of toBatches(items)) yield batch.map(({ search }) => search);
}

function byteCountOf({ vector, filter }: CheckedSearch): number {
  return fixedBytes + vector.length * maxBytesPerDimension + Buffer.byteLength(JSON.stringify(filter ?? null));
}

export async function searchGroups(
  connection: QdrantConnection,
  collection: Collection,
  search: CheckedSearch,
  { groupBy, groupSize }: { readonly groupBy: string; readonly groupSize: number },
  signal: AbortSignal | undefined,
): Promise<HitGroup[]> {
  const { scope } = collection;
  const request = { operation: 'group search', scope, signal };
  const { groups } = await connection.request(request, (client, toWire) => {
    const { offset: _, ...request } = searchRequest(connection, collection, search, toWire);
    const body = { ...request, group_by: groupBy, group_size: groupSize };
    return client.queryGroups(scope.collection, body);
  });
  if (!Array.isArray(groups)) throw invalidResponse(connection.describe(request), 'groups');
  return groups.map(({ id, hits }) => ({ id, hits: toHits(connection, scope, { points: hits }) }));
}

/** Searches by meaning and by keywords, and merges the two lists on the server. */
export async function searchHybrid(
  connection: QdrantConnection,
  collection: Collection,
  search: CheckedHybridSearch,
  signal: AbortSignal | undefined,
): Promise<VectorHit[]> {
  const { scope } = collection;
  requireSparseSupport(collection);
  requireDimension(collection, search.vector.length);
  // In each branch and around them: a branch without the tenant would let others' points push the tenant's own out of
  // its list.
  const filter = tenantFilter(scope, search.filter);
  const sparse = { query: search.sparseVector, using: sparseVectorName, filter, limit: hybridDepth };
  const corpus = await termCorpus(connection, collection, signal);
  const response = await connection.request({ operation: 'hybrid search', scope, signal }, (client, toWire) =>
    client.query(scope.collection, {
      prefetch: [
        {
          query: toWire(search.vector),
          filter,
          limit: hybridDepth,
          params: searchParams(connection, collection, search),
        },
        corpus === undefined ? sparse : { ...sparse, params: { idf: { corpus } } },
      ],
      query: { fusion: search.fusion },
      filter,
      limit: search.limit,
      offset: search.offset,
      with_payload: true,
      with_vector: search.withVectors,
    }),
  );
  return toHits(connection, scope, response);
}

function searchRequest(
  connection: QdrantConnection,
  collection: Collection,
  search: CheckedSearch,
  toWire: ToWireVector,
): QdrantRequest {
  requireDimension(collection, search.vector.length);
  return {
    query: toWire(search.vector),
    filter: tenantFilter(collection.scope, search.filter),
    params: searchParams(connection, collection, search),
    limit: search.limit,
    ...(search.offset > 0 ? { offset: search.offset } : {}),
    ...(search.scoreThreshold > -1 ? { score_threshold: float32Below(search.scoreThreshold) } : {}),
    with_payload: true,
    with_vector: search.withVectors,
  };
}

/** A server keeps what is above the threshold, in float32; ours keeps what is at it as well. */
function float32Below(value: number): number {
  const float = Float32Array.of(value);
  const bits = new Int32Array(float.buffer);
  // One step of the bits is one step down: towards zero from above it, away from it below.
  bits[0] = float[0] === 0 ? -0x7fffffff : bits[0]! + (float[0]! > 0 ? -1 : 1);
  return float[0]!;
}

function toHits(connection: QdrantConnection, scope: TenantScope, response: { points?: QdrantPoint[] }): VectorHit[] {
  if (Array.isArray(response?.points)) return response.points.map((point) => toHit(scope, point));
  throw invalidResponse(connection.describe({ operation: 'search', scope }), 'points');
}

function toHit(scope: TenantScope, { id, score, payload, vector }: QdrantPoint): VectorHit {
  const { recordId, metadata } = requireOwnPayload(scope, payload);
  return {
    id: String(id),
    score: score ?? Number.NaN,
    recordId,
    tableName: scope.tableName,
    metadata,
    ...denseVectorOf({ vector }),
  };
}
