import { type FileHandle, open } from 'node:fs/promises';
import type { Collection } from '../collection.js';
import type { DenseBatch } from '../point-batch.js';
import type { PointId } from '../point-id.js';
import { writeAll } from './files.js';
import { encodeEntry } from './mutation-codec.js';
import { encodeFileHeader, encodeRecord } from './record-file.js';

/** Few enough to be written between two turns of the event loop. */
const rowsPerRecord = 256;

/**
 * Writes all points of a collection, a few at a time, while it goes on changing.
 * The file is on disk when this returns; it becomes the snapshot when it gets its name.
 */
export async function writeSnapshot(
  path: string,
  generation: number,
  collection: Collection,
  signal: AbortSignal,
): Promise<void> {
  const handle = await open(path, 'w');
  try {
    const writer = new SnapshotWriter(handle);
    await writer.write(encodeFileHeader(generation));
    await writer.writeRecord(encodeEntry({ kind: 'configure', config: collection.config }));
    for (let row = 0; row < collection.points.rowCount; row += rowsPerRecord) {
      signal.throwIfAborted();
      await writer.writeRecord(encodeEntry({ kind: 'upsert', ...readRows(collection, row, row + rowsPerRecord) }));
    }
    await writer.writeRecord(encodeEntry({ kind: 'end' }));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

class SnapshotWriter {
  readonly #handle: FileHandle;
  #offset = 0;
  #sequence = 1;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await writeAll(this.#handle, bytes, this.#offset);
    this.#offset += bytes.length;
  }

  async writeRecord(parts: readonly Uint8Array[]): Promise<void> {
    await this.write(encodeRecord(this.#sequence++, parts));
  }
}

function readRows(collection: Collection, from: number, to: number) {
  const rows: number[] = [];
  const ids: PointId[] = [];
  for (let row = from; row < Math.min(to, collection.points.rowCount); row++) {
    // A retired row would bring back what was replaced.
    if (!collection.points.isLive(row)) continue;
    rows.push(row);
    ids.push(collection.points.idOf(row) as PointId);
  }
  const dense: Record<string, DenseBatch> = {};
  for (const [name, matrix] of collection.dense) {
    const positions = rows.flatMap((row, position) => (matrix.has(row) ? [position] : []));
    const values = new Float32Array(positions.length * matrix.dimension);
    positions.forEach((position, at) => {
      values.set(matrix.get(rows[position] as number), at * matrix.dimension);
    });
    dense[name] = { positions, values };
  }
  return {
    ids,
    payloads: rows.map((row) => collection.points.payloadOf(row)),
    dense,
    sparse: Object.fromEntries(
      Array.from(collection.sparse, ([name, vectors]) => [name, rows.map((row) => vectors.get(row) ?? null)]),
    ),
  };
}
