import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requireVector, wireVectors } from '#src/vector-stores/qdrant/wire/vectors.js';

describe('requireVector', () => {
  it.each([[[1, 2]], [Float32Array.of(1, 2)], [Float64Array.of(1, 2)], [[1e-3, 0]]])('takes %j', (vector) => {
    expect(requireVector(vector, 'v')).toBe(vector);
  });

  it.each([
    ['NaN', [1, Number.NaN]],
    ['Infinity', [Number.POSITIVE_INFINITY]],
    ['a string', [1, '2']],
    ['a hole', new Array(2)],
    ['zeros', [0, 0, 0]],
    ['a length that float32 cannot square', [1e-30, 0]],
    ['a length beyond float32', [1e30, 0]],
    ['no dimension', []],
    ['an object', { length: 2, 0: 1, 1: 2 }],
    ['a DataView', new DataView(new ArrayBuffer(8))],
    ['BigInts', BigInt64Array.of(1n)],
    ['a BigInt', [1n]],
    ['NaN in a typed array', Float32Array.of(1, Number.NaN)],
    ['null', null],
  ])('refuses %s, with the position', (_, vector) => {
    expect(() => requireVector(vector, 'v', 4)).toThrowError(
      expect.objectContaining({ code: 'invalid_input', position: 4 }),
    );
  });
});

describe('wireVectors', () => {
  const toWire = wireVectors(false);

  it('copies only what JSON cannot take', () => {
    const array = [1, 2];
    const floats = Float32Array.of(1, 2);
    expect(toWire(array)).toBe(array);
    expect(toWire(floats)).toEqual([1, 2]);
    expect(toWire(Int8Array.of(1, 2))).toEqual([1, 2]);
    expect(wireVectors(true)(array)).toBe(array);
    expect(wireVectors(true)(floats)).toBe(floats);
    expect(wireVectors(true)(Int8Array.of(1, 2))).toEqual([1, 2]);
  });

  it('does not send an array as what it says it is', () => {
    const disguised = Object.assign([1, 2], { toJSON: () => ({ nearest: 'the id of another tenant’s point' }) });
    expect(JSON.stringify(toWire(disguised))).toBe('[1,2]');
    expect(JSON.stringify(toWire(new (class extends Array<number> {})(1, 2)))).toBe('[1,2]');
  });

  it('writes float32 values in fewer digits, and loses nothing', () => {
    expect(toWire(Float32Array.of(0.1, -0.05, 1e-12, 3e8))).toEqual([
      0.100000001,
      -0.050000001,
      Math.fround(1e-12),
      3e8,
    ]);
    const anyFloats = fc.float32Array({ noNaN: true, noDefaultInfinity: true, minLength: 1 });
    fc.assert(
      fc.property(anyFloats, (vector) => {
        const read = Float32Array.from(JSON.parse(JSON.stringify(toWire(vector))));
        expect(read).toEqual(vector.map((value) => value + 0));
      }),
    );
  });
});
