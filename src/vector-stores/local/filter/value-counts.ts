import type { JsonObject } from '../json.js';
import type { TableScan } from '../point-table.js';
import { type PathStep, parsePath, valuesAt } from './payload-path.js';

interface ValueCount {
  readonly path: readonly PathStep[];
  points: number;
  /** Until then `points` is only what changed since the scan that counts the rest began. */
  isComplete: boolean;
}

/**
 * How many points have a value at the payload keys that were asked for: counted on first use and kept up to date from
 * then on.
 */
export class ValueCounts {
  readonly #counts = new Map<string, ValueCount>();

  add(payload: JsonObject): void {
    this.#change(payload, 1);
  }

  remove(payload: JsonObject): void {
    this.#change(payload, -1);
  }

  async at(key: string, { points, live, turns }: TableScan): Promise<number> {
    const known = this.#counts.get(key);
    if (known?.isComplete) return known.points;
    const count: ValueCount = { path: parsePath(key), points: 0, isComplete: false };
    this.#counts.set(key, count);
    let found = 0;
    for (let row = 0; row < live.length; row++) {
      if (row % 256 === 255 && turns.isOver()) await turns.next();
      if (live[row] === 1 && hasValue(points.payloadOf(row), count.path)) found++;
    }
    count.points += found;
    count.isComplete = true;
    return count.points;
  }

  #change(payload: JsonObject, by: number): void {
    for (const count of this.#counts.values()) if (hasValue(payload, count.path)) count.points += by;
  }
}

const hasValue = (payload: JsonObject, path: readonly PathStep[]): boolean => valuesAt(payload, path).length > 0;
