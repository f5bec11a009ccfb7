import type { SparseVector } from '../../../core/ports/vector-store.js';
import { isAiProviderError, VectorStoreError } from '../../../errors.js';
import type { QdrantPoint } from '../../qdrant-api.js';
import type { Collection } from '../collections/collection.js';
import { sparseVectorName } from '../collections/options.js';
import { readPage } from '../records/read-records.js';
import { type CheckedRecord, checkRecord } from '../records/record-checks.js';
import { pointId } from '../tenancy/naming.js';
import { requireOwnPayload } from '../tenancy/payload.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { denseVectorOf } from '../wire/vectors.js';

/** More would not make a message clearer. */
const maxNamedRecords = 20;

/** One side of a copy. */
export interface CopyEnd {
  readonly connection: QdrantConnection;
  readonly collection: Collection;
}

/** Ids by the million: one Set holds no more than 16.7 of them. */
export class IdSet {
  readonly #sets = Array.from({ length: 16 }, () => new Set<string>());

  has(id: string): boolean {
    return this.#setOf(id).has(id);
  }

  add(id: string): void {
    this.#setOf(id).add(id);
  }

  #setOf(id: string): Set<string> {
    return this.#sets[Number.parseInt(id[0]!, 16)]!;
  }
}

/** The tenant's points, page by page, in the order of their ids. */
export async function* pagesOf(
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

/** The tenant's points among those with certain ids, at most a page of them. */
export async function pointsById(
  { connection, collection }: CopyEnd,
  ids: readonly unknown[],
  withVectors: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly QdrantPoint[]> {
  if (ids.length === 0) return [];
  return (await readPage(connection, collection, { conditions: [{ has_id: ids }], withVectors }, signal)).points;
}

/**
 * The records of a copy's source, each once. The platform stored a record again under a new id, so that there may be
 * several points of it: the one under this library's own id goes first, since it was written last; of the platform's,
 * which tell no time, the one with the lowest id.
 *
 * @param foreign - Gets the ids that records have in the target whose points have another one in the source.
 */
export async function* recordPages(
  source: CopyEnd,
  target: TenantScope,
  foreign: IdSet,
  signal: AbortSignal | undefined,
): AsyncGenerator<CheckedRecord[]> {
  let position = 0;
  for await (const page of pagesOf(source, true, signal)) {
    const records = page.map((point) => toRecord(source.collection.scope, target, point, position++));
    const isOwnId = records.map((record, i) => record.pointId === String(page[i]!.id));
    const ids = records.filter((_, i) => !isOwnId[i]).map((record) => record.pointId);
    const written = new Set((await pointsById(source, ids, false, signal)).map(({ id }) => String(id)));
    yield records.filter((record, i) => {
      if (isOwnId[i]) return true;
      const isTwin = foreign.has(record.pointId) || written.has(record.pointId);
      foreign.add(record.pointId);
      return !isTwin;
    });
  }
}

/**
 * Makes sure that every point of a source can be stored again, before a copy begins. Those under this library's own ids
 * were checked when they were stored.
 *
 * @returns As `foreign` of {@link recordPages}.
 * @throws {@link VectorStoreError} naming the records that cannot: vectors of zeros, points without a vector or a
 *   record id.
 */
export async function checkSource(
  source: CopyEnd,
  target: TenantScope,
  signal: AbortSignal | undefined,
): Promise<IdSet> {
  const { scope } = source.collection;
  const foreign = new IdSet();
  const unusable: string[] = [];
  let cause: unknown;
  for await (const page of pagesOf(source, false, signal)) {
    const ids = page.filter((point) => !hasOwnId(target, point)).map(({ id }) => id);
    for (const point of await pointsById(source, ids, true, signal)) {
      try {
        foreign.add(toRecord(scope, target, point, 0).pointId);
      } catch (error) {
        if (!isAiProviderError(error) || error.code === 'isolation_violated') throw error;
        cause ??= error;
        unusable.push(nameOf(point));
      }
    }
    if (unusable.length >= maxNamedRecords) break;
  }
  if (unusable.length === 0) return foreign;
  throw new VectorStoreError(
    `Points of the collection ${scope.collection} cannot be stored again, as vectors of zeros or points without a vector cannot: ${unusable.slice(0, maxNamedRecords).join(', ')}. ` +
      'Delete them or store them again; nothing was copied.',
    { code: 'unsupported_operation', collection: scope.collection, cause },
  );
}

function hasOwnId({ tenantId, tableName }: TenantScope, { id, payload }: QdrantPoint): boolean {
  const recordId = payload?.record_id;
  if (typeof recordId !== 'string' && typeof recordId !== 'number') return false;
  return pointId(tenantId, tableName, recordId) === String(id);
}

function nameOf({ id, payload }: QdrantPoint): string {
  const recordId = payload?.record_id;
  return recordId === undefined ? `the point ${id} without a record id` : `record ${JSON.stringify(recordId)}`;
}

/**
 * The point as it belongs into the target: its id is derived again, since an id that somebody chose may be another
 * tenant's there.
 */
function toRecord(from: TenantScope, to: TenantScope, point: QdrantPoint, position: number): CheckedRecord {
  const { recordId, metadata, contentHash } = requireOwnPayload(from, point.payload);
  const { vector } = denseVectorOf(point);
  return checkRecord(to, { recordId, vector, metadata, contentHash, sparseVector: sparseVectorOf(point) }, position);
}

export function sparseVectorOf({ vector }: QdrantPoint): SparseVector | undefined {
  return (vector as Record<string, SparseVector> | undefined)?.[sparseVectorName];
}
