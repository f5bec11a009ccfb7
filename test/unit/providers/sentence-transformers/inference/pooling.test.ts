import { describe, expect, it } from 'vitest';
import { pool } from '#src/providers/sentence-transformers/inference/pooling.js';
import { normalize } from '#src/providers/sentence-transformers/scheduling/normalize.js';

/** Two texts of 2 and 3 tokens, 2 dimensions; the padding of the first one would show in every kind of pooling. */
const hidden = Float32Array.of(1, 10, 3, 20, 99, 99, -1, -2, -3, -4, -8, -9);
const lengths = Int32Array.of(2, 3);

describe('pool', () => {
  it.each([
    ['mean', [2, 15, -4, -5]],
    ['cls', [1, 10, -1, -2]],
    ['max', [3, 20, -1, -2]],
    ['last_token', [3, 20, -8, -9]],
  ] as const)('%s leaves the padding out', (pooling, expected) => {
    const target = new Float32Array(4).fill(7);
    pool(hidden, { lengths, skipped: Int32Array.of(0, 0), sequence: 3, dimension: 2, pooling }, target);
    expect([...target]).toEqual(expected);
  });

  it.each([
    ['mean', [3, 20, -5.5, -6.5]],
    ['cls', [1, 10, -1, -2]],
    ['max', [3, 20, -3, -4]],
    ['last_token', [3, 20, -8, -9]],
  ] as const)('%s leaves out a prompt of one token, as sentence-transformers does', (pooling, expected) => {
    const target = new Float32Array(4);
    pool(hidden, { lengths, skipped: Int32Array.of(1, 1), sequence: 3, dimension: 2, pooling }, target);
    expect([...target]).toEqual(expected);
  });

  it('keeps the last token of a text that is nothing but prompt', () => {
    const target = new Float32Array(4);
    pool(hidden, { lengths, skipped: Int32Array.of(9, 9), sequence: 3, dimension: 2, pooling: 'mean' }, target);
    expect([...target]).toEqual([3, 20, -8, -9]);
  });
});

describe('normalize', () => {
  it('scales to length 1', () => {
    const [x, y] = normalize(Float32Array.of(3, 4));
    expect(x).toBeCloseTo(0.6, 6);
    expect(y).toBeCloseTo(0.8, 6);
  });

  it('leaves a vector of length 0 finite', () => {
    expect([...normalize(Float32Array.of(0, 0))]).toEqual([0, 0]);
  });
});
