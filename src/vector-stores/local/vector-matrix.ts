import { badInput, formatError } from './qdrant-api-error.js';
import { webAssembly } from './web-assembly.js';

export type Distance = 'Cosine' | 'Dot';

const bytesPerPage = 65_536;
/** A WebAssembly memory ends at 4 GiB. */
const maxPages = 65_536;

/** Below this deviation a vector counts as normalised and is stored bit for bit. */
const normTolerance = 1e-7;

/**
 * The vectors of one name, one row each, in a WebAssembly memory (so that a kernel can read them without a copy, and so that it grows in
 * place, page by page). Vectors of a cosine collection are normalised when they are stored, as Qdrant does, which makes a score a dot product.
 */
export class VectorMatrix {
  readonly dimension: number;
  readonly distance: Distance;
  readonly #memory = webAssembly ? new webAssembly.Memory({ initial: 0, maximum: maxPages }) : new PlainMemory();
  #values = new Float32Array(this.#memory.buffer);
  #present = new Uint8Array(0);
  #largestNorm = 0;

  constructor(dimension: number, distance: Distance) {
    this.dimension = dimension;
    this.distance = distance;
  }

  has(row: number): boolean {
    return this.#present[row] === 1;
  }

  /** Stores a vector that {@link prepare} made. */
  set(row: number, prepared: Float32Array): void {
    this.#reserve(row + 1);
    this.#values.set(prepared, row * this.dimension);
    this.#present[row] = 1;
    if (this.distance === 'Dot') this.#largestNorm = Math.max(this.#largestNorm, norm(prepared));
  }

  remove(row: number): void {
    if (row < this.#present.length) this.#present[row] = 0;
  }

  /** A copy of the stored vector. */
  get(row: number): Float32Array {
    return this.#values.slice(row * this.dimension, (row + 1) * this.dimension);
  }

  /**
   * Checks a vector and brings it into the form that is stored or searched with: float32, normalised for cosine.
   *
   * @param target - a buffer of `n x dimension` to write it to, as its vector `position`. @default a new one of 1 x dimension
   * @throws a 400 for a wrong dimension or a value that is not finite (JSON turns it into null, which a server refuses).
   */
  prepare(vector: ArrayLike<number>, target = new Float32Array(this.dimension), position = 0): Float32Array {
    const { dimension } = this;
    if (vector.length !== dimension) {
      throw badInput(`Vector dimension error: expected dim: ${dimension}, got ${vector.length}`);
    }
    let squared = 0;
    for (let index = 0; index < dimension; index++) {
      const value = vector[index] as number;
      if (typeof value !== 'number') throw formatError('a vector must consist of numbers');
      squared += value * value;
    }
    if (!Number.isFinite(squared)) throw formatError('a vector must consist of finite numbers');
    const isUnit = this.distance === 'Dot' || squared === 0 || Math.abs(squared - 1) < normTolerance;
    const scale = isUnit ? 1 : 1 / Math.sqrt(squared);
    const start = position * dimension;
    for (let index = 0; index < dimension; index++) target[start + index] = (vector[index] as number) * scale;
    return target;
  }

  /** Fills `scores` with the similarity of `query` to each of `rows[from..to)`, in float32. */
  scoreRows(query: Float32Array, rows: Uint32Array, from: number, to: number, scores: Float32Array): void {
    for (let index = from; index < to; index++) scores[index] = this.score(query, rows[index] as number);
  }

  /** The similarity, summed in float64 and then rounded to float32, the precision of what is stored: vectors that differ by less tie. */
  score(query: Float32Array, row: number): number {
    const { dimension } = this;
    const values = this.#values;
    const start = row * dimension;
    let sum = 0;
    for (let index = 0; index < dimension; index++) {
      sum += (query[index] as number) * (values[start + index] as number);
    }
    return Math.fround(this.distance === 'Cosine' ? Math.max(-1, Math.min(1, sum)) : sum);
  }

  /**
   * How far a score of {@link scoreRows} may be off: the rounding of a float32 sum in 16 lanes (Higham, Accuracy and Stability of Numerical
   * Algorithms, 3.1), with room to spare.
   */
  scoreError(query: Float32Array): number {
    const largestNorm = this.distance === 'Cosine' ? 1 + 1e-6 : this.#largestNorm;
    return (this.dimension / 16 + 8) * 2 ** -23 * norm(query) * largestNorm;
  }

  #reserve(rows: number): void {
    if (rows > this.#present.length) {
      const present = new Uint8Array(Math.max(rows, Math.ceil(this.#present.length * 1.5), 64));
      present.set(this.#present);
      this.#present = present;
    }
    const missing = rows * this.dimension * 4 - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    const pages = Math.ceil(missing / bytesPerPage);
    try {
      this.#memory.grow(pages);
    } catch (cause) {
      throw badInput(`the collection is full: the local engine holds 4 GiB of vectors a collection (${String(cause)})`);
    }
    this.#values = new Float32Array(this.#memory.buffer);
  }
}

function norm(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}

/** Stands in for a WebAssembly memory where the runtime has none. */
class PlainMemory {
  buffer = new ArrayBuffer(0);

  grow(pages: number): void {
    const grown = new ArrayBuffer(this.buffer.byteLength + pages * bytesPerPage);
    new Uint8Array(grown).set(new Uint8Array(this.buffer));
    this.buffer = grown;
  }
}
