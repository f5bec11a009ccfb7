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

/**
 * The `count`-th largest of the scores, or -Infinity if there are fewer.
 *
 * A binary min-heap of the best so far: its root is the score to beat.
 */
export function nthLargest(scores: Float32Array | Float64Array, count: number): number {
  if (scores.length <= count) return Number.NEGATIVE_INFINITY;
  const heap = scores.slice(0, count);
  for (let index = (count >> 1) - 1; index >= 0; index--) siftDown(heap, index);
  let least = heap[0] as number;
  for (let index = count; index < scores.length; index++) {
    const score = scores[index] as number;
    if (score <= least) continue;
    heap[0] = score;
    siftDown(heap, 0);
    least = heap[0] as number;
  }
  return least;
}

function siftDown(heap: Float32Array | Float64Array, start: number): void {
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
