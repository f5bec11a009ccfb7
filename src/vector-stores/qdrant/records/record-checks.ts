import { requireMetadata, requireRecordId } from '../../../core/index/check-record.js';
import type { SparseVector, VectorRecord } from '../../../core/ports/vector-store.js';
import { InvalidInputError } from '../../../errors.js';
import { describeValue } from '../../../internal/validate.js';
import { pointId } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import { maxBytesPerDimension, requireSparseVector, requireVector } from '../wire/vectors.js';

/** A server refuses bodies over 32 MB. */
const maxBytesPerPoint = 30_000_000;
/** The keys that the store sets, the point id, and JSON's own signs, next to the parts of variable length. */
const fixedBytes = 250;
/** Long enough for any hash, short enough to be none of the texts. */
const maxContentHashLength = 200;

/** A record that a server would take. */
export interface CheckedRecord {
  readonly position: number;
  readonly recordId: string | number;
  readonly pointId: string;
  readonly vector: ArrayLike<number>;
  readonly sparseVector: SparseVector | undefined;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly contentHash: string | undefined;
  /** The most bytes that the point takes in a request. */
  readonly byteCount: number;
}

/** @throws {@link InvalidInputError} with the position, for a record that no server would take. */
export function checkRecord(
  { tenantId, tableName }: Pick<TenantScope, 'tenantId' | 'tableName'>,
  record: unknown,
  position: number,
): CheckedRecord {
  if (typeof record !== 'object' || record === null) {
    throw new InvalidInputError(`Expected a record at position ${position}, got ${describeValue(record)}.`, {
      position,
    });
  }
  const given = record as Partial<VectorRecord>;
  const recordId = requireRecordId(given.recordId, position);
  const vector = requireVector(given.vector, `the vector at position ${position}`, position);
  const sparseVector = requireSparseVector(given.sparseVector, `the sparse vector at position ${position}`, position);
  const metadata = requireMetadata(given.metadata, position);
  const contentHash = requireContentHash(given.contentHash, position);
  const byteCount =
    fixedBytes +
    Buffer.byteLength(JSON.stringify([tableName, recordId, metadata, contentHash])) +
    (vector.length + 2 * (sparseVector?.indices.length ?? 0)) * maxBytesPerDimension;
  if (byteCount > maxBytesPerPoint) {
    throw new InvalidInputError(
      `The record at position ${position} takes up to ${byteCount} bytes; a server takes at most 32 MB in a request.`,
      { position },
    );
  }
  return {
    position,
    recordId,
    pointId: pointId(tenantId, tableName, recordId),
    vector,
    sparseVector,
    metadata,
    contentHash,
    byteCount,
  };
}

function requireContentHash(value: unknown, position: number): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string' && value.length <= maxContentHashLength && /^[\x21-\x7e]+$/.test(value)) return value;
  throw new InvalidInputError(
    `Expected the content hash at position ${position} to be 1 to ${maxContentHashLength} ASCII characters without spaces, got ${describeValue(value)}.`,
    { position },
  );
}

/**
 * Checks all records before the first is sent.
 *
 * @throws {@link InvalidInputError} with the position of the first bad record, also of one whose record id is in the
 *   list twice: only one of the two could be stored.
 */
export function checkRecords(
  scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
  records: readonly VectorRecord[],
): CheckedRecord[] {
  const positions = new Map<string, number>();
  let dimension: number | undefined;
  return Array.from(records, (record: unknown, position) => {
    const checked = checkRecord(scope, record, position);
    dimension ??= checked.vector.length;
    requireSameDimension(checked, dimension);
    const first = positions.get(checked.pointId);
    if (first !== undefined) {
      throw new InvalidInputError(`The records at positions ${first} and ${position} have the same record id.`, {
        position,
      });
    }
    positions.set(checked.pointId, position);
    return checked;
  });
}

/**
 * Checks records as they are read. The signal is looked at with each, so that an aborted call reads no further and the
 * source gets its `return()`.
 *
 * @throws {@link InvalidInputError} with the position; the reason of `signal`.
 */
export async function* checkAsTheyCome(
  scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
  records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
  signal: AbortSignal | undefined,
): AsyncGenerator<CheckedRecord> {
  let position = 0;
  let dimension: number | undefined;
  for await (const record of records) {
    signal?.throwIfAborted();
    const checked = checkRecord(scope, record, position++);
    dimension ??= checked.vector.length;
    requireSameDimension(checked, dimension);
    yield checked;
  }
}

/** @throws {@link InvalidInputError} unless `records` can be read one by one. */
export function requireIterable(records: unknown): void {
  if (typeof records === 'object' && records !== null) {
    if (Symbol.iterator in records || Symbol.asyncIterator in records) return;
  }
  throw new InvalidInputError(`Expected \`records\` to be an array or an iterable, got ${describeValue(records)}.`);
}

function requireSameDimension({ vector, position }: CheckedRecord, dimension: number): void {
  if (vector.length === dimension) return;
  throw new InvalidInputError(
    `Expected the vector at position ${position} to have ${dimension} dimensions as those before it, got ${vector.length}.`,
    { position },
  );
}
