import { isObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';

export interface SparseVector {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

/** @throws a 400 or 422 if the value is not a sparse vector. */
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

/** How many vectors there are, and how many of them have each index. */
interface DocumentCounts {
  readonly total: number;
  readonly of: (index: number) => number;
}

/**
 * The sparse vectors of one name. Their similarity is the dot product, optionally weighted by inverse document
 * frequency.
 */
export class SparseVectors {
  readonly #isIdf: boolean;
  /** By row, those of retired rows included. */
  readonly #vectors = new Map<number, SparseVector>();
  readonly #documentCounts = new Map<number, number>();
  #size = 0;

  constructor(isIdf: boolean) {
    this.#isIdf = isIdf;
  }

  get isIdf(): boolean {
    return this.#isIdf;
  }

  has(row: number): boolean {
    return this.#vectors.has(row);
  }

  get(row: number): SparseVector | undefined {
    return this.#vectors.get(row);
  }

  /** Stores the vector of a row that has none. */
  set(row: number, vector: SparseVector): void {
    this.#vectors.set(row, vector);
    this.#size++;
    for (const index of vector.indices) this.#documentCounts.set(index, (this.#documentCounts.get(index) ?? 0) + 1);
  }

  /** Counts a vector no longer; it stays readable until it is removed. */
  retire(row: number): void {
    const vector = this.#vectors.get(row);
    if (!vector) return;
    this.#size--;
    for (const index of vector.indices) {
      const count = (this.#documentCounts.get(index) ?? 0) - 1;
      if (count > 0) this.#documentCounts.set(index, count);
      else this.#documentCounts.delete(index);
    }
  }

  remove(row: number): void {
    this.#vectors.delete(row);
  }

  /** The counts over all vectors. */
  allCounts(): DocumentCounts {
    return { total: this.#size, of: (index) => this.#documentCounts.get(index) ?? 0 };
  }

  /** Collects the counts of the indices of a query, over some of the rows. */
  countsFor(query: SparseVector): DocumentCounts & { add(row: number): void } {
    const counts = new Map(query.indices.map((index) => [index, 0]));
    let total = 0;
    return {
      get total() {
        return total;
      },
      of: (index) => counts.get(index) ?? 0,
      add: (row) => {
        const vector = this.#vectors.get(row);
        if (!vector) return;
        total++;
        for (const index of vector.indices) {
          const count = counts.get(index);
          if (count !== undefined) counts.set(index, count + 1);
        }
      },
    };
  }

  /**
   * A function that scores a row; undefined if the row is not a hit: it shares no index with the query, or the products
   * cancel out to nothing, which a server's index drops too.
   */
  scorer(query: SparseVector, counts: DocumentCounts): (row: number) => number | undefined {
    const weights = new Map(
      query.indices.map((index, at) => [index, (query.values[at] as number) * this.#weight(index, counts)]),
    );
    return (row) => {
      const vector = this.#vectors.get(row);
      if (!vector) return undefined;
      let score = 0;
      vector.indices.forEach((index, at) => {
        const weight = weights.get(index);
        if (weight !== undefined) score += weight * (vector.values[at] as number);
      });
      return score === 0 ? undefined : score;
    };
  }

  /** ln(1 + (N - n + 0.5) / (n + 0.5)), as in Qdrant's idf modifier. */
  #weight(index: number, { total, of }: DocumentCounts): number {
    if (!this.#isIdf) return 1;
    const documents = of(index);
    return Math.log1p((total - documents + 0.5) / (documents + 0.5));
  }
}
