import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LargestScores } from '#src/vector-stores/local/query/top-rows.js';
import { Int8Copies } from '#src/vector-stores/local/vectors/int8-copies.js';
import { int8KernelBytes } from '#src/vector-stores/local/vectors/int8-kernel-bytes.js';
import { assembleKernel } from '../../../../../.ci/assemble-kernels.js';

it('is what its source assembles to', async () => {
  const assembled = await assembleKernel('src/vector-stores/local/vectors/int8-kernel');
  expect(Buffer.from(int8KernelBytes).equals(assembled)).toBe(true);
});

const normOf = (vector: Float32Array): number => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));

function dot(left: Float32Array, right: Float32Array): number {
  let sum = 0;
  left.forEach((value, at) => {
    sum += value * (right[at] as number);
  });
  return sum;
}

function copiesOf(vectors: readonly Float32Array[], dimension: number): Int8Copies {
  const copies = Int8Copies.create(dimension);
  if (!copies?.reserve(vectors.length)) throw new Error('This runtime has no WebAssembly.');
  vectors.forEach((vector, row) => {
    copies.set(row, vector, normOf(vector) * (1 + 1e-9));
  });
  return copies;
}

/** Numbers of ordinary sizes, of very different ones, and such that are hardest to round. */
const numbers = fc.oneof(
  { weight: 5, arbitrary: fc.float({ min: -1, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, -1, 0.5, 1 / 254, -1 / 254, 3 / 254, 1e-9, -1e-9) },
);
const sizes = fc.constantFrom(1, 1, 1, 1e-3, 1e-8, 1e-15, 1e-25, 1e-38, 1e4, 1e12, 1e20, 1e35);
const vectorsOf = (dimension: number) =>
  fc
    .record({ values: fc.array(numbers, { minLength: dimension, maxLength: dimension }), size: sizes })
    .map(({ values, size }) => Float32Array.from(values, (value) => value * size));
const matrices = fc.integer({ min: 1, max: 150 }).chain((dimension) =>
  fc.record({
    query: vectorsOf(dimension),
    vectors: fc.array(vectorsOf(dimension), { minLength: 1, maxLength: 8 }),
  }),
);

it('bounds every dot product', () => {
  fc.assert(
    fc.property(matrices, ({ query, vectors }) => {
      const copies = copiesOf(vectors, query.length);
      vectors.forEach((vector, row) => {
        const { lower, upper } = copies.boundsOf(query, row);
        // Beyond float32 there are no bounds, and `candidates` leaves nothing out.
        if (!Number.isFinite(lower) || !Number.isFinite(upper)) return;
        expect(dot(query, vector)).toBeGreaterThanOrEqual(lower);
        expect(dot(query, vector)).toBeLessThanOrEqual(upper);
      });
    }),
    { numRuns: 2000 },
  );
});

it('never leaves out one of the best', async () => {
  await fc.assert(
    fc.asyncProperty(matrices, fc.integer({ min: 1, max: 4 }), async ({ query, vectors }, count) => {
      const copies = copiesOf(vectors, query.length);
      const rows = Uint32Array.from(vectors, (_, row) => row);
      const infinite = Number.NEGATIVE_INFINITY;
      const found = await copies.candidates(query, rows, new LargestScores(count), infinite, () => undefined);
      const scores = vectors.map((vector) => Math.fround(dot(query, vector)));
      const worst = [...scores].sort((left, right) => right - left)[Math.min(count, scores.length) - 1] as number;
      scores.forEach((score, row) => {
        if (score >= worst) expect([...found]).toContain(row);
      });
    }),
    { numRuns: 2000 },
  );
});

it('leaves out nearly all of many vectors, by scores a little apart', async () => {
  const dimension = 384;
  const wave = (at: number) =>
    Float32Array.from({ length: dimension }, (_, index) => Math.sin(at * 12.9898 + index * 78.233) / 14);
  const vectors = Array.from({ length: 3000 }, (_, at) => wave(at));
  const copies = copiesOf(vectors, dimension);
  const rows = Uint32Array.from(vectors, (_, row) => row);
  const found = await copies.candidates(
    wave(-7),
    rows,
    new LargestScores(10),
    Number.NEGATIVE_INFINITY,
    () => undefined,
  );
  expect(found.length).toBeLessThan(300);
  const nothing = await copies.candidates(wave(-7), rows, new LargestScores(10), 5, () => undefined);
  expect(nothing.length).toBe(0);
});

it('stays exact if the numbers are as large as they can be', () => {
  for (const dimension of [384, 4096, 65_536]) {
    const ones = new Float32Array(dimension).fill(1);
    const { lower, upper } = copiesOf([ones], dimension).boundsOf(ones, 0);
    expect(lower).toBeLessThanOrEqual(dimension);
    expect(upper).toBeGreaterThanOrEqual(dimension);
    expect(upper - lower).toBeLessThan(dimension * 0.01);
  }
});
