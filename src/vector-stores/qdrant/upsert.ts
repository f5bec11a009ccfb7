import pLimit from 'p-limit';
import type { VectorRecord } from '../../core/vector-store.js';
import {
  type AiProviderError,
  InvalidInputError,
  isAiProviderError,
  PartialUpsertError,
  type UpsertFailure,
} from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import type { Collection } from './collection-catalog.js';
import type { QdrantConnection } from './connection.js';
import type { TenantScope } from './filter.js';
import { pointId, requireRecordId } from './naming.js';
import { ownershipPayload, requireMetadata } from './payload.js';
import { requireDimension, requireVector, toWireVector } from './vectors.js';

/** A server refuses bodies over 32 MB and answers small requests sooner: at most 256 points and 8 MB each, four at a time. */
const maxPointsPerRequest = 256;
const maxBytesPerRequest = 8_000_000;
const maxBytesPerPoint = 30_000_000;
const concurrentRequests = 4;
/** The longest that a float32 gets as a JSON number, with its comma. */
const maxBytesPerDimension = 24;

export interface CheckedRecord {
  readonly position: number;
  readonly recordId: string | number;
  readonly vector: ArrayLike<number>;
  readonly payload: Record<string, unknown>;
  /** The most bytes that the point takes in a request. */
  readonly byteCount: number;
  readonly pointId: string;
}

/**
 * Checks every record before the first is sent.
 *
 * @throws {@link InvalidInputError} with the position of the first bad record, also of one whose record id stands in the batch twice.
 */
export function checkRecords(scope: TenantScope, records: readonly VectorRecord[]): CheckedRecord[] {
  let vectorSize: number | undefined;
  const positions = new Map<string, number>();
  return Array.from(records, (record: unknown, position) => {
    if (typeof record !== 'object' || record === null) {
      throw new InvalidInputError(`Expected a record at position ${position}, got ${describeValue(record)}.`, {
        position,
      });
    }
    const { recordId: givenId, vector: givenVector, metadata: givenMetadata } = record as Partial<VectorRecord>;
    const recordId = requireRecordId(givenId, position);
    const vector = requireVector(givenVector, `the vector at position ${position}`, position);
    vectorSize ??= vector.length;
    requireSameLength(vector.length, vectorSize, position);
    const payload = { ...requireMetadata(givenMetadata, position), ...ownershipPayload(scope, recordId) };
    const id = pointId(scope.tenantId, scope.tableName, recordId);
    const first = positions.get(id);
    if (first !== undefined) {
      throw new InvalidInputError(
        `The records at positions ${first} and ${position} have the same record id; only one can be stored.`,
        { position },
      );
    }
    positions.set(id, position);
    const byteCount = Buffer.byteLength(JSON.stringify(payload)) + vector.length * maxBytesPerDimension;
    if (byteCount > maxBytesPerPoint) {
      throw new InvalidInputError(
        `The record at position ${position} takes up to ${byteCount} bytes; a server takes at most 32 MB.`,
        { position },
      );
    }
    return { position, recordId, vector, payload, byteCount, pointId: id };
  });
}

function requireSameLength(length: number, first: number, position: number): void {
  if (length === first) return;
  throw new InvalidInputError(
    `Expected the vector at position ${position} to have ${first} dimensions as those before it, got ${length}.`,
    { position },
  );
}

/**
 * Stores checked records, a few requests at a time.
 *
 * @throws {@link PartialUpsertError} naming the records that are not known to be stored; the caller's reason where `signal` was aborted.
 */
export async function upsertRecords(
  connection: QdrantConnection,
  collection: Collection,
  records: readonly CheckedRecord[],
  signal: AbortSignal | undefined,
): Promise<string[]> {
  requireDimension(records[0]!.vector.length, collection.vectorSize, 'each vector', collection.scope.collection);
  const limit = pLimit(concurrentRequests);
  const failures: UpsertFailure[] = [];
  let fatal: AiProviderError | undefined;
  const send = async (batch: readonly CheckedRecord[]): Promise<void> => {
    try {
      if (fatal !== undefined) throw fatal;
      await upsertBatch(connection, collection, batch, signal);
    } catch (error) {
      if (!isAiProviderError(error) || error.code === 'aborted_by_close') throw error;
      if (!isAboutThisBatch(error)) fatal ??= error;
      for (const { position, recordId } of batch) failures.push({ position, recordId, error });
    }
  };
  await Promise.all(splitIntoBatches(records).map((batch) => limit(send, batch)));
  if (failures.length > 0) throw partialUpsertError(collection, failures, records.length);
  return records.map((record) => record.pointId);
}

/** A refused batch says nothing about the next one; a server that is gone, or a key that it does not take, does. */
function isAboutThisBatch(error: AiProviderError): boolean {
  return error.code === 'vector_store_failed' || error.code === 'invalid_response';
}

function upsertBatch(
  connection: QdrantConnection,
  { scope }: Collection,
  batch: readonly CheckedRecord[],
  signal: AbortSignal | undefined,
): Promise<void> {
  return connection.change({ operation: 'upsert', collection: scope.collection, signal }, (client) =>
    client.upsert(scope.collection, {
      wait: true,
      points: batch.map(({ pointId: id, vector, payload }) => ({
        id,
        vector: toWireVector(vector, client.acceptsFloat32Array === true),
        payload,
      })),
    }),
  );
}

function splitIntoBatches(records: readonly CheckedRecord[]): CheckedRecord[][] {
  const batches: CheckedRecord[][] = [];
  let batch: CheckedRecord[] = [];
  let byteCount = 0;
  for (const record of records) {
    if (
      batch.length === maxPointsPerRequest ||
      (batch.length > 0 && byteCount + record.byteCount > maxBytesPerRequest)
    ) {
      batches.push(batch);
      batch = [];
      byteCount = 0;
    }
    batch.push(record);
    byteCount += record.byteCount;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}

function partialUpsertError({ scope }: Collection, failures: UpsertFailure[], recordCount: number): PartialUpsertError {
  failures.sort((a, b) => a.position - b.position);
  const first: AiProviderError = failures[0]!.error;
  return new PartialUpsertError(
    `${failures.length} of ${recordCount} records are not known to be stored in the collection ${scope.collection}, the first at position ${failures[0]!.position}: ${first.message}`,
    {
      failures,
      upsertedCount: recordCount - failures.length,
      isRetryable: failures.some(({ error }) => error.isRetryable),
      collection: scope.collection,
      cause: first,
    },
  );
}
