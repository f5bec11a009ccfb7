import type { SparseVector } from '../../../core/ports/vector-store.js';

/** Normalising a float32 vector a second time moves its numbers by less. */
const vectorTolerance = 1e-5;
/** Qdrant's JSON parser may read a number of more than 15 digits as its neighbour, which is 2.2e-16 away. */
const numberTolerance = 1e-15;

/** Whether a vector is the same after it was stored, normalised and read. */
export function isSameVector(left: ArrayLike<number>, right: ArrayLike<number> | undefined): boolean {
  return right !== undefined && Array.from(left).every((value, i) => Math.abs(value - right[i]!) <= vectorTolerance);
}

/** The same, for values that are stored as float32 without being normalised, in whatever order. */
export function isSameSparseVector(left: SparseVector | undefined, right: SparseVector | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  if (left.indices.length !== right.indices.length) return false;
  const values = new Map(right.indices.map((index, i) => [index, right.values[i]!]));
  return left.indices.every((index, i) => {
    const [mine, theirs] = [left.values[i]!, values.get(index) ?? Number.NaN];
    return Math.abs(mine - theirs) <= Math.abs(mine) * vectorTolerance;
  });
}

/** Whether metadata is the same after it went through a server. */
export function isSameJson(left: unknown, right: unknown): boolean {
  if (typeof left === 'number' && typeof right === 'number') {
    return left === right || Math.abs(left - right) <= Math.abs(left) * numberTolerance;
  }
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [mine, theirs] = [Object.entries(left), new Map<string, unknown>(Object.entries(right))];
  return mine.length === theirs.size && mine.every(([key, value]) => isSameJson(value, theirs.get(key)));
}
