import { InvalidInputError } from '../../errors.js';
import type { CallOptions } from '../ports/call-options.js';
import type { JsonValue, SimilarRecord, VectorStore } from '../ports/vector-store.js';
import type { CheckedIndexRecord } from './check-record.js';
import { type CheckedChunking, chunkText } from './chunking.js';
import { pieceCountOf } from './content-hash.js';

/** A piece of a long text, and its place in it. */
export interface Excerpt {
  /** 0 for the first piece. */
  readonly position: number;
  /** How many pieces the text has. */
  readonly count: number;
  /** The piece is `text.slice(start, end)`. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The metadata key of a piece. A host's metadata may not hold it. */
const pieceKey = 'pulse_piece';
/** Begins the record id of every piece but the first. No record of a host may have such an id. */
const idPrefix = 'pulse_piece:';

/** The first piece has the record's own id, so that a record whose text becomes short, or long, is still one record. */
function pieceId(recordId: string | number, position: number): string | number {
  return position === 0 ? recordId : `${idPrefix}${position}:${JSON.stringify(recordId)}`;
}

export function isLaterPiece(recordId: string | number): boolean {
  return typeof recordId === 'string' && recordId.startsWith(idPrefix);
}

/** @throws {@link InvalidInputError} for a record that would be taken for a piece of another one. */
export function requireNoPiece({ recordId, metadata }: CheckedIndexRecord, position: number): void {
  if (!isLaterPiece(recordId) && !Object.hasOwn(metadata, pieceKey)) return;
  throw new InvalidInputError(
    `Expected the record at position ${position} to have neither an id that begins with \`${idPrefix}\` nor the metadata key \`${pieceKey}\`: the index sets them.`,
    { position },
  );
}

/** A record to store: a whole one, or a piece of one. */
export interface StoredUnit extends CheckedIndexRecord {
  /** Of the record that it is a piece of. */
  readonly ownerId: string | number;
  readonly isFirst: boolean;
  /** How many pieces the record has. */
  readonly pieceCount: number;
}

/** A record as what is stored of it: itself if its text is short, or else its pieces. */
export function toUnits(record: CheckedIndexRecord, chunking: CheckedChunking | undefined): StoredUnit[] {
  const { recordId, text, metadata } = record;
  const pieces = chunking === undefined ? [] : chunkText(text, chunking);
  if (pieces.length < 2) return [{ ...record, ownerId: recordId, isFirst: true, pieceCount: 1 }];
  return pieces.map(({ start, end }, position) => {
    const piece = text.slice(start, end);
    const excerpt = { position, count: pieces.length, start, end, text: piece, record: recordId };
    return {
      recordId: pieceId(recordId, position),
      text: piece,
      metadata: { ...metadata, [pieceKey]: excerpt },
      ownerId: recordId,
      isFirst: position === 0,
      pieceCount: pieces.length,
    };
  });
}

/** A record that was found, by the piece that is closest to the query if its text is long. */
export interface IndexHit extends SimilarRecord {
  readonly excerpt?: Excerpt | undefined;
}

/** Each record once, with its best piece, in the order of the hits. */
export function foldPieces(hits: readonly SimilarRecord[]): IndexHit[] {
  const seen = new Set<string | number>();
  const folded: IndexHit[] = [];
  for (const hit of hits) {
    const read = readPiece(hit);
    if (seen.has(read.recordId)) continue;
    seen.add(read.recordId);
    folded.push(read);
  }
  return folded;
}

function readPiece(hit: SimilarRecord): IndexHit {
  const { [pieceKey]: piece, ...metadata } = hit.metadata;
  if (piece === undefined) return hit;
  const { record, ...excerpt } = piece as unknown as Excerpt & { readonly record: string | number };
  return { ...hit, recordId: record, metadata: metadata as Record<string, JsonValue>, excerpt };
}

/**
 * Deletes records with all their pieces. The first piece goes last: it says how many there are, should this be cut
 * short.
 */
export async function deleteWithPieces(
  store: VectorStore,
  { tenantId, tableName, signal }: CallOptions & { readonly tenantId: number; readonly tableName: string },
  recordIds: readonly (string | number)[],
): Promise<void> {
  const stored = (await store.readStored?.(tenantId, tableName, recordIds, { signal })) ?? [];
  const pieces = stored.flatMap(({ recordId, contentHash }) => laterPieces(recordId, 1, pieceCountOf(contentHash)));
  if (pieces.length > 0) await store.deleteRecords(tenantId, tableName, pieces, { signal });
  await store.deleteRecords(tenantId, tableName, recordIds, { signal });
}

/** The ids of a record's pieces from one position up to, and without, another. */
export function laterPieces(recordId: string | number, from: number, to: number): (string | number)[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, index) => pieceId(recordId, from + index));
}
