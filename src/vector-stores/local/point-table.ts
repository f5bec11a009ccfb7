import type { JsonObject } from './json.js';
import type { PointId } from './point-id.js';
import type { ScanTurns } from './scan-schedule.js';

/** Which rows had a point at one moment, by row: 1 or 0. It does not change afterwards. */
export type LiveRows = Uint8Array;

/** One reading of a table, which sees the points of the moment at which it began. */
export interface TableScan {
  readonly points: PointTable;
  readonly live: LiveRows;
  readonly turns: ScanTurns;
}

/**
 * Which point lives in which row, and its payload.
 *
 * A row is never overwritten: a point that is stored again gets another one. The old row is *retired*: it stays
 * readable for those who began before, until it is freed, and is then used again.
 */
export class PointTable {
  readonly #rows = new Map<PointId, number>();
  readonly #ids: (PointId | undefined)[] = [];
  readonly #payloads: (JsonObject | undefined)[] = [];
  readonly #freeRows: number[] = [];
  readonly #retiredRows = new Map<PointId, number[]>();
  #live: Uint8Array = new Uint8Array(0);
  #isLiveShared = false;

  get size(): number {
    return this.#rows.size;
  }

  /** One more than the highest row that was ever used. */
  get rowCount(): number {
    return this.#ids.length;
  }

  /** The rows that have a point now. */
  liveRows(): LiveRows {
    this.#isLiveShared = true;
    return this.#live;
  }

  /** The row of a point: now, or at the moment of `live`. */
  rowOf(id: PointId, live?: LiveRows): number | undefined {
    const row = this.#rows.get(id);
    if (!live || (row !== undefined && live[row] === 1)) return row;
    return this.#retiredRows.get(id)?.find((retired) => live[retired] === 1);
  }

  /** Also of a retired row. */
  idOf(row: number): PointId | undefined {
    return this.#ids[row];
  }

  payloadOf(row: number): JsonObject {
    return this.#payloads[row] ?? {};
  }

  isLive(row: number): boolean {
    return this.#live[row] === 1;
  }

  /** Stores a point that the table does not have and returns its row. */
  add(id: PointId, payload: JsonObject): number {
    const row = this.#freeRows.pop() ?? this.#ids.length;
    this.#rows.set(id, row);
    this.#ids[row] = id;
    this.#payloads[row] = payload;
    this.#setLive(row, 1);
    return row;
  }

  /** Removes a point; its row stays readable until it is freed. */
  retire(id: PointId): number | undefined {
    const row = this.#rows.get(id);
    if (row === undefined) return undefined;
    this.#rows.delete(id);
    this.#setLive(row, 0);
    const retired = this.#retiredRows.get(id);
    if (retired) retired.push(row);
    else this.#retiredRows.set(id, [row]);
    return row;
  }

  /** Lets a retired row be used again. */
  free(row: number): void {
    const id = this.#ids[row] as PointId;
    const others = this.#retiredRows.get(id)?.filter((retired) => retired !== row) ?? [];
    if (others.length > 0) this.#retiredRows.set(id, others);
    else this.#retiredRows.delete(id);
    this.#ids[row] = undefined;
    this.#payloads[row] = undefined;
    this.#freeRows.push(row);
  }

  ids(): Iterable<PointId> {
    return this.#rows.keys();
  }

  #setLive(row: number, value: 0 | 1): void {
    if (row >= this.#live.length || this.#isLiveShared) {
      const length = row < this.#live.length ? this.#live.length : Math.max(64, Math.ceil((row + 1) * 1.25));
      const copy = new Uint8Array(length);
      copy.set(this.#live);
      this.#live = copy;
      this.#isLiveShared = false;
    }
    this.#live[row] = value;
  }
}
