import { type WebAssemblyMemory, webAssembly } from '../../../internal/web-assembly.js';
import { dotProductKernelBytes } from './dot-product-kernel-bytes.js';

/**
 * Writes to `scores` (float32) the dot product of the vector at `query` with each of the `count` rows whose numbers
 * (uint32) are at `rows`; row `r` is at `values + r * stride`. All are byte addresses in one memory, `stride` is
 * a multiple of 16.
 */
export type ScoreRows = (
  query: number,
  values: number,
  stride: number,
  rows: number,
  count: number,
  scores: number,
) => void;

let compiledModule: object | undefined;

/** The kernel over a memory: WebAssembly with SIMD instructions, or plain JavaScript if the runtime has none. */
export function createDotProductKernel(memory: WebAssemblyMemory): ScoreRows {
  if (!webAssembly?.validate(dotProductKernelBytes)) return createPlainKernel(memory);
  compiledModule ??= new webAssembly.Module(dotProductKernelBytes);
  const instance = new webAssembly.Instance(compiledModule, { kernel: { memory } });
  return instance.exports.scoreRows as ScoreRows;
}

export function createPlainKernel(memory: Pick<WebAssemblyMemory, 'buffer'>): ScoreRows {
  return (query, values, stride, rows, count, scores) => {
    const floats = new Float32Array(memory.buffer);
    const rowNumbers = new Uint32Array(memory.buffer, rows, count);
    const vector = floats.subarray(query / 4, (query + stride) / 4);
    for (let index = 0; index < count; index++) {
      const start = values / 4 + (rowNumbers[index] as number) * (stride / 4);
      // Four sums, as in the WebAssembly kernel, are also faster here.
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let at = 0; at < vector.length; at += 4) {
        a += (vector[at] as number) * (floats[start + at] as number);
        b += (vector[at + 1] as number) * (floats[start + at + 1] as number);
        c += (vector[at + 2] as number) * (floats[start + at + 2] as number);
        d += (vector[at + 3] as number) * (floats[start + at + 3] as number);
      }
      floats[scores / 4 + index] = a + b + (c + d);
    }
  };
}
