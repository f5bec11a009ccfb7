import { comparePointIds, type PointId } from '../point-id.js';

export interface ScoredRow {
  readonly row: number;
  readonly id: PointId;
  readonly score: number;
}

/** The best score first; equal scores by id, so that the order is the same in every run. */
export function compareScoredRows(left: ScoredRow, right: ScoredRow): number {
  return right.score - left.score || comparePointIds(left.id, right.id);
}

/** The `count`-th largest of the scores, or -Infinity if there are fewer. */
export function nthLargest(scores: Float32Array | Float64Array, count: number): number {
  if (scores.length <= count) return Number.NEGATIVE_INFINITY;
  const largest = new LargestScores(count);
  for (const score of scores) if (score > largest.least) largest.add(score);
  return largest.least;
}

/** The largest of the scores that were added: a binary min-heap, whose root is the score to beat. */
export class LargestScores {
  readonly #heap: Float64Array;
  /** The least of the largest, or -Infinity while there are fewer. */
  least = Number.NEGATIVE_INFINITY;

  constructor(count: number) {
    this.#heap = new Float64Array(count).fill(Number.NEGATIVE_INFINITY);
  }

  /** @param score - above {@link least}. */
  add(score: number): void {
    this.#heap[0] = score;
    siftDown(this.#heap, 0);
    this.least = this.#heap[0] as number;
  }
}

function siftDown(heap: Float64Array, start: number): void {
  const value = heap[start] as number;
  let index = start;
  for (;;) {
    let child = 2 * index + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++;
    if ((heap[child] as number) >= value) break;
    heap[index] = heap[child] as number;
    index = child;
  }
  heap[index] = value;
}
