/** Scales the vector to length 1 in place, as torch does: a vector of length 0 stays what it is. */
export function normalize(vector: Float32Array): Float32Array {
  let sum = 0;
  for (let index = 0; index < vector.length; index++) sum += vector[index]! * vector[index]!;
  const scale = 1 / Math.max(Math.sqrt(sum), 1e-12);
  for (let index = 0; index < vector.length; index++) vector[index]! *= scale;
  return vector;
}
