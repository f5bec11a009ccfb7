import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { halfBitsOfFloats } from '#src/providers/sentence-transformers/onnx/half-float.js';
import { Safetensors } from '#src/providers/sentence-transformers/onnx/safetensors.js';

function file(header: unknown, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  return Buffer.concat([length, json, data]);
}

const tensor = (dtype: string, shape: number[], bytes: number) => ({ t: { dtype, shape, data_offsets: [0, bytes] } });

const word = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
/** A file with the tensor `t`, described otherwise than it should be, and others. */
const described = (fields: object, others: object = {}, bytes = 4) =>
  file({ t: { ...word, ...fields }, ...others }, new Uint8Array(bytes));

describe('values', () => {
  it('float32 as they are', () => {
    const values = Float32Array.of(1.5, -2.25, 3e38);
    const read = Safetensors.parse(file(tensor('F32', [3], 12), new Uint8Array(values.buffer)));
    expect(read.float32('t')).toEqual(values);
    expect(read.shape('t')).toEqual([3]);
  });

  it('every float16 widened by the definition of the format', () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const read = Safetensors.parse(file(tensor('F16', [65536], 131072), new Uint8Array(halves.buffer)));
    const values = read.float32('t');
    for (let bits = 0; bits < 65536; bits++) {
      const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, (bits & 1023) / 1024];
      const finite = exponent === 0 ? 2 ** -14 * fraction : 2 ** (exponent - 15) * (1 + fraction);
      const expected = exponent < 31 ? sign * finite : fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
      if (!Object.is(values[bits], expected)) expect([bits, values[bits]]).toEqual([bits, expected]);
    }
  });

  it('every float16 narrowed to itself again, and the rest to the nearest', () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    const read = Safetensors.parse(
      file(tensor('F16', [halves.length], halves.byteLength), new Uint8Array(halves.buffer)),
    );
    const values = read.float32('t');
    expect(halfBitsOfFloats(values)).toEqual(halves);
    const between = values.subarray(1, 31_743).map((value, index) => (value + values[index]!) / 2);
    // Halfway between two neighbours the even one is taken.
    halfBitsOfFloats(between).forEach((bits, index) => {
      if (bits !== (index % 2 === 0 ? index : index + 1)) expect([index, bits]).toBe('the even neighbour');
    });
    expect([...halfBitsOfFloats(Float32Array.of(1e9, -1e9, 1.0001))]).toEqual([0x7bff, 0xfbff, 0x3c00]);
  });

  it('bfloat16 as the upper half of a float32', () => {
    const read = Safetensors.parse(file(tensor('BF16', [2], 4), Uint8Array.of(0x80, 0x3f, 0x20, 0xc0)));
    expect([...read.float32('t')]).toEqual([1, -2.5]);
  });
});

describe('damaged files', () => {
  it.each([
    ['an empty file', new Uint8Array(), /at least 8 bytes/],
    ['a header longer than the file', Uint8Array.of(255, 0, 0, 0, 0, 0, 0, 0, 123), /header claims 255 bytes/],
    ['a tensor outside of the file', file(tensor('F32', [3], 12)), /t lies outside/],
    ['a header that is null', file(null), /header is not an object/],
    ['a header that is a list', file([]), /header is not an object/],
    ['a tensor that is null', file({ t: null }), /t is not described/],
    ['offsets that are strings', described({ data_offsets: ['0', '4'] }), /t is not described/],
    ['offsets between bytes', described({ data_offsets: [0.5, 4.5] }), /t is not described/],
    ['three offsets', described({ data_offsets: [0, 4, 4] }), /t is not described/],
    ['no offsets', described({ data_offsets: undefined }), /t is not described/],
    ['a negative shape', described({ shape: [-1, -1] }), /t is not described/],
    ['no shape', described({ shape: undefined }), /t is not described/],
    ['a type that is no string', described({ dtype: 1 }), /t is not described/],
    ['a shape that does not fit', described({ shape: [3] }), /4 bytes for 3 values/],
    ['an end before the start', described({ dtype: 'I8', data_offsets: [4, 0] }), /starts at byte 4/],
    ['two tensors in one place', described({}, { u: word }), /u starts at byte 0, where 4 is the next/],
    ['a gap', described({ data_offsets: [4, 8] }, {}, 8), /t starts at byte 4, where 0 is the next/],
    ['bytes of no tensor', described({}, {}, 6), /2 bytes of no tensor/],
    [
      'a header that is not JSON',
      Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{x')]),
      SyntaxError,
    ],
  ])('%s is an error that says so', (_, bytes, message) => {
    expect(() => Safetensors.parse(bytes)).toThrow(message);
  });

  it('another type is an error when the tensor is read', () => {
    const parsed = Safetensors.parse(file(tensor('I64', [1], 8), new Uint8Array(8)));
    expect(() => parsed.float32('t')).toThrow(/is I64/);
  });

  it('no bytes make it crash in another way than by an Error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          Safetensors.parse(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
