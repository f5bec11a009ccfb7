import type { CallOptions } from '../ports/call-options.js';
import type { VectorStore } from '../ports/vector-store.js';
import type { CheckedIndexRecord } from './check-record.js';
import { changeBetween, pieceCountOf } from './content-hash.js';
import { laterPieces, type StoredUnit } from './pieces.js';

interface Table extends CallOptions {
  readonly tenantId: number;
  readonly tableName: string;
}

/** What is to be done with each record of a slice; the numbers are places in the slice. */
export interface UpsertPlan {
  readonly unchanged: readonly { readonly index: number; readonly id: string }[];
  readonly otherMetadata: readonly number[];
  readonly changed: readonly number[];
  /** The ids of stored pieces that the records do not have any more. */
  readonly surplus: readonly (string | number)[];
}

/**
 * Compares a slice of records with what is stored, in one read.
 *
 * Two writers at once are no danger: a record that is left alone was stored as it is at the moment of the read, which
 * is as good as storing it then.
 *
 * @param hashes - One a record.
 */
export async function planUpsert(
  store: VectorStore,
  records: readonly StoredUnit[],
  hashes: readonly string[],
  { tenantId, tableName, signal }: Table,
): Promise<UpsertPlan> {
  const ids = records.map(({ recordId }) => recordId);
  const contents = (await store.readStored?.(tenantId, tableName, ids, { signal })) ?? [];
  const stored = new Map(contents.map((content) => [content.recordId, content]));
  const unchanged: { index: number; id: string }[] = [];
  const otherMetadata: number[] = [];
  const changed: number[] = [];
  const surplus: (string | number)[] = [];
  records.forEach(({ recordId, isFirst, pieceCount }, index) => {
    const content = stored.get(recordId);
    if (isFirst) surplus.push(...laterPieces(recordId, pieceCount, pieceCountOf(content?.contentHash)));
    const change = changeBetween(content?.contentHash, hashes[index]!);
    if (change === 'none') unchanged.push({ index, id: content!.id });
    else (change === 'metadata' ? otherMetadata : changed).push(index);
  });
  return { unchanged, otherMetadata, changed, surplus };
}

/**
 * The vectors of records whose text is as it was. A vector and its hash are read together: a record that another writer
 * has changed since the plan was made is `missing`, since its vector is of another text.
 */
export async function readVectors(
  store: VectorStore,
  records: readonly CheckedIndexRecord[],
  hashes: readonly string[],
  indexes: readonly number[],
  { tenantId, tableName, signal }: Table,
): Promise<{ placed: { index: number; vector: Float32Array }[]; missing: number[] }> {
  const placed: { index: number; vector: Float32Array }[] = [];
  const missing: number[] = [];
  if (indexes.length === 0) return { placed, missing };
  const ids = indexes.map((index) => records[index]!.recordId);
  const contents = (await store.readStored?.(tenantId, tableName, ids, { withVectors: true, signal })) ?? [];
  const stored = new Map(contents.map((content) => [content.recordId, content]));
  for (const index of indexes) {
    const content = stored.get(records[index]!.recordId);
    const isSameText = changeBetween(content?.contentHash, hashes[index]!) !== 'content';
    if (isSameText && content?.vector !== undefined) placed.push({ index, vector: content.vector });
    else missing.push(index);
  }
  return { placed, missing };
}
