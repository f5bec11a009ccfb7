import { webAssembly } from '../../../internal/web-assembly.js';
import { base64KernelBytes } from './base64-kernel-bytes.js';

interface Base64Kernel {
  /** Its memory, one page, holds one vector at a time: first its digits, then its values. */
  readonly bytes: Uint8Array;
  readonly values: Float32Array;
  readonly decode: (digitCount: number) => number;
}

const blockLength = 16;
/** Stands for zero bits. */
const zeroDigit = 0x41;
const outcomes = ['finite', undefined, 'not finite'] as const;

let kernel: Base64Kernel | null | undefined;

/**
 * The vector of float32 values that base64 stands for, or why it is of no use. Undefined if the kernel can't say:
 * beyond 12,285 values, of characters that the standard alphabet lacks, and in a runtime without SIMD instructions.
 */
export function decodeInKernel(
  base64: Uint8Array,
  digitCount: number,
): Float32Array | 'not finite' | 'all zeros' | undefined {
  if (kernel === undefined) kernel = createKernel();
  if (kernel === null || base64.length + blockLength > kernel.bytes.length) return undefined;
  kernel.bytes.set(base64);
  kernel.bytes.fill(zeroDigit, digitCount, digitCount + blockLength);
  const outcome = outcomes[kernel.decode(digitCount)];
  if (outcome !== 'finite') return outcome;
  const values = kernel.values.subarray(0, Math.floor((digitCount * 3) / 16));
  // Not in the kernel: the last digit may have bits that belong to no value. The first value nearly always settles it.
  if (!values.some((value) => value !== 0)) return 'all zeros';
  // Not from the pool, and not filled with zeros first.
  const vector = new Float32Array(Buffer.allocUnsafeSlow(values.byteLength).buffer);
  vector.set(values);
  return vector;
}

function createKernel(): Base64Kernel | null {
  if (!webAssembly?.validate(base64KernelBytes)) return null;
  const { exports } = new webAssembly.Instance(new webAssembly.Module(base64KernelBytes), {});
  const { buffer } = exports.memory as { buffer: ArrayBuffer };
  return {
    bytes: new Uint8Array(buffer),
    values: new Float32Array(buffer),
    decode: exports.decode as Base64Kernel['decode'],
  };
}
