import type { CheckedRecord } from './record-checks.js';

/** Small requests are answered sooner, and a server takes no more than 32 MB in one. */
const maxPoints = 256;
const maxBytes = 8_000_000;

/**
 * Splits records into requests by count and by bytes. A record id that comes again begins another request, so that within one no order
 * decides which of the two is stored.
 */
export async function* toBatches(
  records: Iterable<CheckedRecord> | AsyncIterable<CheckedRecord>,
): AsyncGenerator<CheckedRecord[]> {
  let batch: CheckedRecord[] = [];
  let ids = new Set<string>();
  let byteCount = 0;
  for await (const record of records) {
    const isFull = batch.length === maxPoints || byteCount + record.byteCount > maxBytes || ids.has(record.pointId);
    if (isFull && batch.length > 0) {
      yield batch;
      batch = [];
      ids = new Set();
      byteCount = 0;
    }
    batch.push(record);
    ids.add(record.pointId);
    byteCount += record.byteCount;
  }
  if (batch.length > 0) yield batch;
}
