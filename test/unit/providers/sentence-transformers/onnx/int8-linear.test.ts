import fc from 'fast-check';
import { expect, it } from 'vitest';
import { quantizeWeights } from '#src/providers/sentence-transformers/onnx/int8-linear.js';

/** Products of bytes, as a CPU without VNNI adds them: in pairs of rows, in 16 bits, cut off beyond. */
const largestSum = 32_767;
const largestActivation = 255;

/** No subnormal numbers: no weight is one, and their rounding errors have no bound. */
const weights = fc.integer({ min: -1000, max: 1000 }).map((value) => value / 7);
const matrices = fc.record({
  columns: fc.integer({ min: 1, max: 4 }),
  rows: fc.array(fc.array(weights, { minLength: 4, maxLength: 4 }), {
    minLength: 1,
    maxLength: 9,
  }),
  smoothing: fc.constantFrom(0.03, 1, 7.7),
});

it('no pair of neighbours overflows 16 bits, whatever the activations are, and nothing wraps around', () => {
  fc.assert(
    fc.property(matrices, ({ columns, rows, smoothing }) => {
      const weight = Float32Array.from(rows.flatMap((row) => row.slice(0, columns)));
      const factors = new Float32Array(rows.length).fill(smoothing);
      const { values, scales } = quantizeWeights(weight, factors, rows.length, columns);
      for (let index = 0; index < values.length; index++) {
        const [value, next] = [values[index]!, values[index + columns] ?? 0];
        const isFirstOfPair = Math.floor(index / columns) % 2 === 0;
        if (isFirstOfPair) {
          const positive = Math.max(value, 0) + Math.max(next, 0);
          const negative = Math.min(value, 0) + Math.min(next, 0);
          expect(largestActivation * positive).toBeLessThanOrEqual(largestSum);
          expect(largestActivation * negative).toBeGreaterThanOrEqual(-largestSum - 1);
        }
        const scale = scales[index % columns]!;
        expect(Math.abs(value * scale - weight[index]! * smoothing)).toBeLessThanOrEqual(scale * 0.5001);
      }
    }),
    { numRuns: 2000 },
  );
});

it('uses the whole range where no neighbours add up', () => {
  const { values } = quantizeWeights(Float32Array.of(1, 0, -0.25, 0), new Float32Array(4).fill(1), 4, 1);
  expect([...values]).toEqual([127, 0, -32, 0]);
});
