import type { SearchOptions, SimilarRecord } from '../../core/vector-store.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue, requirePositiveInteger } from '../../internal/validate.js';
import type { Collection } from './collection-catalog.js';
import type { QdrantConnection } from './connection.js';
import { type TenantScope, tenantFilter } from './filter.js';
import { requireOwnPayload } from './payload.js';
import type { QdrantPoint } from './qdrant-client-like.js';
import { invalidResponse } from './qdrant-errors.js';
import { requireDimension, requireVector, toWireVector } from './vectors.js';

const defaultLimit = 10;
const defaultScoreThreshold = 0.7;
/** How many candidates the graph search keeps: the platform's choice, near 0.98 recall at m 16. */
const hnswEf = 128;

/** A search whose options were checked. */
export interface CheckedSearch {
  readonly vector: ArrayLike<number>;
  readonly limit: number;
  readonly scoreThreshold: number;
  readonly filter: unknown;
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkSearch(scope: TenantScope, vector: unknown, options: SearchOptions): CheckedSearch {
  // Made once here for its checks, and again for the request.
  tenantFilter(scope, options.filter);
  return {
    vector: requireVector(vector, 'the query vector'),
    limit: requirePositiveInteger(options.limit ?? defaultLimit, 'limit'),
    scoreThreshold: requireSimilarity(options.scoreThreshold ?? defaultScoreThreshold, 'scoreThreshold'),
    filter: options.filter,
  };
}

/** @throws {@link InvalidInputError} unless `value` is a cosine similarity. */
function requireSimilarity(value: unknown, name: string): number {
  if (typeof value === 'number' && value >= -1 && value <= 1) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a number from -1 to 1, got ${describeValue(value)}.`);
}

export async function searchSimilar(
  connection: QdrantConnection,
  { scope, vectorSize }: Collection,
  search: CheckedSearch,
  signal: AbortSignal | undefined,
): Promise<SimilarRecord[]> {
  requireDimension(search.vector.length, vectorSize, 'the query vector', scope.collection);
  const filter = tenantFilter(scope, search.filter);
  const { points } = await connection.request({ operation: 'search', collection: scope.collection, signal }, (client) =>
    client.query(scope.collection, {
      query: toWireVector(search.vector, client.acceptsFloat32Array === true),
      filter,
      params: { hnsw_ef: hnswEf },
      limit: search.limit,
      score_threshold: search.scoreThreshold,
      with_payload: true,
      with_vector: false,
    }),
  );
  if (!Array.isArray(points)) {
    const request = { operation: 'search', collection: scope.collection, endpoint: connection.endpoint };
    throw invalidResponse(request, 'points');
  }
  return points.map((point) => toSimilarRecord(scope, point));
}

function toSimilarRecord(scope: TenantScope, point: QdrantPoint): SimilarRecord {
  const { recordId, metadata } = requireOwnPayload(scope, point.payload);
  return { id: String(point.id), score: point.score ?? Number.NaN, recordId, tableName: scope.tableName, metadata };
}
