import { isObject, type JsonObject } from '../json.js';
import { type PathStep, valuesAt } from './payload-path.js';

/** The code of a row without a point. */
const noPoint = 0;

/** A column of more different values than this, and than a quarter of its rows, costs more than it saves. */
const leastValueLimit = 1024;

/**
 * What stands at one payload path, for all rows: a dictionary of the different findings (see `valuesAt`) and a code for each row. A condition
 * is evaluated once for each entry of the dictionary instead of once for each point, whatever the condition is; so a column never changes
 * what a filter means.
 */
export class PayloadColumn {
  readonly #path: readonly PathStep[];
  #codes: Uint32Array;
  readonly #codeOf = new Map<unknown, number>();
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
    const key = dictionaryKey(values);
    let code = this.#codeOf.get(key);
    if (code === undefined) {
      code = this.#freeCodes.pop() ?? this.#entries.length;
      this.#codeOf.set(key, code);
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
    this.#codeOf.delete(dictionaryKey(this.#entries[code] as unknown[]));
    this.#entries[code] = undefined;
    this.#freeCodes.push(code);
  }

  /** For each row 1 where it has a point and `check` holds for it, by way of the table `holds[codes[row]]`. */
  evaluate(check: (values: readonly unknown[]) => boolean): ColumnTruth {
    const holds = new Uint8Array(this.#entries.length);
    let count = 0;
    this.#entries.forEach((values, code) => {
      if (values === undefined || !check(values)) return;
      holds[code] = 1;
      count += this.#uses[code] as number;
    });
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
  /** How many rows that is. */
  readonly count: number;
}

const noValue = Symbol('no value');

/** Equal for equal findings: a single string, number, boolean or null stands for itself, anything else for its JSON. */
function dictionaryKey(values: readonly unknown[]): unknown {
  if (values.length === 0) return noValue;
  const [value] = values;
  return values.length === 1 && !isObject(value) && !Array.isArray(value) ? value : `\u0000${JSON.stringify(values)}`;
}
