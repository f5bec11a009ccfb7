import type { Pooling } from '../model/model-manifest.js';

export interface PoolingInput {
  /** How many tokens of each row are the text's own; the padding stands after them. */
  readonly lengths: Int32Array;
  /** How many tokens at the start of each row are a prompt that the model leaves out of its mean or maximum. */
  readonly skipped: Int32Array;
  /** How many tokens a row has, padding counted. */
  readonly sequence: number;
  readonly dimension: number;
  readonly pooling: Pooling;
}

/**
 * Makes one vector a text out of its tokens' vectors, with the padding left out.
 *
 * @param hidden - `lengths.length` x `sequence` x `dimension`, row by row.
 * @param target - Filled with `lengths.length` x `dimension` values.
 */
export function pool(hidden: Float32Array, input: PoolingInput, target: Float32Array): void {
  const { lengths, skipped, sequence, dimension, pooling } = input;
  for (let row = 0; row < lengths.length; row++) {
    const length = lengths[row]!;
    const start = row * sequence * dimension;
    const vector = target.subarray(row * dimension, (row + 1) * dimension);
    // A text that is nothing but prompt keeps its last token: there is no mean of nothing.
    const first = Math.min(skipped[row]!, length - 1);
    if (pooling === 'mean') mean(hidden, start, first, length, vector);
    else if (pooling === 'max') max(hidden, start, first, length, vector);
    else vector.set(token(hidden, start, pooling === 'cls' ? 0 : length - 1, dimension));
  }
}

function token(hidden: Float32Array, start: number, index: number, dimension: number): Float32Array {
  return hidden.subarray(start + index * dimension, start + (index + 1) * dimension);
}

function mean(hidden: Float32Array, start: number, first: number, length: number, vector: Float32Array): void {
  const dimension = vector.length;
  vector.fill(0);
  // Row by row: the other order strides through memory and takes eight times as long.
  for (let index = first; index < length; index++) {
    const from = start + index * dimension;
    for (let column = 0; column < dimension; column++) vector[column]! += hidden[from + column]!;
  }
  for (let column = 0; column < dimension; column++) vector[column]! /= length - first;
}

function max(hidden: Float32Array, start: number, first: number, length: number, vector: Float32Array): void {
  const dimension = vector.length;
  vector.set(token(hidden, start, first, dimension));
  for (let index = first + 1; index < length; index++) {
    const from = start + index * dimension;
    for (let column = 0; column < dimension; column++) {
      if (hidden[from + column]! > vector[column]!) vector[column] = hidden[from + column]!;
    }
  }
}
