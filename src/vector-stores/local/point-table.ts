import type { JsonObject } from './json.js';
import type { PointId } from './point-id.js';

/** Which point lives in which row, and its payload. Rows of deleted points are used again. */
export class PointTable {
  readonly #rows = new Map<PointId, number>();
  readonly #ids: (PointId | undefined)[] = [];
  readonly #payloads: (JsonObject | undefined)[] = [];
  readonly #freeRows: number[] = [];

  get size(): number {
    return this.#rows.size;
  }

  /** One more than the highest row that was ever used. */
  get rowCount(): number {
    return this.#ids.length;
  }

  rowOf(id: PointId): number | undefined {
    return this.#rows.get(id);
  }

  idOf(row: number): PointId | undefined {
    return this.#ids[row];
  }

  payloadOf(row: number): JsonObject {
    return this.#payloads[row] ?? {};
  }

  /** Stores a payload under an id and returns the point's row. */
  set(id: PointId, payload: JsonObject): number {
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = this.#freeRows.pop() ?? this.#ids.length;
      this.#rows.set(id, row);
      this.#ids[row] = id;
    }
    this.#payloads[row] = payload;
    return row;
  }

  delete(id: PointId): number | undefined {
    const row = this.#rows.get(id);
    if (row === undefined) return undefined;
    this.#rows.delete(id);
    this.#ids[row] = undefined;
    this.#payloads[row] = undefined;
    this.#freeRows.push(row);
    return row;
  }

  ids(): Iterable<PointId> {
    return this.#rows.keys();
  }
}
