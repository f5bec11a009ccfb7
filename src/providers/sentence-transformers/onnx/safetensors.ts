import { readFile } from 'node:fs/promises';
import { floatBitsOfHalf } from './half-float.js';

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The longest header that is believed; the format's own reader has the same limit. */
const maxHeaderBytes = 100_000_000;

/**
 * Reads weights in the safetensors format (eight bytes of header length, a JSON header, raw little-endian data) and widens them to float32.
 * https://huggingface.co/docs/safetensors
 */
export class Safetensors {
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #data: Uint8Array;

  private constructor(entries: ReadonlyMap<string, TensorEntry>, data: Uint8Array) {
    this.#entries = entries;
    this.#data = data;
  }

  static async read(file: string): Promise<Safetensors> {
    return Safetensors.parse(await readFile(file));
  }

  /** @throws an Error that says what is wrong with the file. */
  static parse(bytes: Uint8Array): Safetensors {
    if (bytes.byteLength < 8)
      throw new Error(`a safetensors file has at least 8 bytes, this one has ${bytes.byteLength}`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const headerBytes = Number(view.getBigUint64(0, true));
    if (headerBytes > maxHeaderBytes || 8 + headerBytes > bytes.byteLength) {
      throw new Error(`the safetensors header claims ${headerBytes} bytes of a file of ${bytes.byteLength}`);
    }
    // Not `bytes.subarray`: a Buffer's `slice` would not copy, and a tensor must start at an aligned offset.
    const data = new Uint8Array(bytes.buffer, bytes.byteOffset + 8 + headerBytes, bytes.byteLength - 8 - headerBytes);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Record<
      string,
      TensorEntry
    >;
    const entries = new Map<string, TensorEntry>();
    for (const [name, entry] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      const [start, end] = entry.data_offsets;
      if (!(start >= 0 && start <= end && end <= data.byteLength)) {
        throw new Error(`the tensor ${name} lies outside of the safetensors file`);
      }
      entries.set(name, entry);
    }
    return new Safetensors(entries, data);
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  shape(name: string): readonly number[] {
    return this.#entry(name).shape;
  }

  /** The bytes of a float16 tensor, in a copy, or undefined where it has another type. */
  float16(name: string): Uint8Array | undefined {
    const { dtype, data_offsets } = this.#entry(name);
    return dtype === 'F16' ? this.#data.slice(data_offsets[0], data_offsets[1]) : undefined;
  }

  /** The values as float32, in a copy. @throws an Error where the tensor is absent or of another type than float. */
  float32(name: string): Float32Array {
    const { dtype, shape, data_offsets } = this.#entry(name);
    const bytes = this.#data.slice(data_offsets[0], data_offsets[1]);
    const count = shape.reduce((product, size) => product * size, 1);
    const width = { F32: 4, F16: 2, BF16: 2 }[dtype];
    if (width === undefined) throw new Error(`the tensor ${name} is ${dtype}; F32, F16 and BF16 can be read`);
    if (bytes.byteLength !== count * width)
      throw new Error(`the tensor ${name} has ${bytes.byteLength} bytes for ${count} values`);
    if (dtype === 'F32') return new Float32Array(bytes.buffer);
    const halves = new Uint16Array(bytes.buffer);
    const bits = dtype === 'BF16' ? Uint32Array.from(halves, (half) => half << 16) : widenHalves(halves);
    return new Float32Array(bits.buffer);
  }

  #entry(name: string): TensorEntry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`the safetensors file has no tensor ${name}`);
    return entry;
  }
}

let halfBits: Uint32Array | undefined;

function widenHalves(halves: Uint16Array): Uint32Array {
  halfBits ??= Uint32Array.from({ length: 65536 }, (_, half) => floatBitsOfHalf(half));
  const table = halfBits;
  const bits = new Uint32Array(halves.length);
  for (let index = 0; index < halves.length; index++) bits[index] = table[halves[index]!]!;
  return bits;
}
