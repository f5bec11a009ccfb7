/** How many buckets a doubling of the time has: a bucket's middle is at most 4.5 % away from what is in it. */
const bucketsPerDoubling = 8;

/** Natural logarithm of the border between two buckets, for a database that has `ln`. */
export const lnOfBucketWidth = Math.LN2 / bucketsPerDoubling;

/** The bucket of a duration in milliseconds, from 1 ms up. */
export function latencyBucket(durationMs: number): number {
  return Math.floor(Math.log(Math.max(1, durationMs)) / lnOfBucketWidth);
}

/**
 * The duration that a share of the requests does not exceed, in milliseconds.
 *
 * @param counts - How many requests each bucket has.
 * @param share - Such as 0.95.
 * @returns The middle of the bucket that holds it, or null without requests.
 */
export function percentileOf(counts: ReadonlyMap<number, number>, share: number): number | null {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of [...counts].toSorted(([a], [b]) => a - b)) {
    seen += count;
    if (seen >= total * share) return Math.round(Math.exp((bucket + 0.5) * lnOfBucketWidth) * 100) / 100;
  }
  return null;
}
