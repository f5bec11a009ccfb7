import { VectorStoreError } from '../../../errors.js';
import type { QdrantPoint } from '../../qdrant-api.js';
import { type Collection, requireDimension } from '../collections/collection.js';
import type { CheckedRecord } from '../records/record-checks.js';
import { toPoint } from '../records/upsert.js';
import { requireOwnPayload } from '../tenancy/payload.js';
import { type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import { toBatches } from '../wire/request-batches.js';
import { denseVectorOf } from '../wire/vectors.js';
import { type CopyEnd, IdSet, pagesOf, pointsById, recordPages, sparseVectorOf } from './copy-source.js';
import { isSameJson, isSameSparseVector, isSameVector } from './same-content.js';

/** A source that is written to faster than it is copied never gets quiet. */
const maxPasses = 10;

export interface PointCopyOptions extends CopyOptions {
  /** Asked before anything is written; throws if this copy is no longer to go on. */
  readonly mayGoOn?: () => Promise<void>;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Told after each page of up to 256 points, with how many were compared in this pass and how many were written in
   * all.
   */
  readonly onProgress?:
    | ((progress: { readonly comparedCount: number; readonly copiedCount: number }) => void)
    | undefined;
}

/**
 * Makes the tenant's points in the target those of the source. Each pass compares every point and writes those that
 * differ, so that an interrupted copy resumes; the last pass finds none, and so is the proof that source and target are
 * equal.
 *
 * @returns How many records the source, and now the target, holds.
 * @throws `VectorStoreError`.
 */
export async function copyPoints(source: CopyEnd, target: CopyEnd, options: PointCopyOptions = {}): Promise<number> {
  let copiedCount = 0;
  for (let pass = 0; pass < maxPasses; pass++) {
    const foreign = new IdSet();
    let comparedCount = 0;
    let differences = 0;
    for await (const records of recordPages(source, target.collection.scope, foreign, options.signal)) {
      const different = await withoutEqual(target, records, options.signal);
      if (different.length > 0) await options.mayGoOn?.();
      await writeRecords(target, different, options.signal);
      differences += different.length;
      copiedCount += different.length;
      comparedCount += records.length;
      options.onProgress?.({ comparedCount, copiedCount });
    }
    differences += await prune(source, target, foreign, options);
    if (differences === 0) return comparedCount;
  }
  throw new VectorStoreError(
    `The collection ${source.collection.scope.collection} was still being written to after ${maxPasses} passes; stop its writers and call again.`,
    { code: 'vector_store_failed', isRetryable: true, collection: source.collection.scope.collection },
  );
}

async function withoutEqual(
  target: CopyEnd,
  records: readonly CheckedRecord[],
  signal: AbortSignal | undefined,
): Promise<CheckedRecord[]> {
  const ids = records.map(({ pointId }) => pointId);
  const stored = await pointsById(target, ids, true, signal);
  const byId = new Map(stored.map((point) => [String(point.id), point]));
  return records.filter((record) => !isEqual(target.collection.scope, record, byId.get(record.pointId)));
}

function isEqual(scope: TenantScope, record: CheckedRecord, point: QdrantPoint | undefined): boolean {
  if (point === undefined) return false;
  const { recordId, metadata, contentHash } = requireOwnPayload(scope, point.payload);
  return (
    recordId === record.recordId &&
    contentHash === record.contentHash &&
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
  for (const batch of toBatches(records)) {
    await connection.change({ operation: 'copying', scope, signal }, (client, toWire) =>
      client.upsert(scope.collection, {
        wait: true,
        points: batch.map((record) => toPoint(scope, record, toWire)),
      }),
    );
  }
}

/**
 * What the target has and the source has not, page by page.
 *
 * @param foreign - As {@link recordPages} has filled it.
 */
export async function* extraPages(
  source: CopyEnd,
  target: CopyEnd,
  foreign: IdSet,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly QdrantPoint[]> {
  for await (const page of pagesOf(target, false, signal)) {
    const unknown = page.filter(({ id }) => !foreign.has(String(id)));
    const inSource = await pointsById(
      source,
      unknown.map(({ id }) => id),
      false,
      signal,
    );
    const ids = new Set(inSource.map(({ id }) => id));
    const extra = unknown.filter(({ id }) => !ids.has(id));
    if (extra.length > 0) yield extra;
  }
}

/** Deletes what the target has and the source has not, such as a record that was deleted between two passes. */
async function prune(
  source: CopyEnd,
  target: CopyEnd,
  foreign: IdSet,
  { signal, mayGoOn }: PointCopyOptions,
): Promise<number> {
  const { scope } = target.collection;
  let prunedCount = 0;
  for await (const page of extraPages(source, target, foreign, signal)) {
    const condition = { has_id: page.map(({ id }) => id) };
    await mayGoOn?.();
    await target.connection.change({ operation: 'copying', scope, signal }, (client) =>
      client.delete(scope.collection, { wait: true, filter: tenantFilter(scope, undefined, condition) }),
    );
    prunedCount += page.length;
  }
  return prunedCount;
}

/**
 * @throws {@link VectorStoreError} if points of the source would lose something in the target, or could not be compared
 *   with those there.
 */
export function requireSameVectors(source: Collection, target: Collection): void {
  requireDimension(target, source.vectorSize);
  const [from, to] = [source, target].map(({ metadata }) => metadata?.pulse_ai_providers.embedding_space ?? null);
  const isSparseLost = source.hasSparseVectors && !target.hasSparseVectors;
  if (from === to && !isSparseLost) return;
  const [mine, theirs] = [source.scope.collection, target.scope.collection];
  throw new VectorStoreError(
    isSparseLost
      ? `The collection ${mine} has sparse vectors and ${theirs} has no place for them; rebuild one of the two.`
      : `The collections ${mine} and ${theirs} hold vectors of different embedding spaces; their points cannot be put together.`,
    { code: 'unsupported_operation', collection: theirs },
  );
}
