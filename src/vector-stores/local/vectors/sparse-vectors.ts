import { isObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';

export interface SparseVector {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

/** @throws a 400 or 422 where the value is no sparse vector. */
export function parseSparseVector(value: unknown): SparseVector {
  const { indices, values } = isObject(value) ? value : {};
  if (!Array.isArray(indices) || !Array.isArray(values))
    throw formatError('a sparse vector must have `indices` and `values`');
  const isIndex = (item: unknown): boolean =>
    Number.isInteger(item) && (item as number) >= 0 && (item as number) < 2 ** 32;
  if (!indices.every(isIndex) || !values.every(Number.isFinite)) {
    throw formatError('the indices of a sparse vector must be unsigned 32-bit integers, its values finite numbers');
  }
  if (indices.length !== values.length) throw validationError('must be the same length as indices');
  if (new Set(indices).size !== indices.length) throw validationError('must be unique');
  return { indices: [...indices], values: values.map(Math.fround) };
}

/** The sparse vectors of one name. Their similarity is the dot product, optionally weighted by inverse document frequency. */
export class SparseVectors {
  readonly #isIdf: boolean;
  readonly #vectors = new Map<number, SparseVector>();
  readonly #documentCounts = new Map<number, number>();

  constructor(isIdf: boolean) {
    this.#isIdf = isIdf;
  }

  has(row: number): boolean {
    return this.#vectors.has(row);
  }

  get(row: number): SparseVector | undefined {
    return this.#vectors.get(row);
  }

  set(row: number, vector: SparseVector): void {
    this.remove(row);
    this.#vectors.set(row, vector);
    for (const index of vector.indices) this.#documentCounts.set(index, (this.#documentCounts.get(index) ?? 0) + 1);
  }

  remove(row: number): void {
    const vector = this.#vectors.get(row);
    if (!vector) return;
    this.#vectors.delete(row);
    for (const index of vector.indices) {
      const count = (this.#documentCounts.get(index) ?? 0) - 1;
      if (count > 0) this.#documentCounts.set(index, count);
      else this.#documentCounts.delete(index);
    }
  }

  /** A function that scores a row; undefined where the row shares no index with the query, and so is no hit. */
  scorer(query: SparseVector): (row: number) => number | undefined {
    const weights = new Map(
      query.indices.map((index, at) => [index, (query.values[at] as number) * this.#weight(index)]),
    );
    return (row) => {
      const vector = this.#vectors.get(row);
      let score: number | undefined;
      vector?.indices.forEach((index, at) => {
        const weight = weights.get(index);
        if (weight !== undefined) score = (score ?? 0) + weight * (vector.values[at] as number);
      });
      return score;
    };
  }

  /** ln(1 + (N - n + 0.5) / (n + 0.5)), as Qdrant's idf modifier has it. */
  #weight(index: number): number {
    if (!this.#isIdf) return 1;
    const documents = this.#documentCounts.get(index) ?? 0;
    return Math.log1p((this.#vectors.size - documents + 0.5) / (documents + 0.5));
  }
}
