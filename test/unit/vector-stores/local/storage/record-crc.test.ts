import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { encodeRecord, recordHeaderBytes } from '#src/vector-stores/local/storage/record-file.js';

it('a part without bytes, as a snapshot of deleted rows has, leaves the checksum of the others', () => {
  const empty = Buffer.from(new Float32Array(0).buffer);
  const record = encodeRecord(1, [Buffer.from('body'), empty]);
  expect(record.readUInt32LE(12)).toBe(crc32(record.subarray(recordHeaderBytes)));
});
