import type { Mutation } from '../collection.js';
import type { CollectionConfig } from '../collection-config.js';
import type { JsonObject } from '../json.js';
import type { DenseBatch } from '../point-batch.js';
import type { PointId } from '../point-id.js';
import type { SparseVector } from '../vectors/sparse-vectors.js';

/**
 * `closed`: the store was closed after what comes before it, so a damaged record there is rot and not a crash. `end`:
 * a snapshot is complete.
 */
export type LogEntry = Mutation | { readonly kind: 'closed' } | { readonly kind: 'end' };

interface EntryHeader {
  readonly kind: LogEntry['kind'];
  readonly config?: CollectionConfig;
  readonly ids?: PointId[];
  readonly payloads?: JsonObject[];
  readonly sparse?: Record<string, (SparseVector | null)[]>;
  /** In the order in which their values follow the header. Positions are left out if every point has the vector. */
  readonly dense?: { name: string; count: number; dimension: number; positions?: readonly number[] }[];
}

const lengthBytes = 4;

/**
 * A record's body: the length of a JSON header, the header, padding to 4 bytes, and the dense vectors as they are in
 * memory. In parts, which share that memory.
 */
export function encodeEntry(entry: LogEntry): Uint8Array[] {
  const { header, values } = splitVectors(entry);
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32LE(json.length);
  const bytes = values.map((value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  return [length, json, Buffer.alloc(padding(json.length)), ...bytes];
}

function splitVectors(entry: LogEntry): { header: unknown; values: Float32Array[] } {
  if (entry.kind !== 'upsert') return { header: entry, values: [] };
  const batches = Object.entries(entry.dense);
  const dense = batches.map(([name, { positions, values }]) => ({
    name,
    count: positions.length,
    dimension: positions.length === 0 ? 0 : values.length / positions.length,
    ...(positions.length === entry.ids.length ? {} : { positions }),
  }));
  return { header: { ...entry, dense }, values: batches.map(([, { values }]) => values) };
}

/** The entry may share memory with `body`. */
export function decodeEntry(body: Buffer): LogEntry {
  const jsonBytes = body.readUInt32LE(0);
  const jsonEnd = lengthBytes + jsonBytes;
  const header = JSON.parse(body.toString('utf8', lengthBytes, jsonEnd)) as EntryHeader;
  if (header.kind !== 'upsert') return header as LogEntry;
  let offset = jsonEnd + padding(jsonBytes);
  const dense: Record<string, DenseBatch> = {};
  for (const { name, count, dimension, positions } of header.dense ?? []) {
    const values = floatsAt(body, offset, count * dimension);
    dense[name] = { positions: positions ?? Array.from({ length: count }, (_, position) => position), values };
    offset += values.byteLength;
  }
  return { ...header, dense } as LogEntry;
}

const padding = (length: number): number => (4 - ((lengthBytes + length) % 4)) % 4;

function floatsAt(body: Buffer, offset: number, length: number): Float32Array {
  const start = body.byteOffset + offset;
  if (start % 4 === 0) return new Float32Array(body.buffer, start, length);
  return new Float32Array(new Uint8Array(body.subarray(offset, offset + length * 4)).buffer);
}
