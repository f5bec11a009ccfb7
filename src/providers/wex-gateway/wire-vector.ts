/** A vector as it came over the wire, or in one phrase why it is of no use. */
export type WireVector = Float32Array | string;

/** Decoded straight into the vector: no number[] in between, and no memory shared with other vectors. */
export function vectorFromBase64(text: string): WireVector {
  // The decoder looks at the lower half of a wider character only.
  if (Buffer.byteLength(text) !== text.length) return 'not valid base64';
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = text.length - padding;
  const byteLength = Math.floor((digits * 3) / 4);
  if (digits % 4 === 1 || byteLength % 4 !== 0) return 'base64 of a length that no float32 vector has';
  // Not from the pool, and not filled with zeros first: it is given out only where every byte was written.
  const bytes = Buffer.allocUnsafeSlow(byteLength);
  if (bytes.write(text, 'base64') !== byteLength) return 'not valid base64';
  return checked(new Float32Array(bytes.buffer));
}

export function vectorFromNumbers(numbers: readonly unknown[]): WireVector {
  if (!numbers.every((number) => typeof number === 'number')) return 'a list with something else than numbers';
  return checked(new Float32Array(numbers as number[]));
}

function checked(vector: Float32Array): WireVector {
  if (vector.length === 0) return 'empty';
  // One number that is not finite makes the sum not finite, and float32 values cannot add up to more than a double holds.
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += Math.abs(vector[i] as number);
  if (!Number.isFinite(sum)) return 'not finite';
  return sum === 0 ? 'all zeros' : vector;
}
