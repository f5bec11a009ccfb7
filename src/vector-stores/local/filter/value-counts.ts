import type { TimeSlice } from '../../../internal/time-slice.js';
import type { JsonObject } from '../json.js';
import type { PointTable } from '../point-table.js';
import { type PathStep, parsePath, valuesAt } from './payload-path.js';

interface ValueCount {
  readonly path: readonly PathStep[];
  points: number;
}

/** How many points have a value at the payload keys that were asked for: counted on first use and kept up to date from then on. */
export class ValueCounts {
  readonly #counts = new Map<string, ValueCount>();

  add(payload: JsonObject): void {
    this.#change(payload, 1);
  }

  remove(payload: JsonObject): void {
    this.#change(payload, -1);
  }

  /** Runs inside a scan, so the points stand still. */
  async at(key: string, points: PointTable, slice: TimeSlice): Promise<number> {
    const known = this.#counts.get(key);
    if (known) return known.points;
    const count: ValueCount = { path: parsePath(key), points: 0 };
    for (let row = 0; row < points.rowCount; row++) {
      if (row % 256 === 255 && slice.isOver()) await slice.next();
      if (points.idOf(row) !== undefined && hasValue(points.payloadOf(row), count.path)) count.points++;
    }
    this.#counts.set(key, count);
    return count.points;
  }

  #change(payload: JsonObject, by: number): void {
    for (const count of this.#counts.values()) if (hasValue(payload, count.path)) count.points += by;
  }
}

const hasValue = (payload: JsonObject, path: readonly PathStep[]): boolean => valuesAt(payload, path).length > 0;
