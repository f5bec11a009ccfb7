import type { JsonObject } from '../json.js';
import type { ScanTurns } from '../scan-schedule.js';
import { type FieldCondition, matchesValues } from './filter.js';
import { beginPoint } from './filter-limits.js';
import { type PathStep, valuesAt } from './payload-path.js';

/** The code of a row without a point. */
const noPoint = 0;

/** A column of more different values than this, and than a quarter of its rows, costs more than it saves. */
const leastValueLimit = 1024;

/**
 * What is at one payload path, for all rows: a dictionary of the different findings (see `valuesAt`) and a code for
 * each row. A condition is evaluated once for each entry of the dictionary instead of once for each point, whatever the
 * condition is; so a column never changes what a filter means.
 */
export class PayloadColumn {
  readonly #path: readonly PathStep[];
  #codes: Uint32Array;
  readonly #codeOf = new FindingCodes();
  readonly #entries: (readonly unknown[] | undefined)[] = [undefined];
  readonly #uses = [0];
  readonly #freeCodes: number[] = [];

  constructor(path: readonly PathStep[], rowCount: number) {
    this.#path = path;
    this.#codes = new Uint32Array(rowCount);
  }

  /** Whether the column has grown past its use. */
  get hasTooManyValues(): boolean {
    return this.#codeOf.size > Math.max(leastValueLimit, this.#codes.length / 4);
  }

  set(row: number, payload: JsonObject): void {
    if (row >= this.#codes.length) this.#grow(row + 1);
    this.remove(row);
    const values = valuesAt(payload, this.#path);
    let code = this.#codeOf.get(values);
    if (code === undefined) {
      code = this.#freeCodes.pop() ?? this.#entries.length;
      this.#codeOf.set(values, code);
      this.#entries[code] = values;
      this.#uses[code] = 0;
    }
    this.#uses[code] = (this.#uses[code] as number) + 1;
    this.#codes[row] = code;
  }

  remove(row: number): void {
    const code = this.#codes[row] ?? noPoint;
    if (code === noPoint) return;
    this.#codes[row] = noPoint;
    const uses = (this.#uses[code] as number) - 1;
    this.#uses[code] = uses;
    if (uses > 0) return;
    this.#codeOf.delete(this.#entries[code] as readonly unknown[]);
    this.#entries[code] = undefined;
    this.#freeCodes.push(code);
  }

  /** How many different findings there may be. */
  get entryCount(): number {
    return this.#entries.length;
  }

  /** The rows for which a condition holds, by way of the table `holds[codes[row]]`. Right for the rows of a scan. */
  async evaluate(condition: FieldCondition, turns: ScanTurns): Promise<ColumnTruth> {
    const holds = new Uint8Array(this.#entries.length);
    let count = 0;
    for (let code = 0; code < holds.length; code++) {
      if (code % 64 === 63 && turns.isOver()) await turns.next();
      const values = this.#entries[code];
      if (values === undefined) continue;
      beginPoint();
      if (!matchesValues(condition, values)) continue;
      holds[code] = 1;
      count += this.#uses[code] as number;
    }
    return { codes: this.#codes, holds, count };
  }

  #grow(rowCount: number): void {
    const codes = new Uint32Array(Math.max(rowCount, Math.ceil(this.#codes.length * 1.25)));
    codes.set(this.#codes);
    this.#codes = codes;
  }
}

export interface ColumnTruth {
  readonly codes: Uint32Array;
  readonly holds: Uint8Array;
  /** How many rows that is; retired ones count too. */
  readonly count: number;
}

/**
 * Codes by finding: a single string, number, boolean or null by itself, anything else by its JSON. A map for each, so
 * that no string of one tenant is taken for the JSON of another's finding.
 */
class FindingCodes {
  readonly #byScalar = new Map<unknown, number>();
  readonly #byJson = new Map<string, number>();

  get size(): number {
    return this.#byScalar.size + this.#byJson.size;
  }

  get(values: readonly unknown[]): number | undefined {
    return isScalar(values) ? this.#byScalar.get(values[0]) : this.#byJson.get(JSON.stringify(values));
  }

  set(values: readonly unknown[], code: number): void {
    if (isScalar(values)) this.#byScalar.set(values[0], code);
    else this.#byJson.set(JSON.stringify(values), code);
  }

  delete(values: readonly unknown[]): void {
    if (isScalar(values)) this.#byScalar.delete(values[0]);
    else this.#byJson.delete(JSON.stringify(values));
  }
}

function isScalar(values: readonly unknown[]): boolean {
  return values.length === 1 && (typeof values[0] !== 'object' || values[0] === null);
}
