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
    const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes)));
    if (typeof header !== 'object' || header === null || Array.isArray(header)) {
      throw new Error('the safetensors header is not an object');
    }
    const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
    for (const [name, entry] of entries) requireEntry(name, entry);
    requireContiguous(entries, data.byteLength);
    return new Safetensors(new Map(entries), data);
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
    const { dtype, data_offsets } = this.#entry(name);
    const bytes = this.#data.slice(data_offsets[0], data_offsets[1]);
    if (!widths.has(dtype)) throw new Error(`the tensor ${name} is ${dtype}; F32, F16 and BF16 can be read`);
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

/** Bytes a value, of the types that can be read. */
const widths: ReadonlyMap<string, number> = new Map([
  ['F32', 4],
  ['F16', 2],
  ['BF16', 2],
]);

/** @throws an Error unless the entry has the form that the format demands. */
function requireEntry(name: string, entry: TensorEntry | null): void {
  const { dtype, shape, data_offsets: offsets } = entry ?? {};
  const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  const isWhole = Array.isArray(shape) && shape.every(isCount) && Array.isArray(offsets) && offsets.every(isCount);
  if (typeof dtype !== 'string' || !isWhole || offsets.length !== 2) {
    throw new Error(`the tensor ${name} is not described as the safetensors format demands`);
  }
  const count = shape.reduce((product: number, size: number) => product * size, 1);
  const bytes = offsets[1] - offsets[0];
  if (widths.has(dtype) && bytes !== count * widths.get(dtype)!) {
    throw new Error(`the tensor ${name} has ${bytes} bytes for ${count} values`);
  }
}

/** @throws an Error unless the tensors lie one after the other and fill the file: two that overlap would pass for whole weights. */
function requireContiguous(entries: readonly (readonly [string, TensorEntry])[], byteLength: number): void {
  const ordered = entries.map(
    ([
      name,
      {
        data_offsets: [start, end],
      },
    ]) => ({ name, start, end }),
  );
  ordered.sort((left, right) => left.start - right.start || left.end - right.end);
  let position = 0;
  for (const { name, start, end } of ordered) {
    if (end > byteLength) throw new Error(`the tensor ${name} lies outside of the safetensors file`);
    if (start !== position || end < start) {
      throw new Error(`the tensor ${name} starts at byte ${start}, where ${position} is the next`);
    }
    position = end;
  }
  if (position !== byteLength) throw new Error(`the safetensors file has ${byteLength - position} bytes of no tensor`);
}

let halfBits: Uint32Array | undefined;

function widenHalves(halves: Uint16Array): Uint32Array {
  halfBits ??= Uint32Array.from({ length: 65536 }, (_, half) => floatBitsOfHalf(half));
  const table = halfBits;
  const bits = new Uint32Array(halves.length);
  for (let index = 0; index < halves.length; index++) bits[index] = table[halves[index]!]!;
  return bits;
}
