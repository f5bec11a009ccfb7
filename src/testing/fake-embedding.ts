/**
 * A vector that depends on the text alone, so that a test can tell whether a vector belongs to its text. Of length 1,
 * and every value is exact in float32.
 */
export function fakeEmbedding(text: string, dimension: number): Float32Array {
  const vector = new Float32Array(dimension);
  let state = seedOf(text);
  let squares = 0;
  for (let i = 0; i < dimension; i++) {
    // mulberry32: one multiplication chain a value, well mixed from any seed.
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const value = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1;
    vector[i] = value;
    squares += value * value;
  }
  const length = Math.sqrt(squares);
  return vector.map((value) => value / length);
}

/** FNV-1a over UTF-16 code units. */
function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}
