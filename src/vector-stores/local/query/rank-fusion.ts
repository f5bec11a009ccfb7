import { compareScoredRows, type ScoredRow } from './top-rows.js';

/** Qdrant's default. */
export const defaultRankConstant = 2;

/** Reciprocal rank fusion (Cormack et al. 2009), positions from 0: the sum of 1 / (k + position). */
export function fuseByRank(lists: readonly (readonly ScoredRow[])[], rankConstant: number): ScoredRow[] {
  return sumScores(
    lists.map((hits) => hits.map((hit, position) => ({ ...hit, score: 1 / (rankConstant + position) }))),
  );
}

/**
 * Distribution-based score fusion: scores of a list scaled so that its mean minus and plus three deviations are 0 and
 * 1, then summed.
 */
export function fuseByDistribution(lists: readonly (readonly ScoredRow[])[]): ScoredRow[] {
  return sumScores(lists.map(scaleByDistribution));
}

function scaleByDistribution(hits: readonly ScoredRow[]): ScoredRow[] {
  const mean = hits.reduce((sum, hit) => sum + hit.score, 0) / hits.length;
  const variance = hits.reduce((sum, hit) => sum + (hit.score - mean) ** 2, 0) / (hits.length - 1);
  const reach = 3 * Math.sqrt(variance);
  return hits.map((hit) => ({ ...hit, score: reach > 0 ? (hit.score - mean + reach) / (2 * reach) : 0.5 }));
}

function sumScores(lists: readonly (readonly ScoredRow[])[]): ScoredRow[] {
  const sums = new Map<number, ScoredRow>();
  for (const hit of lists.flat()) {
    sums.set(hit.row, { ...hit, score: hit.score + (sums.get(hit.row)?.score ?? 0) });
  }
  return [...sums.values()].sort(compareScoredRows);
}
