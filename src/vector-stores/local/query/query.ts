import type { Collection, Scan } from '../collection.js';
import { unnamedVector } from '../collection-config.js';
import type { Filter } from '../filter/filter.js';
import { selectRows } from '../filter/row-selection.js';
import { isObject } from '../json.js';
import { requireDense } from '../point-batch.js';
import { type PointId, parsePointId } from '../point-id.js';
import { badInput, formatError } from '../qdrant-api-error.js';
import { parseSparseVector, type SparseVector } from '../vectors/sparse-vectors.js';
import { rowsPerBlock, type VectorMatrix } from '../vectors/vector-matrix.js';
import { firstRows } from './first-rows.js';
import { defaultRankConstant, fuseByDistribution, fuseByRank } from './rank-fusion.js';
import { parseOptionalFilter, readCount } from './request.js';
import { compareScoredRows, LargestScores, nthLargest, type ScoredRow } from './top-rows.js';

/** What a query ranks by. */
type Ranking =
  | { readonly kind: 'dense'; readonly vector: ArrayLike<number> }
  | { readonly kind: 'sparse'; readonly vector: SparseVector }
  | { readonly kind: 'point'; readonly id: PointId }
  | { readonly kind: 'fusion'; readonly method: 'rrf' | 'dbsf'; readonly rankConstant: number }
  | { readonly kind: 'ids' };

/** A query as parsed. `hnsw_ef`, `exact` and the like are ignored: every search is exact. */
export interface Query {
  readonly ranking: Ranking;
  readonly vectorName: string;
  readonly filter: Filter | undefined;
  /** Among whose points terms are rare or frequent (`params.idf.corpus`). Undefined: among all. */
  readonly idfCorpus: Filter | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly scoreThreshold: number;
  readonly prefetch: readonly Query[];
}

const defaultLimit = 10;
/** Of fewer rows all are scored in float32. */
const leastFirstPass = 512;
const maxPrefetchDepth = 8;

/** @throws a 400 or 422 if the request is malformed or asks for what the local engine does not have. */
export function parseQuery(request: unknown, collection: Collection, depth = 0): Query {
  if (!isObject(request)) throw formatError('a query must be an object');
  if (depth > maxPrefetchDepth) throw badInput(`prefetches may be nested ${maxPrefetchDepth} levels deep`);
  if (isObject(request.lookup_from)) throw badInput('the local engine has no `lookup_from`');
  const { prefetch } = request;
  const using = request.using ?? unnamedVector;
  const scoreThreshold = request.score_threshold ?? Number.NEGATIVE_INFINITY;
  if (typeof using !== 'string') throw formatError('`using` must be the name of a vector');
  if (typeof scoreThreshold !== 'number') throw formatError('`score_threshold` must be a number');
  const prefetches = prefetch === undefined || prefetch === null ? [] : Array.isArray(prefetch) ? prefetch : [prefetch];
  return {
    ranking: parseRanking(request.query),
    vectorName: using,
    filter: parseOptionalFilter(request.filter, collection),
    idfCorpus: parseIdfCorpus(request.params, collection),
    limit: readCount(request, 'limit', defaultLimit, 1),
    offset: readCount(request, 'offset', 0, 0),
    scoreThreshold: Math.fround(scoreThreshold),
    prefetch: prefetches.map((one) => parseQuery(one, collection, depth + 1)),
  };
}

function parseIdfCorpus(params: unknown, collection: Collection): Filter | undefined {
  const idf = isObject(params) ? params.idf : undefined;
  return isObject(idf) ? parseOptionalFilter(idf.corpus, collection) : undefined;
}

function parseRanking(query: unknown): Ranking {
  if (query === undefined || query === null) return { kind: 'ids' };
  if (typeof query === 'string' || typeof query === 'number') return { kind: 'point', id: parsePointId(query) };
  if (!isObject(query) || ArrayBuffer.isView(query)) return { kind: 'dense', vector: requireDense(query) };
  if (query.nearest !== undefined && !query.mmr) return parseRanking(query.nearest);
  if (query.indices !== undefined) return { kind: 'sparse', vector: parseSparseVector(query) };
  const { fusion, rrf } = query;
  if (fusion === 'rrf' || fusion === 'dbsf')
    return { kind: 'fusion', method: fusion, rankConstant: defaultRankConstant };
  if (isObject(rrf) && !rrf.weights) {
    return { kind: 'fusion', method: 'rrf', rankConstant: readCount(rrf, 'k', defaultRankConstant, 1) };
  }
  throw badInput('the local engine answers queries by vector, by point id, and by fusion of prefetches');
}

/** Runs a query; the best hit comes first. */
export async function runQuery(scan: Scan, query: Query, outer?: Filter): Promise<ScoredRow[]> {
  const filter = bothFilters(outer, query.filter);
  const lists: ScoredRow[][] = [];
  for (const prefetch of query.prefetch) lists.push(await runQuery(scan, prefetch, filter));
  const count = query.limit + query.offset;
  const hits = await rank(scan, query, lists, filter, count);
  return hits.filter((hit) => isAbove(hit.score, query)).slice(query.offset, count);
}

/** @param lists - the hits of the prefetches, to which the query is limited if it has any. */
async function rank(
  scan: Scan,
  query: Query,
  lists: readonly ScoredRow[][],
  filter: Filter | undefined,
  count: number,
): Promise<ScoredRow[]> {
  const { collection } = scan;
  const { ranking } = query;
  const hasPrefetch = query.prefetch.length > 0;
  if (ranking.kind === 'fusion') {
    if (!hasPrefetch) throw badInput('a fusion needs prefetches');
    return ranking.method === 'rrf' ? fuseByRank(lists, ranking.rankConstant) : fuseByDistribution(lists);
  }
  if (ranking.kind === 'ids') {
    const unscored = (row: number): ScoredRow => ({ row, id: collection.points.idOf(row) as PointId, score: 0 });
    if (!hasPrefetch) return (await firstRows(scan, filter, count)).map(unscored);
    return uniqueRows(lists).map(unscored).sort(compareScoredRows);
  }
  const rows = hasPrefetch ? Uint32Array.from(uniqueRows(lists)) : await selectRows(scan, filter);
  switch (ranking.kind) {
    case 'sparse':
      return rankSparse(scan, query, ranking.vector, rows, count);
    case 'dense':
      return rankDense(scan, query, ranking.vector, rows, count);
    case 'point':
      return rankByPoint(scan, query, ranking.id, rows, count);
  }
}

function uniqueRows(lists: readonly ScoredRow[][]): number[] {
  return [...new Set(lists.flat().map((hit) => hit.row))];
}

/**
 * As on a server: a similarity must be above the threshold, a fused score may be at it, and what is in the order of ids
 * has no score.
 */
function isAbove(score: number, { ranking, scoreThreshold }: Query): boolean {
  if (ranking.kind === 'ids') return true;
  return ranking.kind === 'fusion' ? score >= scoreThreshold : score > scoreThreshold;
}

function bothFilters(outer: Filter | undefined, inner: Filter | undefined): Filter | undefined {
  if (!outer || !inner) return outer ?? inner;
  const must = [outer, inner].map((filter) => ({ kind: 'filter' as const, filter }));
  return { must, should: [], mustNot: [], minShould: undefined };
}

function requireMatrix(collection: Collection, name: string): VectorMatrix {
  const matrix = collection.dense.get(name);
  if (!matrix) throw badInput('Not existing vector name error');
  return matrix;
}

async function rankByPoint(
  scan: Scan,
  query: Query,
  id: PointId,
  rows: Uint32Array,
  count: number,
): Promise<ScoredRow[]> {
  const { collection, live } = scan;
  const row = collection.points.rowOf(id, live);
  if (row === undefined) throw badInput(`No point with id ${id} found`);
  const others = rows.filter((other) => other !== row);
  const sparse = collection.sparse.get(query.vectorName)?.get(row);
  if (sparse) return rankSparse(scan, query, sparse, others, count);
  const matrix = requireMatrix(collection, query.vectorName);
  if (!matrix.has(row)) throw badInput('Not existing vector name error');
  return rankDense(scan, query, matrix.get(row), others, count);
}

async function rankSparse(
  scan: Scan,
  query: Query,
  vector: SparseVector,
  rows: Uint32Array,
  count: number,
): Promise<ScoredRow[]> {
  const { collection, turns } = scan;
  const vectors = collection.sparse.get(query.vectorName);
  if (!vectors) throw badInput('Not existing vector name error');
  let counts = vectors.allCounts();
  if (vectors.isIdf && query.idfCorpus) {
    const corpus = vectors.countsFor(vector);
    for (const row of await selectRows(scan, query.idfCorpus)) {
      if (turns.isOver()) await turns.next();
      corpus.add(row);
    }
    counts = corpus;
  }
  const scoreOf = vectors.scorer(vector, counts);
  const scores = new Float64Array(rows.length);
  for (let index = 0; index < rows.length; index++) {
    if (turns.isOver()) await turns.next();
    scores[index] = scoreOf(rows[index] as number) ?? Number.NEGATIVE_INFINITY;
  }
  const cut = nthLargest(scores, count);
  const hits: ScoredRow[] = [];
  rows.forEach((row, index) => {
    const score = scores[index] as number;
    if (score === Number.NEGATIVE_INFINITY || score < cut) return;
    hits.push({ row, id: collection.points.idOf(row) as PointId, score });
  });
  return hits.sort(compareScoredRows);
}

/**
 * The best `count` of `rows`: those that can be among them by their 8-bit copies, scored in float32, and then
 * everything that float32 cannot tell from the last of them again in float64, so that neither the order nor the score
 * depends on how the sum was taken.
 */
async function rankDense(
  scan: Scan,
  query: Query,
  vector: ArrayLike<number>,
  candidates: Uint32Array,
  count: number,
): Promise<ScoredRow[]> {
  const { collection, turns } = scan;
  const matrix = requireMatrix(collection, query.vectorName);
  const prepared = matrix.prepare(vector);
  let rows = matrix.size === collection.rowsInUse ? candidates : matrix.keepPresent(candidates);
  if (matrix.copies && rows.length > Math.max(leastFirstPass, 4 * count)) {
    const pause = () => (turns.isOver() ? turns.next() : undefined);
    rows = await matrix.copies.candidates(prepared, rows, new LargestScores(count), query.scoreThreshold, pause);
  }
  const scores = new Float32Array(rows.length);
  for (let from = 0; from < rows.length; from += rowsPerBlock) {
    matrix.scoreRows(prepared, rows.subarray(from, from + rowsPerBlock), scores.subarray(from));
    if (turns.isOver()) await turns.next();
  }
  const cut = Math.max(nthLargest(scores, count), query.scoreThreshold) - 2 * matrix.scoreError(prepared);
  const hits: ScoredRow[] = [];
  for (let index = 0; index < rows.length; index++) {
    if ((scores[index] as number) < cut) continue;
    const row = rows[index] as number;
    hits.push({ row, id: collection.points.idOf(row) as PointId, score: matrix.score(prepared, row) });
    if (hits.length % 256 === 0 && turns.isOver()) await turns.next();
  }
  return hits.sort(compareScoredRows);
}
