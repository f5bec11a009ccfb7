import { type WebAssemblyMemory, webAssembly } from '../../../internal/web-assembly.js';
import { badInput, formatError } from '../qdrant-api-error.js';
import { createDotProductKernel, createPlainKernel, type ScoreRows } from './dot-product-kernel.js';
import { Int8Copies } from './int8-copies.js';

export type Distance = 'Cosine' | 'Dot';

const bytesPerPage = 65_536;
/** A WebAssembly memory ends at 4 GiB. */
const maxPages = 65_536;

/**
 * Each WebAssembly memory takes 10 GB of address space, of which a process has 128 TB: with fewer bytes than this a
 * matrix lies in an ordinary buffer, so that ten thousand small collections take none.
 */
const mostPlainBytes = 1_048_576;

/** Below this deviation a vector counts as normalised and is stored bit for bit. */
const normTolerance = 1e-7;

/** With fewer dimensions a copy in 8-bit numbers saves nothing. */
const leastCopiedDimension = 32;

/** How many rows {@link VectorMatrix.scoreRows} takes at a time. */
export const rowsPerBlock = 2048;

/**
 * The vectors of one name, one row each. Vectors of a cosine collection are normalised when they are stored, as Qdrant
 * does, so a score is a dot product.
 *
 * A small matrix lies in an ordinary buffer. A large one lies in a WebAssembly memory, in which a kernel reads it
 * without a copy, and which grows in place, page by page; next to it there is a copy of each vector in 8-bit numbers.
 *
 * The memory begins with what a call of the kernel works on (the query, row numbers, scores); the vectors follow, each
 * filled up with zeros to a multiple of four numbers.
 */
export class VectorMatrix {
  readonly dimension: number;
  readonly distance: Distance;
  readonly #stride: number;
  readonly #rowsAddress: number;
  #memory: WebAssemblyMemory | PlainMemory = new PlainMemory();
  #kernel: ScoreRows = createPlainKernel(this.#memory);
  /** How many rows a call of the kernel takes. */
  #rowsPerCall = 64;
  #scoresAddress = 0;
  #valuesAddress = 0;
  #floats = new Float32Array(0);
  #rowNumbers = new Uint32Array(0);
  #present = new Uint8Array(0);
  #size = 0;
  #largestNorm = 0;
  #scratch = new Float32Array(0);
  #copies: Int8Copies | undefined;

  constructor(dimension: number, distance: Distance) {
    this.dimension = dimension;
    this.distance = distance;
    this.#stride = Math.ceil(dimension / 4) * 16;
    this.#rowsAddress = Math.ceil(this.#stride / 64) * 64;
    this.#layOut(this.#rowsPerCall);
  }

  #layOut(rowsPerCall: number): void {
    this.#rowsPerCall = rowsPerCall;
    this.#scoresAddress = this.#rowsAddress + rowsPerCall * 4;
    this.#valuesAddress = this.#scoresAddress + rowsPerCall * 4;
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
    for (let index = 0; index < rows.length; index++) {
      if (present[rows[index] as number] !== 1) return rows.filter((row) => present[row] === 1);
    }
    return rows;
  }

  /** @throws a 400 if the memory does not suffice for that many rows. */
  reserve(rows: number): void {
    if (rows > this.#present.length) {
      const present = new Uint8Array(Math.max(rows, Math.ceil(this.#present.length * 1.25), 64));
      present.set(this.#present);
      this.#present = present;
    }
    if (this.#memory instanceof PlainMemory) {
      const bytes = this.#start(rows) * 4;
      if (bytes <= mostPlainBytes || !this.#moveToWebAssembly()) {
        this.#memory.resize(bytes);
        this.#look();
        return;
      }
    }
    this.#growTo(this.#start(rows) * 4);
    if (this.#copies && !this.#copies.reserve(rows)) this.#copies = undefined;
  }

  #look(): void {
    if (this.#floats.buffer === this.#memory.buffer) return;
    this.#floats = new Float32Array(this.#memory.buffer);
    this.#rowNumbers = new Uint32Array(this.#memory.buffer);
  }

  /** @throws a 400 if the memory does not suffice. */
  #growTo(bytes: number): void {
    const pages = this.#memory.buffer.byteLength / bytesPerPage;
    if (bytes > pages * bytesPerPage) {
      // Ahead of need, since each time is costly; a page takes no memory of the machine until it is written to.
      const wanted = Math.min(Math.ceil(bytes / bytesPerPage) + Math.max(16, pages >> 2), maxPages);
      try {
        (this.#memory as WebAssemblyMemory).grow(wanted - pages);
      } catch {
        throw badInput('the collection is full: the local engine holds 4 GiB of vectors a collection');
      }
    }
    this.#look();
  }

  /** Whether it worked: the runtime may not have it, or no more address space. */
  #moveToWebAssembly(): boolean {
    let memory: WebAssemblyMemory;
    try {
      if (!webAssembly) return false;
      memory = new webAssembly.Memory({ initial: 0, maximum: maxPages });
    } catch {
      return false;
    }
    const values = this.#floats.slice(this.#valuesAddress / 4);
    this.#memory = memory;
    this.#kernel = createDotProductKernel(memory);
    this.#layOut(rowsPerBlock);
    this.#growTo(this.#valuesAddress + values.byteLength);
    this.#floats.set(values, this.#valuesAddress / 4);
    this.#copies = this.dimension < leastCopiedDimension ? undefined : Int8Copies.create(this.dimension);
    const rows = Math.floor((values.length * 4) / this.#stride);
    if (this.#copies && !this.#copies.reserve(rows)) this.#copies = undefined;
    for (let row = 0; row < rows; row++) if (this.has(row)) this.#copies?.set(row, this.get(row), this.#normBound(row));
    return true;
  }

  /** The length of a stored vector, or a little more. */
  #normBound(row: number): number {
    return this.distance === 'Cosine' ? 1 + 1e-6 : norm(this.get(row)) * (1 + 1e-9);
  }

  /** Stores a vector that {@link prepare} made. */
  set(row: number, prepared: Float32Array): void {
    this.reserve(row + 1);
    this.#floats.set(prepared, this.#start(row));
    if (this.#present[row] === 0) this.#size++;
    this.#present[row] = 1;
    if (this.distance === 'Dot') this.#largestNorm = Math.max(this.#largestNorm, norm(prepared));
    this.#copies?.set(row, prepared, this.#normBound(row));
  }

  /** The 8-bit copies of the vectors, if the matrix is large enough to have them. */
  get copies(): Int8Copies | undefined {
    return this.#copies;
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
    for (let from = 0; from < rows.length; from += this.#rowsPerCall) {
      const some = rows.subarray(from, from + this.#rowsPerCall);
      this.#rowNumbers.set(some, this.#rowsAddress / 4);
      this.#kernel(0, this.#valuesAddress, this.#stride, this.#rowsAddress, some.length, this.#scoresAddress);
      const first = this.#scoresAddress / 4;
      scores.set(this.#floats.subarray(first, first + some.length), from);
    }
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
   * How far a score of {@link scoreRows} may be off: the rounding of a float32 sum in 4 or more lanes (Higham, Accuracy
   * and Stability of Numerical Algorithms, 3.1), with room to spare.
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

/** An ordinary buffer in place of a WebAssembly memory. */
class PlainMemory {
  buffer = new ArrayBuffer(0);

  resize(bytes: number): void {
    if (bytes <= this.buffer.byteLength) return;
    const grown = new ArrayBuffer(Math.ceil((bytes * 1.25) / 16) * 16);
    new Uint8Array(grown).set(new Uint8Array(this.buffer));
    this.buffer = grown;
  }
}
