import type { JsonObject } from '../json.js';
import type { TableScan } from '../point-table.js';
import type { FieldCondition, Filter } from './filter.js';
import { PayloadColumn } from './payload-column.js';
import type { PathStep } from './payload-path.js';

/** With fewer points the payloads themselves are looked at. */
const leastPoints = 1000;

/** Each column takes four bytes a point, and whoever may filter may name keys. */
const maxColumns = 16;

/** Undefined for a key that has too many different values. */
interface KnownKey {
  column: PayloadColumn | undefined;
  /** Until then a scan fills it, and others do without. */
  isComplete: boolean;
}

/**
 * The columns of a collection: of the payload keys that filters asked for last, built on first use and kept up to date
 * from then on.
 */
export class PayloadColumns {
  /** The least recently used comes first. */
  readonly #keys = new Map<string, KnownKey>();

  get(key: string): PayloadColumn | undefined {
    const known = this.#keys.get(key);
    return known?.isComplete ? known.column : undefined;
  }

  set(row: number, payload: JsonObject): void {
    for (const known of this.#keys.values()) {
      known.column?.set(row, payload);
      if (known.column?.hasTooManyValues) known.column = undefined;
    }
  }

  remove(row: number): void {
    for (const { column } of this.#keys.values()) column?.remove(row);
  }

  /** Builds the columns that a filter can use and that do not exist yet. */
  async prepare(filter: Filter, scan: TableScan): Promise<void> {
    if (scan.points.size < leastPoints) return;
    for (const { key, path } of fieldConditionsOf(filter)) {
      const known = this.#keys.get(key);
      if (known) {
        this.#keys.delete(key);
        this.#keys.set(key, known);
        continue;
      }
      await this.#build(key, path, scan);
      const [oldest] = this.#keys.keys();
      if (this.#keys.size > maxColumns && oldest !== undefined) this.#keys.delete(oldest);
    }
  }

  /** What changes meanwhile goes into the column at once; the rest is read from the rows of the scan, which stay. */
  async #build(key: string, path: readonly PathStep[], scan: TableScan): Promise<void> {
    const { points, live, turns } = scan;
    const known: KnownKey = { column: new PayloadColumn(path, live.length), isComplete: false };
    this.#keys.set(key, known);
    try {
      for (let row = 0; row < live.length && known.column; row++) {
        if (row % 256 === 255 && turns.isOver()) await turns.next();
        if (live[row] !== 1) continue;
        known.column?.set(row, points.payloadOf(row));
        if (known.column?.hasTooManyValues) known.column = undefined;
      }
      known.isComplete = true;
    } finally {
      if (!known.isComplete && this.#keys.get(key) === known) this.#keys.delete(key);
    }
  }
}

/** Those of nested filters look into parts of a payload and are evaluated there. */
function* fieldConditionsOf(filter: Filter): Generator<FieldCondition> {
  const groups = [filter.must, filter.should, filter.mustNot, filter.minShould?.conditions ?? []];
  for (const condition of groups.flat()) {
    if (condition.kind === 'field') yield condition;
    if (condition.kind === 'filter') yield* fieldConditionsOf(condition.filter);
  }
}
