import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeInKernel } from '#src/providers/wex-gateway/embeddings/base64-kernel.js';
import { base64KernelBytes } from '#src/providers/wex-gateway/embeddings/base64-kernel-bytes.js';
import { assembleKernel } from '../../../../../.ci/assemble-kernels.js';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
const base64Of = (values: readonly number[]): string =>
  Buffer.from(Float32Array.from(values).buffer).toString('base64');
const decode = (text: string) => {
  const digits = text.replace(/=+$/, '');
  return decodeInKernel(Buffer.from(text, 'latin1'), digits.length);
};
const bitsOf = (values: Float32Array) => new Uint32Array(values.buffer);

describe('decodeInKernel', () => {
  it('is what its source assembles to', async () => {
    const assembled = await assembleKernel('src/providers/wex-gateway/embeddings/base64-kernel');
    expect(Buffer.from(base64KernelBytes).equals(assembled)).toBe(true);
  });

  it('gives every vector bit for bit, in a memory of its own', () => {
    const values = fc.array(finite, { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(values, values, (first, second) => {
        const vectors = [first, second].map((each) => decode(base64Of(each)));
        for (const [index, expected] of [first, second].entries()) {
          if (expected.every((value) => value === 0)) expect(vectors[index]).toBe('all zeros');
          else expect(bitsOf(vectors[index] as Float32Array)).toEqual(bitsOf(Float32Array.from(expected)));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('knows each character at each place of a block, and no other', () => {
    const text = base64Of(Array.from({ length: 13 }, (_, index) => index / 7));
    for (let place = 0; place < 64; place++) {
      for (let code = 0; code < 256; code++) {
        const changed = text.slice(0, place) + String.fromCharCode(code) + text.slice(place + 1);
        const isKnown = alphabet.includes(String.fromCharCode(code));
        expect(decode(changed) !== undefined, `${code} at ${place}`).toBe(isKnown);
      }
    }
  });

  it.each([Number.NaN, -Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'finds %d anywhere',
    (value) => {
      for (let place = 0; place < 13; place++) {
        const values = Array.from({ length: 13 }, (_, index) => (index === place ? value : 1));
        expect(decode(base64Of(values))).toBe('not finite');
      }
    },
  );

  it.each([3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -1e-45])('takes %d for a number', (value) => {
    for (let place = 0; place < 13; place++) {
      const values = Array.from({ length: 13 }, (_, index) => (index === place ? value : 0));
      expect(decode(base64Of(values))).toEqual(Float32Array.from(values));
    }
  });

  it.each([0, -0])('does not take a vector of %d for one', (value) => {
    for (const length of [1, 3, 4, 5, 13]) expect(decode(base64Of(Array(length).fill(value)))).toBe('all zeros');
  });

  it('leaves vectors alone that do not fit into its memory', () => {
    expect(decode(base64Of(Array(12_285).fill(1)))).toEqual(new Float32Array(12_285).fill(1));
    expect(decode(base64Of(Array(12_286).fill(1)))).toBeUndefined();
  });
});
