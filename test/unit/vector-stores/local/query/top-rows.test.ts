import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nthLargest } from '#src/vector-stores/local/query/top-rows.js';

it('finds the n-th largest score', () => {
  const scores = fc.array(fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, 1, 1, 0.5)), { maxLength: 60 });
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 30 }), (values, count) => {
      const floats = Float32Array.from(values);
      const sorted = [...floats].sort((left, right) => right - left);
      const expected = count < sorted.length ? (sorted[count - 1] as number) : Number.NEGATIVE_INFINITY;
      expect(nthLargest(floats, count) === expected).toBe(true);
    }),
  );
});
