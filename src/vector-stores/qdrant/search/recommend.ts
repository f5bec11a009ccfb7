import { requireRecordId } from '../../../core/index/check-record.js';
import { InvalidInputError } from '../../../errors.js';
import type { Collection } from '../collections/collection.js';
import { readByRecordIds } from '../records/read-records.js';
import { recordCondition } from '../records/record-points.js';
import type { QdrantConnection } from '../wire/connection.js';
import { denseVectorOf, hasDirection } from '../wire/vectors.js';
import { searchSimilar, type VectorHit } from './search.js';
import type { CheckedSearch, VectorSearchOptions } from './search-options.js';

/** An example is a request's worth of ids at most. */
const maxExamples = 100;

export interface RecommendOptions extends Omit<VectorSearchOptions, 'embeddingSpace'> {
  /** Record ids of what the hits should be unlike. */
  readonly unlike?: readonly (string | number)[] | undefined;
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkExamples(value: unknown, name: string): readonly (string | number)[] {
  if (!Array.isArray(value) || value.length > maxExamples) {
    throw new InvalidInputError(`Expected \`${name}\` to be an array of at most ${maxExamples} record ids.`);
  }
  return Array.from(value, (id: unknown, position) => requireRecordId(id, position));
}

/**
 * Searches near the tenant's own records. The examples are read through the tenant's filter and averaged here (twice
 * the mean of those to be like, less the mean of those to be unlike), since Qdrant itself would look up any id that it
 * is given, whoever it belongs to.
 */
export async function recommend(
  connection: QdrantConnection,
  collection: Collection,
  examples: { readonly like: readonly (string | number)[]; readonly unlike: readonly (string | number)[] },
  search: Omit<CheckedSearch, 'vector'>,
  signal: AbortSignal | undefined,
): Promise<VectorHit[]> {
  const like = await meanVector(connection, collection, examples.like, signal);
  const unlike = await meanVector(connection, collection, examples.unlike, signal);
  if (like === undefined) {
    throw new InvalidInputError('Expected `like` to name at least one stored record of the tenant.');
  }
  const vector = unlike === undefined ? like : like.map((value, i) => 2 * value - unlike[i]!);
  if (!hasDirection(vector)) {
    throw new InvalidInputError(
      'The examples cancel each other out: what is left of them points nowhere, and everything is equally near to it. Leave some out.',
    );
  }
  const must_not = [recordCondition(collection, [...examples.like, ...examples.unlike])];
  const filter = { ...(search.filter === undefined ? {} : { must: [search.filter] }), must_not };
  return searchSimilar(connection, collection, { ...search, vector, filter }, signal);
}

async function meanVector(
  connection: QdrantConnection,
  collection: Collection,
  recordIds: readonly (string | number)[],
  signal: AbortSignal | undefined,
): Promise<Float32Array | undefined> {
  if (recordIds.length === 0) return undefined;
  const points = await readByRecordIds(connection, collection, recordIds, true, signal);
  const sum = new Float32Array(collection.vectorSize);
  let count = 0;
  for (const point of points) {
    const { vector } = denseVectorOf(point);
    if (vector === undefined) continue;
    count++;
    for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]!;
  }
  return count === 0 ? undefined : sum.map((value) => value / count);
}
