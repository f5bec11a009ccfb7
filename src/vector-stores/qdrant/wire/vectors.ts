import type { SparseVector } from '../../../core/ports/vector-store.js';
import { InvalidInputError } from '../../../errors.js';
import { describeValue } from '../../../internal/validate.js';

/**
 * Squared lengths that survive Qdrant's float32 arithmetic. Below the float32 epsilon the server stores a vector as it
 * is instead of normalising it, and above the float32 maximum its length is infinite: either way its cosine
 * similarities mean nothing.
 */
const minSquaredLength = 2 ** -23;
const maxSquaredLength = 3.4e38;

/** The longest that a float32 gets as a JSON number, with its comma. */
export const maxBytesPerDimension = 24;
/** The most dimensions that Qdrant takes. */
const maxDimension = 65_536;

/**
 * Checks a vector for a cosine search: finite numbers, at least one, and not all zeros. A vector of zeros has no
 * direction, so that its cosine similarity is undefined; in practice it stands for an embedding that failed, and stored
 * ones poison every search.
 *
 * @param position - The record's place in its batch; leave out for a query.
 * @throws {@link InvalidInputError}, with the position.
 */
export function requireVector(value: unknown, name: string, position?: number): ArrayLike<number> {
  if (!isNumberArray(value)) {
    throw invalid(`Expected ${name} to be an array of numbers, got ${describeValue(value)}.`, position);
  }
  if (value.length === 0 || value.length > maxDimension) {
    throw invalid(`Expected ${name} to have 1 to ${maxDimension} dimensions, got ${value.length}.`, position);
  }
  if (Array.isArray(value)) requireFiniteNumbers(value, name, position);
  const squaredLength = squaredLengthOf(value);
  // A typed array holds nothing but numbers, and its sum is finite unless one of them is not.
  if (!Number.isFinite(squaredLength)) requireFiniteNumbers(value, name, position);
  if (!isUsableLength(squaredLength)) {
    const what = squaredLength === 0 ? 'only zeros' : `length ${Math.sqrt(squaredLength).toPrecision(3)}`;
    throw invalid(
      `Expected ${name} to have a direction, got ${what}: cosine similarity needs a length between 0.00035 and 1.8e19. ` +
        'A vector of zeros is most often an embedding that failed.',
      position,
    );
  }
  return value;
}

/** Whether a cosine similarity with the vector means something. */
export function hasDirection(vector: ArrayLike<number>): boolean {
  return isUsableLength(squaredLengthOf(vector));
}

function isUsableLength(squaredLength: number): boolean {
  return squaredLength >= minSquaredLength && squaredLength <= maxSquaredLength;
}

function squaredLengthOf(vector: ArrayLike<number>): number {
  let squaredLength = 0;
  for (let i = 0; i < vector.length; i++) squaredLength += vector[i]! * vector[i]!;
  return squaredLength;
}

function requireFiniteNumbers(vector: ArrayLike<unknown>, name: string, position: number | undefined): void {
  for (let i = 0; i < vector.length; i++) {
    const element = vector[i];
    if (typeof element === 'number' && Number.isFinite(element)) continue;
    throw invalid(
      `Expected ${name} to hold finite numbers, got ${describeValue(element)} at dimension ${i}.`,
      position,
    );
  }
}

/** @throws {@link InvalidInputError}, with the position. */
export function requireSparseVector(value: unknown, name: string, position?: number): SparseVector | undefined {
  if (value === undefined) return undefined;
  const { indices, values } = (value ?? {}) as Partial<SparseVector>;
  if (!isNumberArray(indices) || !isNumberArray(values) || indices.length !== values.length) {
    throw invalid(`Expected ${name} to have as many indices as values.`, position);
  }
  const copy = { indices: Array.from(indices), values: Array.from(values) };
  const areIndices = copy.indices.every((index) => Number.isInteger(index) && index >= 0 && index < 2 ** 32);
  if (!areIndices || new Set(copy.indices).size !== copy.indices.length) {
    throw invalid(`Expected the indices of ${name} to be different unsigned 32-bit integers.`, position);
  }
  if (!copy.values.every((element) => Number.isFinite(Math.fround(element)))) {
    throw invalid(`Expected the values of ${name} to be finite float32 numbers.`, position);
  }
  return copy;
}

/** Turns vectors into what a client sends. */
export type ToWireVector = (vector: ArrayLike<number>) => readonly number[] | Float32Array;

/**
 * How vectors go to a client. One that takes a `Float32Array` gets it; the real one would make it an object with a key
 * for each index, since JSON has no such thing. An array goes out as it came, without a copy.
 */
export function wireVectors(acceptsFloat32Array: boolean): ToWireVector {
  return (vector) => {
    if (isNumberList(vector)) return vector;
    if (!(vector instanceof Float32Array)) return Array.from(vector);
    return acceptsFloat32Array ? vector : toShortNumbers(vector);
  };
}

/** An array of a class of its own, or with a `toJSON`, could be something else on the wire: it is copied. */
function isNumberList(vector: ArrayLike<number>): vector is readonly number[] {
  return Array.isArray(vector) && Object.getPrototypeOf(vector) === Array.prototype && !('toJSON' in vector);
}

/**
 * The same float32 values in fewer digits: 0.1 as float32 is the double 0.10000000149011612, though 0.100000001 gives
 * the same float32. Nine decimals are enough for nearly all values of a normalised vector, which saves a third of a
 * request; see docs/decisions/qdrant-transport.md.
 */
function toShortNumbers(vector: Float32Array): number[] {
  const numbers = new Array<number>(vector.length);
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!;
    const short = Math.round(value * 1e9) / 1e9;
    numbers[i] = Math.fround(short) === value ? short : value;
  }
  return numbers;
}

/**
 * The dense vector of a point, if it came along; it is stored under an empty name if there is a sparse one beside it.
 */
export function denseVectorOf({ vector }: { readonly vector?: unknown }): { vector?: Float32Array } {
  const dense = isNumberArray(vector) ? vector : (vector as Record<string, unknown> | null | undefined)?.[''];
  if (!isNumberArray(dense)) return {};
  return { vector: dense instanceof Float32Array ? dense : Float32Array.from(dense) };
}

function isNumberArray(value: unknown): value is ArrayLike<number> {
  if (value instanceof BigInt64Array || value instanceof BigUint64Array) return false;
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function invalid(message: string, position: number | undefined): InvalidInputError {
  return new InvalidInputError(message, position === undefined ? {} : { position });
}
