import { type WebAssemblyMemory, webAssembly } from '../../../internal/web-assembly.js';
import { badInput, formatError } from '../qdrant-api-error.js';
import { createDotProductKernel } from './dot-product-kernel.js';

export type Distance = 'Cosine' | 'Dot';

const bytesPerPage = 65_536;
/** A WebAssembly memory ends at 4 GiB. */
const maxPages = 65_536;

/** Below this deviation a vector counts as normalised and is stored bit for bit. */
const normTolerance = 1e-7;

/** How many rows {@link VectorMatrix.scoreRows} takes at a time. */
export const rowsPerBlock = 2048;

/**
 * The vectors of one name, one row each, in a WebAssembly memory: a kernel reads them there without a copy, and it
 * grows in place, page by page. Vectors of a cosine collection are normalised when they are stored, as Qdrant does, so
 * a score is a dot product.
 *
 * The memory begins with what a call of the kernel works on (the query, row numbers, scores); the vectors follow, each
 * filled up with zeros to a multiple of four numbers.
 */
export class VectorMatrix {
  readonly dimension: number;
  readonly distance: Distance;
  readonly #memory = createMemory();
  readonly #kernel = createDotProductKernel(this.#memory);
  readonly #stride: number;
  readonly #rowsAddress: number;
  readonly #scoresAddress: number;
  readonly #valuesAddress: number;
  #floats = new Float32Array(this.#memory.buffer);
  #rowNumbers = new Uint32Array(this.#memory.buffer);
  #present = new Uint8Array(0);
  #size = 0;
  #largestNorm = 0;
  #scratch = new Float32Array(0);

  constructor(dimension: number, distance: Distance) {
    this.dimension = dimension;
    this.distance = distance;
    this.#stride = Math.ceil(dimension / 4) * 16;
    this.#rowsAddress = Math.ceil(this.#stride / 64) * 64;
    this.#scoresAddress = this.#rowsAddress + rowsPerBlock * 4;
    this.#valuesAddress = this.#scoresAddress + rowsPerBlock * 4;
  }

  /** How many rows have a vector. */
  get size(): number {
    return this.#size;
  }

  has(row: number): boolean {
    return this.#present[row] === 1;
  }

  /** The rows that have a vector. */
  keepPresent(rows: Uint32Array): Uint32Array {
    const present = this.#present;
    return rows.every((row) => present[row] === 1) ? rows : rows.filter((row) => present[row] === 1);
  }

  /** @throws a 400 if the memory does not suffice for so many rows. */
  reserve(rows: number): void {
    if (rows > this.#present.length) {
      const present = new Uint8Array(Math.max(rows, Math.ceil(this.#present.length * 1.25), 64));
      present.set(this.#present);
      this.#present = present;
    }
    const bytes = this.#start(rows) * 4;
    const pages = this.#memory.buffer.byteLength / bytesPerPage;
    if (bytes <= pages * bytesPerPage) return;
    // Ahead of need, since each time is costly; a page takes no memory of the machine until it is written to.
    const wanted = Math.min(Math.ceil(bytes / bytesPerPage) + Math.max(16, pages >> 2), maxPages);
    try {
      this.#memory.grow(wanted - pages);
    } catch {
      throw badInput('the collection is full: the local engine holds 4 GiB of vectors a collection');
    }
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#rowNumbers = new Uint32Array(this.#memory.buffer);
  }

  /** Stores a vector that {@link prepare} made. */
  set(row: number, prepared: Float32Array): void {
    this.reserve(row + 1);
    this.#floats.set(prepared, this.#start(row));
    if (this.#present[row] === 0) this.#size++;
    this.#present[row] = 1;
    if (this.distance === 'Dot') this.#largestNorm = Math.max(this.#largestNorm, norm(prepared));
  }

  remove(row: number): void {
    if (!this.has(row)) return;
    this.#present[row] = 0;
    this.#size--;
  }

  /** A copy of the stored vector. */
  get(row: number): Float32Array {
    return this.#floats.slice(this.#start(row), this.#start(row) + this.dimension);
  }

  /**
   * Checks a vector and brings it into the form that is stored or searched with: float32, normalised for cosine.
   *
   * @param target - a buffer of `n x dimension` to write it to, as its vector `position`. @default a new one of 1 x
   *   dimension
   * @throws a 400 for a wrong dimension or a value that is not finite (JSON turns it into null, which a server
   *   refuses).
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

  /** {@link prepare} for many vectors: `n x dimension`, valid until the next call. */
  prepareAll(vectors: readonly ArrayLike<number>[]): Float32Array {
    const length = vectors.length * this.dimension;
    if (this.#scratch.length < length) this.#scratch = new Float32Array(length);
    vectors.forEach((vector, position) => {
      this.prepare(vector, this.#scratch, position);
    });
    return this.#scratch.subarray(0, length);
  }

  /** Fills `scores` with the similarity of `query` to each of `rows` (at most `rowsPerBlock`), in float32. */
  scoreRows(query: Float32Array, rows: Uint32Array, scores: Float32Array): void {
    this.reserve(0);
    this.#floats.set(query);
    this.#rowNumbers.set(rows, this.#rowsAddress / 4);
    this.#kernel(0, this.#valuesAddress, this.#stride, this.#rowsAddress, rows.length, this.#scoresAddress);
    const first = this.#scoresAddress / 4;
    scores.set(this.#floats.subarray(first, first + rows.length));
  }

  /**
   * The similarity, summed in float64 and then rounded to float32, the precision of what is stored: vectors that differ
   * by less tie.
   */
  score(query: Float32Array, row: number): number {
    const floats = this.#floats;
    const start = this.#start(row);
    let sum = 0;
    for (let index = 0; index < query.length; index++) {
      sum += (query[index] as number) * (floats[start + index] as number);
    }
    return Math.fround(this.distance === 'Cosine' ? Math.max(-1, Math.min(1, sum)) : sum);
  }

  /**
   * How far a score of {@link scoreRows} may be off: the rounding of a float32 sum in 16 lanes (Higham, Accuracy and
   * Stability of Numerical Algorithms, 3.1), with room to spare.
   */
  scoreError(query: Float32Array): number {
    const largestNorm = this.distance === 'Cosine' ? 1 + 1e-6 : this.#largestNorm;
    return (this.dimension / 16 + 8) * 2 ** -23 * norm(query) * largestNorm;
  }

  /** If a row's vector begins, in numbers. */
  #start(row: number): number {
    return (this.#valuesAddress + row * this.#stride) / 4;
  }
}

function norm(vector: Float32Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}

function createMemory(): WebAssemblyMemory {
  return webAssembly ? new webAssembly.Memory({ initial: 0, maximum: maxPages }) : new PlainMemory();
}

/** Stands in for a WebAssembly memory if the runtime has none. */
class PlainMemory implements WebAssemblyMemory {
  buffer = new ArrayBuffer(0);

  grow(pages: number): number {
    const { byteLength } = this.buffer;
    const grown = new ArrayBuffer(byteLength + pages * bytesPerPage);
    new Uint8Array(grown).set(new Uint8Array(this.buffer));
    this.buffer = grown;
    return byteLength / bytesPerPage;
  }
}
