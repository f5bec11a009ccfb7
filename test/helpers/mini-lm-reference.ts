import { readFileSync } from 'node:fs';

/**
 * Texts with the token ids and vectors that Python's sentence-transformers makes of them with all-MiniLM-L6-v2 in
 * float32.
 */
export interface MiniLmReference {
  readonly texts: readonly string[];
  readonly tokenIds: readonly (readonly number[])[];
  readonly vectors: readonly (readonly number[])[];
}

export function readMiniLmReference(): MiniLmReference {
  return JSON.parse(readFileSync(new URL('../fixtures/minilm-reference.json', import.meta.url), 'utf8'));
}

export function cosine(left: ArrayLike<number>, right: ArrayLike<number>): number {
  let [product, leftSquares, rightSquares] = [0, 0, 0];
  for (let index = 0; index < left.length; index++) {
    product += left[index]! * right[index]!;
    leftSquares += left[index]! ** 2;
    rightSquares += right[index]! ** 2;
  }
  return product / Math.sqrt(leftSquares * rightSquares);
}
