import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { storageCorrupt, storageTooNew } from './storage-error.js';

/**
 * The version of all files of a store. A build refuses a store of a later one. Since version 2 a store has a catalog
 * with a checksum; its logs and snapshots are as before.
 */
export const formatVersion = 2;

/** Where the last log of a collection ends. */
export interface LogEnd {
  readonly generation: number;
  /** In bytes. */
  readonly length: number;
}

/** @throws `unsupported_operation` for a later version. */
export function requireReadable(path: string, version: number): void {
  if (version > formatVersion) throw storageTooNew(path, version, formatVersion);
}

// A file is a header (magic, version, generation, CRC) and records. A record is a header (magic, body length, sequence,
// CRC of the body, CRC of the header so far) and a body. All numbers are unsigned 32-bit, little-endian. The header has
// a CRC of its own so that a length can be trusted: that is what tells a record that was cut off by a crash from one
// that rotted in the middle of the file.
const fileMagic = 0x534c_4c50;
const recordMagic = 0x5243_4552;
const fileHeaderBytes = 16;
export const recordHeaderBytes = 20;

export function encodeFileHeader(generation: number, version = formatVersion): Buffer {
  return sealHeader(fileMagic, version, generation);
}

/** A record whose body is the parts, one after the other. */
export function encodeRecord(sequence: number, parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  // zlib takes an empty view of an empty ArrayBuffer for none at all and answers 0, whatever the CRC was so far.
  const bodyCrc = parts.reduce((crc, part) => (part.length === 0 ? crc : crc32(part, crc)), 0);
  return Buffer.concat([sealHeader(recordMagic, length, sequence, bodyCrc), ...parts]);
}

function sealHeader(...words: number[]): Buffer {
  const header = Buffer.alloc(words.length * 4 + 4);
  words.forEach((word, index) => {
    header.writeUInt32LE(word, index * 4);
  });
  header.writeUInt32LE(crc32(header.subarray(0, -4)), words.length * 4);
  return header;
}

/** The words of a header, or undefined if its CRC or magic is wrong. */
function openHeader(header: Buffer, magic: number): number[] | undefined {
  if (crc32(header.subarray(0, -4)) !== header.readUInt32LE(header.length - 4) || header.readUInt32LE(0) !== magic) {
    return undefined;
  }
  return Array.from({ length: header.length / 4 - 1 }, (_, index) => header.readUInt32LE(index * 4));
}

/** If the intact part of a file ends, and the sequence of the record that comes next. */
export interface RecordFileEnd {
  readonly offset: number;
  readonly nextSequence: number;
  /** Whether something that a crash cut off follows; nothing of it was ever acknowledged. */
  readonly isTorn: boolean;
}

/**
 * Reads a file's records in order.
 *
 * @throws `storage_corrupt` if the header is wrong, or a damaged record is not the last thing in the file;
 *   `unsupported_operation` if the file is of a newer version.
 */
export async function readRecordFile(
  handle: FileHandle,
  path: string,
  generation: number,
  onRecord: (body: Buffer) => void,
): Promise<RecordFileEnd> {
  const { size } = await handle.stat();
  const reader = new BlockReader(handle, size);
  if (size < fileHeaderBytes) return { offset: 0, nextSequence: 1, isTorn: true };
  requireFileHeader(await reader.read(0, fileHeaderBytes), path, generation);

  let offset = fileHeaderBytes;
  let sequence = 1;
  while (offset < size) {
    const body = await readRecord(reader, offset, sequence, path);
    if (!body) return { offset, nextSequence: sequence, isTorn: true };
    onRecord(body);
    offset += recordHeaderBytes + body.length;
    sequence++;
  }
  return { offset, nextSequence: sequence, isTorn: false };
}

function requireFileHeader(header: Buffer, path: string, generation: number): void {
  const words = openHeader(header, fileMagic);
  if (!words) throw storageCorrupt(path, 'the header of a file is wrong');
  requireReadable(path, words[1] as number);
  if (words[2] !== generation) throw storageCorrupt(path, 'a file is not the one that its name says');
}

/** The body of the record at an offset, or undefined if it is the last one and was cut off. */
async function readRecord(
  reader: BlockReader,
  offset: number,
  sequence: number,
  path: string,
): Promise<Buffer | undefined> {
  if (reader.size - offset < recordHeaderBytes) return undefined;
  const words = openHeader(await reader.read(offset, recordHeaderBytes), recordMagic);
  if (!words) {
    if (await hasRecordAfter(reader, offset + 1, sequence))
      throw storageCorrupt(path, 'a record in the middle is damaged');
    return undefined;
  }
  const [, length, foundSequence, bodyCrc] = words as [number, number, number, number];
  if (foundSequence !== sequence) throw storageCorrupt(path, 'a record is missing');
  const end = offset + recordHeaderBytes + length;
  if (end > reader.size) return undefined;
  const body = await reader.read(offset + recordHeaderBytes, length);
  if (crc32(body) === bodyCrc) return body;
  if (end < reader.size) throw storageCorrupt(path, 'a record in the middle is damaged');
  return undefined;
}

/** Looks for the intact header of a later record behind a damaged one. */
async function hasRecordAfter(reader: BlockReader, from: number, sequence: number): Promise<boolean> {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(recordMagic);
  for (let offset = from; offset + recordHeaderBytes <= reader.size; ) {
    const block = await reader.read(offset, Math.min(blockBytes, reader.size - offset));
    const found = block.indexOf(magic);
    if (found >= 0 && found + recordHeaderBytes <= block.length) {
      const words = openHeader(block.subarray(found, found + recordHeaderBytes), recordMagic);
      if (words && (words[2] as number) > sequence) return true;
      offset += found + 1;
    } else {
      // A header may lie across the end of the block.
      offset += Math.max(1, block.length - recordHeaderBytes + 1);
    }
  }
  return false;
}

/** Small enough that the records of one are applied within a few milliseconds. */
const blockBytes = 1024 * 1024;

/** Reads a file front to back in large blocks. What it returns is valid until the next read. */
class BlockReader {
  readonly size: number;
  readonly #handle: FileHandle;
  #block = Buffer.alloc(0);
  #start = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    if (offset < this.#start || offset + length > this.#start + this.#block.length) await this.#load(offset, length);
    return this.#block.subarray(offset - this.#start, offset - this.#start + length);
  }

  async #load(offset: number, length: number): Promise<void> {
    const block = Buffer.allocUnsafe(Math.min(this.size - offset, Math.max(length, blockBytes)));
    for (let filled = 0; filled < block.length; ) {
      const { bytesRead } = await this.#handle.read(block, filled, block.length - filled, offset + filled);
      if (bytesRead === 0) throw new Error('A file of the local vector store became shorter while it was read.');
      filled += bytesRead;
    }
    this.#block = block;
    this.#start = offset;
  }
}
