import { type WebAssemblyMemory, webAssembly } from '../../../internal/web-assembly.js';
import { int8KernelBytes } from './int8-kernel-bytes.js';

const bytesPerPage = 65_536;
/** A WebAssembly memory ends at 4 GiB. */
const maxPages = 65_536;
const headerBytes = 16;
const largestCopied = 127;
const largestOfQuery = 32_767;
const leastNorm = 1e-6;
/** Products beyond this are left to float32 and float64. */
const largestProduct = 1e30;
/** The rounding of float32: a result is off by at most half of this, relatively. */
const epsilon = 2 ** -23;
/** How many rows a call of the kernel takes. */
const rowsPerBlock = 2048;

interface Kernel {
  copyVector(vector: number, copy: number, count: number, slope: number, offset: number): void;
  scoreCopies(
    query: number,
    copies: number,
    stride: number,
    rows: number,
    count: number,
    scores: number,
    scale: number,
    length: number,
  ): void;
}

let compiledModule: object | undefined;

/**
 * A copy of each vector of a matrix in 8-bit numbers, a quarter of its size, which a search looks at first: what cannot
 * be among the best by its copy needs no look at the vector itself. That is exact, since each copy comes with a bound
 * of its error.
 *
 * **The bound.** Let u be the query and v a vector. The copy of v is the scale s = max|v| / 127 and the integers q = v
 * / s, rounded; it leaves over e = v - s q. The query is copied in 16-bit numbers, as t p, and leaves over f = u - t p.
 * Then
 *
 *     u v  =  u (s q + e)  =  (t p + f) s q + u e  =  t s (p q) + f (s q) + u e
 *
 * and by Cauchy and Schwarz
 *
 *     |u v - t s (p q)|  <=  |u| |e| + |f| |s q|  <=  |u| |e| + |f| (|v| + |e|).
 *
 * |e| is stored with each copy, |u| and |f| are computed once a query. p q is an exact integer: p is scaled so that the
 * sum of n products, each at most 127 max|p|, stays below 2^31. What remains is the rounding of float32, of which each
 * step is off by at most 2^-24 of its result: the steps of t s (p q), whose size is at most (|u| + |f|) (|v| + |e|),
 * and the sum of squares behind |e| (n additions, each step relative; Higham, 3.1) with the difference v - s q (off by
 * at most 2^-23 |v| in all). `margin` and the slope and offset of |e| cover them with room to spare; a property test
 * compares the bound with float64.
 */
export class Int8Copies {
  readonly #count: number;
  readonly #stride: number;
  readonly #memory: WebAssemblyMemory;
  readonly #kernel: Kernel;
  readonly #queryAddress: number;
  readonly #rowsAddress: number;
  readonly #scoresAddress: number;
  readonly #copiesAddress: number;
  #floats: Float32Array;
  /** The largest length of a vector and of what its copy leaves over. */
  #largestNorm = 0;
  #largestRest = 0;

  /** Undefined if the runtime has no WebAssembly with SIMD, or too little memory. */
  static create(dimension: number): Int8Copies | undefined {
    if (!webAssembly?.validate(int8KernelBytes)) return undefined;
    try {
      return new Int8Copies(dimension, new webAssembly.Memory({ initial: 1, maximum: maxPages }));
    } catch {
      return undefined;
    }
  }

  private constructor(dimension: number, memory: WebAssemblyMemory) {
    this.#count = Math.ceil(dimension / 16) * 16;
    this.#stride = headerBytes + this.#count;
    this.#memory = memory;
    if (!webAssembly) throw new Error('This runtime has no WebAssembly.');
    compiledModule ??= new webAssembly.Module(int8KernelBytes);
    this.#kernel = new webAssembly.Instance(compiledModule, { kernel: { memory } }).exports as unknown as Kernel;
    // The memory begins with a vector to be copied; the query, row numbers and scores of a call follow, and then the
    // copies.
    this.#queryAddress = this.#count * 4;
    this.#rowsAddress = this.#queryAddress + this.#count * 2;
    this.#scoresAddress = this.#rowsAddress + rowsPerBlock * 4;
    this.#copiesAddress = this.#scoresAddress + rowsPerBlock * 4;
    this.#floats = new Float32Array(memory.buffer);
    this.#grow(this.#copiesAddress);
  }

  /** Whether there is room for so many rows; it grows ahead of need. */
  reserve(rows: number): boolean {
    try {
      this.#grow(this.#copiesAddress + rows * this.#stride);
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Copies a vector, for which there is room.
   *
   * @param norm - its length, or more.
   */
  set(row: number, vector: Float32Array, norm: number): void {
    this.#floats.set(vector);
    const copy = this.#copiesAddress + row * this.#stride;
    // Of a very short vector the squares are too small for float32; but no copy leaves over more than the vector.
    const isShort = norm < leastNorm;
    const slope = isShort ? 0 : 1 + (this.#count / 4 + 16) * epsilon;
    this.#kernel.copyVector(0, copy, this.#count, slope, isShort ? norm * (1 + 2 * epsilon) : norm * 2 * epsilon);
    this.#largestNorm = Math.max(this.#largestNorm, norm);
    this.#largestRest = Math.max(this.#largestRest, this.#restOf(row));
  }

  /**
   * Which of `rows` may be among those with the largest dot products with a query, or above `threshold`; never fewer.
   * Gives way to others by way of `pause`.
   *
   * @param largest - collects the largest lower bounds, as many as are wanted.
   */
  async candidates(
    query: Float32Array,
    rows: Uint32Array,
    largest: LargestBounds,
    threshold: number,
    pause: () => Promise<void> | undefined,
  ): Promise<Uint32Array> {
    const copied = this.#copyQuery(query);
    const { margin } = copied;
    const widest = 2 * copied.norm * this.#largestRest + 2 * margin;
    if (!(widest < largestProduct)) return rows;
    // Near enough when their block was scored; what came later may be better than many of them.
    const found: number[] = [];
    const bounds: number[] = [];
    for (let from = 0; from < rows.length; from += rowsPerBlock) {
      const block = rows.subarray(from, from + rowsPerBlock);
      const lower = this.#score(copied, block);
      for (let index = 0; index < lower.length; index++) {
        const bound = lower[index] as number;
        if (bound > largest.least) largest.add(bound);
        // `lower` may be above the dot product by the margin, and the upper bound, made of it, below it by the same.
        if (bound + widest < Math.max(largest.least, threshold) - margin) continue;
        found.push(block[index] as number);
        bounds.push(bound);
      }
      await pause();
    }
    const least = Math.max(largest.least, threshold) - margin;
    const isNear = (row: number, index: number): boolean =>
      (bounds[index] as number) + 2 * copied.norm * this.#restOf(row) + 2 * margin >= least;
    return Uint32Array.from(found.filter(isNear));
  }

  /** For tests: the least and the largest that a dot product can be by its copy. */
  boundsOf(query: Float32Array, row: number): { lower: number; upper: number } {
    const copied = this.#copyQuery(query);
    const [lower] = this.#score(copied, Uint32Array.of(row));
    const least = (lower as number) - copied.margin;
    return { lower: least, upper: least + 2 * copied.norm * this.#restOf(row) + 2 * copied.margin };
  }

  /**
   * The lower bounds of some rows, valid until the next call. The query goes into the memory for each block, since
   * others may search between two.
   */
  #score({ numbers, scale, norm }: CopiedQuery, rows: Uint32Array): Float32Array {
    new Int16Array(this.#memory.buffer, this.#queryAddress, this.#count).set(numbers);
    new Uint32Array(this.#memory.buffer, this.#rowsAddress, rows.length).set(rows);
    this.#kernel.scoreCopies(
      this.#queryAddress,
      this.#copiesAddress,
      this.#stride,
      this.#rowsAddress,
      rows.length,
      this.#scoresAddress,
      scale,
      norm,
    );
    return this.#floats.subarray(this.#scoresAddress / 4, this.#scoresAddress / 4 + rows.length);
  }

  #copyQuery(query: Float32Array): CopiedQuery {
    const largest = query.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const mostOfQuery = Math.min(largestOfQuery, Math.floor((2 ** 31 - 1) / (largestCopied * this.#count)));
    const scale = Math.fround(largest > 1e-30 ? largest / mostOfQuery : 0);
    const numbers = new Int16Array(this.#count);
    let rest = 0;
    query.forEach((value, index) => {
      const number = scale === 0 ? 0 : Math.max(-mostOfQuery, Math.min(mostOfQuery, Math.round(value / scale)));
      numbers[index] = number;
      rest += (value - scale * number) ** 2;
    });
    const norm = normOf(query);
    const restNorm = Math.sqrt(rest) * (1 + 1e-9);
    const reach = this.#largestNorm + this.#largestRest;
    const rounding = 32 * epsilon * (norm + restNorm) * reach;
    return { numbers, scale, norm: Math.fround(norm * (1 + epsilon)), margin: restNorm * reach + rounding + 1e-30 };
  }

  #restOf(row: number): number {
    return this.#floats[(this.#copiesAddress + row * this.#stride) / 4 + 1] as number;
  }

  #grow(bytes: number): void {
    const pages = this.#memory.buffer.byteLength / bytesPerPage;
    if (bytes <= pages * bytesPerPage) return;
    this.#memory.grow(Math.min(Math.ceil(bytes / bytesPerPage) + Math.max(4, pages >> 2), maxPages) - pages);
    this.#floats = new Float32Array(this.#memory.buffer);
  }
}

/** The largest of some numbers: `add` takes what is above the `least` of them. */
export interface LargestBounds {
  readonly least: number;
  add(bound: number): void;
}

interface CopiedQuery {
  readonly numbers: Int16Array;
  readonly scale: number;
  /** The length of the query, rounded up. */
  readonly norm: number;
  /** What the bound of every row has in common. */
  readonly margin: number;
}

function normOf(vector: Float32Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return Math.sqrt(sum);
}
