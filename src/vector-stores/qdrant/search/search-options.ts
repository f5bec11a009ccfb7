import type { SearchOptions, SparseVector } from '../../../core/ports/vector-store.js';
import { InvalidInputError } from '../../../errors.js';
import { requireOptions } from '../../../internal/call-options.js';
import { describeValue, requirePositiveInteger } from '../../../internal/validate.js';
import { type CheckedFilter, requireFilter } from '../tenancy/filter-shape.js';
import { requireKeyPath } from '../tenancy/filter-values.js';
import { requireSparseVector, requireVector } from '../wire/vectors.js';

const defaultLimit = 10;
const defaultScoreThreshold = 0.7;
/** More hits than anybody reads, and an answer that still fits into memory. */
const maxLimit = 10_000;
/**
 * How far a page may lie behind the first, and how many hits all groups may hold: a server before 1.19 reserves memory
 * for them, and aborts if it has none.
 */
const maxCandidates = 100_000;
/**
 * How deep both lists of a hybrid search go, whichever page is asked for: a rank in the fused list depends on it, and
 * pages would overlap and skip hits if it grew with them.
 */
export const hybridDepth = 1_000;

export interface VectorSearchOptions extends SearchOptions {
  /**
   * How many of the best hits to leave out, for pages: page n of 10 begins at 10 x n; with `limit` at most 100,000.
   * @default 0
   */
  readonly offset?: number | undefined;
  /** Whether hits hold their vectors. @default false */
  readonly withVectors?: boolean | undefined;
  /**
   * Whether to compare with every vector instead of walking the graph: slow and exact, for measuring recall.
   * @default false
   */
  readonly exact?: boolean | undefined;
}

/** One of several searches of a `searchBatch`. */
export interface BatchSearch extends Omit<VectorSearchOptions, 'signal' | 'embeddingSpace'> {
  readonly vector: ArrayLike<number>;
}

export interface GroupSearchOptions extends Omit<VectorSearchOptions, 'offset'> {
  /** The metadata field whose values make the groups: a keyword or an integer. */
  readonly groupBy: string;
  /** The most hits of a group; times `limit` at most 100,000. @default 3 */
  readonly groupSize?: number | undefined;
}

/**
 * `limit` and `offset` are at most 1,000 together: so many candidates of each list are fused, for every page the same.
 */
export interface HybridSearchOptions extends Omit<VectorSearchOptions, 'scoreThreshold' | 'exact'> {
  /** `rrf` adds up the hits' ranks, `dbsf` their scaled scores. @default 'rrf' */
  readonly fusion?: 'rrf' | 'dbsf' | undefined;
}

/** A search whose options were checked. */
export interface CheckedSearch {
  readonly vector: ArrayLike<number>;
  readonly limit: number;
  readonly offset: number;
  readonly scoreThreshold: number;
  readonly withVectors: boolean;
  readonly exact: boolean;
  readonly filter: CheckedFilter | undefined;
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkSearch(vector: unknown, options: Omit<VectorSearchOptions, 'signal'>): CheckedSearch {
  requireOptions(options);
  const limit = requireLimit(options.limit ?? defaultLimit, 'limit');
  return {
    vector: requireVector(vector, 'the query vector'),
    limit,
    offset: requireOffset(options.offset ?? 0, limit),
    scoreThreshold: requireSimilarity(options.scoreThreshold ?? defaultScoreThreshold),
    withVectors: requireBoolean(options.withVectors ?? false, 'withVectors'),
    exact: requireBoolean(options.exact ?? false, 'exact'),
    filter: checkFilter(options.filter),
  };
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkSearches(searches: readonly BatchSearch[]): CheckedSearch[] {
  return searches.map((search, position) => {
    requireOptions(search, `searches[${position}]`);
    return checkSearch(search.vector, search);
  });
}

export function checkGroups(options: GroupSearchOptions): { readonly groupBy: string; readonly groupSize: number } {
  const groupBy = requireKeyPath(options.groupBy, 'groupBy');
  const groupSize = requireLimit(options.groupSize ?? 3, 'groupSize');
  const hitCount = (options.limit ?? defaultLimit) * groupSize;
  if (hitCount <= maxCandidates) return { groupBy, groupSize };
  throw new InvalidInputError(
    `Expected \`limit\` times \`groupSize\` to be at most ${maxCandidates}, got ${hitCount}.`,
  );
}

export interface CheckedHybridSearch extends CheckedSearch {
  readonly sparseVector: SparseVector;
  readonly fusion: 'rrf' | 'dbsf';
}

export function checkHybridSearch(
  vector: unknown,
  sparseVector: unknown,
  options: HybridSearchOptions,
): CheckedHybridSearch {
  requireOptions(options);
  const { fusion = 'rrf', ...rest } = options;
  if (fusion !== 'rrf' && fusion !== 'dbsf') {
    throw new InvalidInputError(`Expected \`fusion\` to be 'rrf' or 'dbsf', got ${describeValue(fusion)}.`);
  }
  const sparse = requireSparseVector(sparseVector, 'the sparse query vector');
  if (sparse === undefined) throw new InvalidInputError('Expected a sparse query vector, got undefined.');
  // A fused score is not a cosine similarity: nothing is cut off.
  const search = checkSearch(vector, { ...rest, scoreThreshold: -1 });
  if (search.limit + search.offset <= hybridDepth) return { ...search, sparseVector: sparse, fusion };
  throw new InvalidInputError(
    `Expected \`limit\` and \`offset\` of a hybrid search to be at most ${hybridDepth} together, got ${search.limit + search.offset}.`,
  );
}

/** @throws {@link InvalidInputError} unless `filter` is undefined or has Qdrant's form. */
export function checkFilter(filter: unknown): CheckedFilter | undefined {
  return filter === undefined ? undefined : requireFilter(filter);
}

export function requireLimit(value: unknown, name: string): number {
  const limit = requirePositiveInteger(value, name);
  if (limit <= maxLimit) return limit;
  throw new InvalidInputError(`Expected \`${name}\` to be at most ${maxLimit}, got ${limit}.`);
}

function requireOffset(value: unknown, limit: number): number {
  const most = maxCandidates - limit;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new InvalidInputError(`Expected \`offset\` to be an integer from 0 to ${most}, got ${describeValue(value)}.`);
}

function requireSimilarity(value: unknown): number {
  if (typeof value === 'number' && value >= -1 && value <= 1) return value;
  throw new InvalidInputError(`Expected \`scoreThreshold\` to be a number from -1 to 1, got ${describeValue(value)}.`);
}

function requireBoolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a boolean, got ${describeValue(value)}.`);
}
