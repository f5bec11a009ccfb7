import { decodeInKernel } from './base64-kernel.js';

/** A vector as it came over the wire, or in one phrase why it is of no use. */
export type WireVector = Float32Array | string;

const equalsSign = 0x3d;

/** Decoded straight into the vector: no number[] in between, and no memory shared with other vectors. */
export function vectorFromBase64(base64: Buffer): WireVector {
  const padding = base64.at(-1) !== equalsSign ? 0 : base64.at(-2) !== equalsSign ? 1 : 2;
  const digitCount = base64.length - padding;
  const byteLength = Math.floor((digitCount * 3) / 4);
  if (digitCount % 4 === 1 || byteLength % 4 !== 0) return 'base64 of a length that no float32 vector has';
  if (byteLength === 0) return 'empty';
  return decodeInKernel(base64, digitCount) ?? decodeInNode(base64, byteLength);
}

/** Also of the alphabet for addresses, and as long as can be. */
function decodeInNode(base64: Buffer, byteLength: number): WireVector {
  const text = base64.toString('latin1');
  // The decoder passes over what it does not know: the memory is given out only if every byte of it was written.
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
  // One number that is not finite makes the sum not finite, and float32 values cannot add up to more than a double
  // holds.
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += Math.abs(vector[i] as number);
  if (!Number.isFinite(sum)) return 'not finite';
  return sum === 0 ? 'all zeros' : vector;
}
