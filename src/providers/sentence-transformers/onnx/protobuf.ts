/**
 * The little of the protobuf wire format that an ONNX file needs. Messages are lists of chunks, so that tensors of many megabytes
 * are never copied. https://protobuf.dev/programming-guides/encoding/
 */
export type Chunks = readonly Uint8Array[];

const encoder = new TextEncoder();

export function byteLength(chunks: Chunks): number {
  return chunks.reduce((total, chunk) => total + chunk.byteLength, 0);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

const tag = (field: number, wireType: number): Uint8Array => varint(field * 8 + wireType);

export function integerField(field: number, value: number): Chunks {
  return [tag(field, 0), varint(value)];
}

export function floatField(field: number, value: number): Chunks {
  return [tag(field, 5), new Uint8Array(Float32Array.of(value).buffer)];
}

export function bytesField(field: number, value: Uint8Array): Chunks {
  return [tag(field, 2), varint(value.byteLength), value];
}

export function stringField(field: number, value: string): Chunks {
  return bytesField(field, encoder.encode(value));
}

export function messageField(field: number, ...parts: Chunks[]): Chunks {
  const chunks = parts.flat();
  return [tag(field, 2), varint(byteLength(chunks)), ...chunks];
}
