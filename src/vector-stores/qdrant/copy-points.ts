import type { SparseVector } from '../../core/vector-store.js';
import { VectorStoreError } from '../../errors.js';
import type { Collection } from './collection-catalog.js';
import { sparseVectorName } from './collection-request.js';
import type { QdrantConnection } from './connection.js';
import { type TenantScope, tenantFilter } from './filter.js';
import { pointId } from './naming.js';
import { requireOwnPayload } from './payload.js';
import type { QdrantPoint } from './qdrant-client-like.js';
import { readPage } from './read-records.js';
import { toBatches } from './record-batches.js';
import { type CheckedRecord, checkRecord } from './record-checks.js';
import { isSameJson, isSameSparseVector, isSameVector } from './same-content.js';
import { toPoint } from './upsert.js';
import { denseVectorOf } from './vectors.js';

/** A source that is written to faster than it is copied never gets quiet. */
const maxPasses = 10;

/** One side of a copy. */
export interface CopyEnd {
  readonly connection: QdrantConnection;
  readonly collection: Collection;
}

export interface PointCopyOptions extends CopyOptions {
  /** Asked before anything is written; throws where this copy is no longer to go on. */
  readonly mayGoOn?: () => Promise<void>;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told after each page of up to 256 points, with how many were compared in this pass and how many were written in all. */
  readonly onProgress?:
    | ((progress: { readonly comparedCount: number; readonly copiedCount: number }) => void)
    | undefined;
}

/**
 * Makes the tenant's points in the target those of the source. Each pass compares every point and writes those that differ, so that an
 * interrupted copy goes on where it was; the last pass finds none, and so is the proof that source and target are equal.
 *
 * @returns How many points the source, and now the target, holds.
 * @throws `VectorStoreError`.
 */
export async function copyPoints(source: CopyEnd, target: CopyEnd, options: PointCopyOptions = {}): Promise<number> {
  let copiedCount = 0;
  for (let pass = 0; pass < maxPasses; pass++) {
    let comparedCount = 0;
    let differences = 0;
    for await (const page of pagesOf(source, true, options.signal)) {
      const records = page.map((point, i) =>
        toRecord(source.collection.scope, target.collection.scope, point, comparedCount + i),
      );
      const different = await withoutEqual(target, records, options.signal);
      if (different.length > 0) await options.mayGoOn?.();
      await writeRecords(target, different, options.signal);
      differences += different.length;
      copiedCount += different.length;
      comparedCount += page.length;
      options.onProgress?.({ comparedCount, copiedCount });
    }
    differences += await prune(source, target, options);
    if (differences === 0) return comparedCount;
  }
  throw new VectorStoreError(
    `The collection ${source.collection.scope.collection} was still being written to after ${maxPasses} passes; stop its writers and call again.`,
    { code: 'vector_store_failed', isRetryable: true, collection: source.collection.scope.collection },
  );
}

async function* pagesOf(
  { connection, collection }: CopyEnd,
  withVectors: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly QdrantPoint[]> {
  let offset: unknown;
  do {
    const page = await readPage(connection, collection, { offset, withVectors }, signal);
    if (page.points.length > 0) yield page.points;
    offset = page.nextOffset;
  } while (offset !== undefined);
}

/** The point as it belongs into the target: its id is derived anew, since an id that somebody chose may be another tenant's there. */
function toRecord(from: TenantScope, to: TenantScope, point: QdrantPoint, position: number): CheckedRecord {
  const { recordId, metadata } = requireOwnPayload(from, point.payload);
  const { vector } = denseVectorOf(point);
  return checkRecord(to, { recordId, vector, metadata, sparseVector: sparseVectorOf(point) }, position);
}

function sparseVectorOf({ vector }: QdrantPoint): SparseVector | undefined {
  return (vector as Record<string, SparseVector> | undefined)?.[sparseVectorName];
}

async function withoutEqual(
  { connection, collection }: CopyEnd,
  records: readonly CheckedRecord[],
  signal: AbortSignal | undefined,
): Promise<CheckedRecord[]> {
  const ids = records.map(({ pointId }) => pointId);
  const stored = await readPage(connection, collection, { conditions: [{ has_id: ids }], withVectors: true }, signal);
  const byId = new Map(stored.points.map((point) => [String(point.id), point]));
  return records.filter((record) => !isEqual(collection.scope, record, byId.get(record.pointId)));
}

function isEqual(scope: TenantScope, record: CheckedRecord, point: QdrantPoint | undefined): boolean {
  if (point === undefined) return false;
  const { recordId, metadata } = requireOwnPayload(scope, point.payload);
  return (
    recordId === record.recordId &&
    isSameVector(record.vector, denseVectorOf(point).vector) &&
    isSameSparseVector(record.sparseVector, sparseVectorOf(point)) &&
    isSameJson(record.metadata, metadata)
  );
}

async function writeRecords(
  { connection, collection: { scope } }: CopyEnd,
  records: readonly CheckedRecord[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const batch of toBatches(records)) {
    await connection.change({ operation: 'copying', scope, signal }, (client, toWire) =>
      client.upsert(scope.collection, {
        wait: true,
        points: batch.map((record) => toPoint(scope, record, toWire)),
      }),
    );
  }
}

/** Deletes what the target has and the source has not, such as a record that was deleted between two passes. */
async function prune(source: CopyEnd, target: CopyEnd, { signal, mayGoOn }: PointCopyOptions): Promise<number> {
  const { tenantId, tableName } = target.collection.scope;
  const sourceIds = new Set<unknown>();
  for await (const page of pagesOf(source, false, signal)) {
    for (const point of page) {
      const { recordId } = requireOwnPayload(source.collection.scope, point.payload);
      sourceIds.add(pointId(tenantId, tableName, recordId));
    }
  }
  let prunedCount = 0;
  for await (const page of pagesOf(target, false, signal)) {
    const ids = page.map(({ id }) => id).filter((id) => !sourceIds.has(id));
    if (ids.length === 0) continue;
    const { scope } = target.collection;
    await mayGoOn?.();
    await target.connection.change({ operation: 'copying', scope, signal }, (client) =>
      client.delete(scope.collection, { wait: true, filter: tenantFilter(scope, undefined, { has_id: ids }) }),
    );
    prunedCount += ids.length;
  }
  return prunedCount;
}
