import { expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { random } from '../../fixtures/local-engine/writer-operations.js';

const pointCount = 3000;

/** Some vectors far apart, some so near to each other that float32 cannot tell their scores. */
function makeVectors(dimension: number): number[][] {
  const next = random(dimension);
  const vector = (): number[] => Array.from({ length: dimension }, () => next() - 0.5);
  const center = vector();
  return Array.from({ length: pointCount }, (_, at) =>
    at % 3 === 0 ? center.map((value) => value + (next() - 0.5) * 1e-5) : vector(),
  );
}

function cosine(left: readonly number[], right: readonly number[]): number {
  let [dot, leftSquares, rightSquares] = [0, 0, 0];
  left.forEach((value, at) => {
    const other = right[at] as number;
    dot += value * other;
    leftSquares += value * value;
    rightSquares += other * other;
  });
  return dot / Math.sqrt(leftSquares * rightSquares);
}

it.each([2, 384, 1536])('finds exactly the nearest of %i dimensions, with scores to 1e-6', async (dimension) => {
  const vectors = makeVectors(dimension);
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', { vectors: { size: dimension, distance: 'Cosine' } });
  await client.upsert('docs', { points: vectors.map((vector, id) => ({ id, vector, payload: { third: id % 3 } })) });
  const next = random(1);
  const queries = [
    vectors[0] as number[],
    ...Array.from({ length: 5 }, () => Array.from({ length: dimension }, () => next() - 0.5)),
  ];
  for (const query of queries) {
    for (const third of [0, 1, undefined]) {
      const filter = third === undefined ? undefined : { must: [{ key: 'third', match: { value: third } }] };
      const { points } = await client.query('docs', { query, filter, limit: 10 });
      const exact = vectors
        .map((vector, id) => ({ id, score: cosine(query, vector) }))
        .filter(({ id }) => third === undefined || id % 3 === third)
        .sort((left, right) => right.score - left.score);
      expect(points.length).toBe(10);
      const worst = exact[9]?.score as number;
      points.forEach((point, rank) => {
        const own = exact.find(({ id }) => id === point.id)?.score as number;
        expect(Math.abs((point.score as number) - own)).toBeLessThan(1e-6);
        expect(Math.abs((point.score as number) - (exact[rank]?.score as number))).toBeLessThan(1e-6);
        // Nothing outside the ten nearest, but for what the float32 of the stored vectors cannot tell apart.
        expect(own).toBeGreaterThan(worst - 2e-7);
      });
    }
  }
});
