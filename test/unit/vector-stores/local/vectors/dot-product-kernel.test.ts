import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type WebAssemblyMemory, webAssembly } from '#src/internal/web-assembly.js';
import {
  createDotProductKernel,
  createPlainKernel,
  type ScoreRows,
} from '#src/vector-stores/local/vectors/dot-product-kernel.js';
import { dotProductKernelBytes } from '#src/vector-stores/local/vectors/dot-product-kernel-bytes.js';
import { assembleKernel } from '../../../../../.ci/assemble-kernels.js';

it('is what its source assembles to', async () => {
  expect(
    Buffer.from(dotProductKernelBytes).equals(
      await assembleKernel('src/vector-stores/local/vectors/dot-product-kernel'),
    ),
  ).toBe(true);
});

it('runs as WebAssembly here, and falls back if the memory is all there is', () => {
  expect(webAssembly?.validate(dotProductKernelBytes)).toBe(true);
  const memory = onePage();
  expect(String(createDotProductKernel(memory))).toContain('native code');
});

function onePage(): WebAssemblyMemory {
  if (!webAssembly) throw new Error('This runtime has no WebAssembly.');
  return new webAssembly.Memory({ initial: 1, maximum: 1 });
}

const finite = fc.float({ min: -10, max: 10, noNaN: true });
const matrices = fc
  .record({ dimension: fc.integer({ min: 1, max: 70 }), rowCount: fc.integer({ min: 1, max: 12 }) })
  .chain(({ dimension, rowCount }) =>
    fc.record({
      query: fc.array(finite, { minLength: dimension, maxLength: dimension }),
      vectors: fc.array(fc.array(finite, { minLength: dimension, maxLength: dimension }), {
        minLength: rowCount,
        maxLength: rowCount,
      }),
      rows: fc.array(fc.nat(rowCount - 1), { maxLength: 20 }),
    }),
  );

it.each([
  ['WebAssembly', createDotProductKernel],
  ['plain JavaScript', createPlainKernel],
] as [string, (memory: WebAssemblyMemory) => ScoreRows][])('gives the dot products in %s', (_, createKernel) => {
  fc.assert(
    fc.property(matrices, ({ query, vectors, rows }) => {
      const memory = onePage();
      const floats = new Float32Array(memory.buffer);
      const stride = Math.ceil(query.length / 4) * 16;
      const [rowsAddress, scoresAddress, valuesAddress] = [stride, stride + 128, stride + 256];
      floats.set(query);
      vectors.forEach((vector, row) => {
        floats.set(vector, (valuesAddress + row * stride) / 4);
      });
      new Uint32Array(memory.buffer, rowsAddress).set(rows);
      floats.fill(-1, scoresAddress / 4, scoresAddress / 4 + rows.length + 1);
      createKernel(memory)(0, valuesAddress, stride, rowsAddress, rows.length, scoresAddress);
      rows.forEach((row, index) => {
        const products = query.map((value, at) => Math.fround(value) * Math.fround(vectors[row]?.[at] as number));
        const exact = products.reduce((sum, product) => sum + product, 0);
        const magnitude = products.reduce((sum, product) => sum + Math.abs(product), 0);
        expect(Math.abs((floats[scoresAddress / 4 + index] as number) - exact)).toBeLessThanOrEqual(
          magnitude * 1e-6 + 1e-30,
        );
      });
      expect(floats[scoresAddress / 4 + rows.length]).toBe(-1);
    }),
  );
});
