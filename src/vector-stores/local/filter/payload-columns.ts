import type { TimeSlice } from '../../../internal/time-slice.js';
import type { JsonObject } from '../json.js';
import type { PointTable } from '../point-table.js';
import type { Condition, Filter } from './filter.js';
import { PayloadColumn } from './payload-column.js';
import type { PathStep } from './payload-path.js';

/** With fewer points the payloads themselves are looked at. */
const leastPoints = 1000;

/** Each column takes four bytes a point, and whoever may filter may name keys. */
const maxColumns = 16;

/** The columns of a collection: of the payload keys that filters asked for last, built on first use and kept up to date from then on. */
export class PayloadColumns {
  /** The least recently used comes first. Undefined for a key that has too many different values. */
  readonly #columns = new Map<string, PayloadColumn | undefined>();

  get(key: string): PayloadColumn | undefined {
    return this.#columns.get(key);
  }

  set(row: number, payload: JsonObject): void {
    for (const [key, column] of this.#columns) {
      column?.set(row, payload);
      if (column?.hasTooManyValues) this.#columns.set(key, undefined);
    }
  }

  remove(row: number): void {
    for (const column of this.#columns.values()) column?.remove(row);
  }

  /** Builds the columns that a filter can use and that are not there yet. Runs inside a scan, so the points stand still. */
  async prepare(filter: Filter, points: PointTable, slice: TimeSlice): Promise<void> {
    if (points.size < leastPoints) return;
    for (const { key, path } of fieldConditionsOf(filter)) {
      const column = this.#columns.has(key) ? this.#columns.get(key) : await buildColumn(path, points, slice);
      this.#columns.delete(key);
      this.#columns.set(key, column);
      const [oldest] = this.#columns.keys();
      if (this.#columns.size > maxColumns && oldest !== undefined) this.#columns.delete(oldest);
    }
  }
}

async function buildColumn(
  path: readonly PathStep[],
  points: PointTable,
  slice: TimeSlice,
): Promise<PayloadColumn | undefined> {
  const column = new PayloadColumn(path, points.rowCount);
  for (let row = 0; row < points.rowCount; row++) {
    if (row % 256 === 255 && slice.isOver()) await slice.next();
    if (points.idOf(row) === undefined) continue;
    column.set(row, points.payloadOf(row));
    if (column.hasTooManyValues) return undefined;
  }
  return column;
}

/** Those of nested filters look into parts of a payload and are evaluated there. */
function* fieldConditionsOf(filter: Filter): Generator<Condition & { kind: 'field' }> {
  const groups = [filter.must, filter.should, filter.mustNot, filter.minShould?.conditions ?? []];
  for (const condition of groups.flat()) {
    if (condition.kind === 'field') yield condition;
    if (condition.kind === 'filter') yield* fieldConditionsOf(condition.filter);
  }
}
