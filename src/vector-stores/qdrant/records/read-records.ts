import { reservedKeys } from '../../../core/index/check-record.js';
import type { CallOptions } from '../../../core/ports/call-options.js';
import type { JsonValue, StoredContent } from '../../../core/ports/vector-store.js';
import type { QdrantPoint } from '../../qdrant-api.js';
import type { Collection } from '../collections/collection.js';
import { pointId } from '../tenancy/naming.js';
import { requireOwnPayload } from '../tenancy/payload.js';
import { type QdrantCondition, type TenantScope, tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { invalidResponse } from '../wire/qdrant-errors.js';
import { denseVectorOf } from '../wire/vectors.js';
import { recordCondition } from './record-points.js';

/** How many points a page of a scroll holds: with vectors of 1,536 dimensions about 5 MB of JSON. */
const pageSize = 256;

export interface FilterOptions extends CallOptions {
  /** Qdrant's filter form; it narrows, and can never widen beyond the tenant. */
  readonly filter?: Readonly<Record<string, unknown>> | undefined;
}

export interface ReadOptions extends CallOptions {
  /** @default false */
  readonly withVectors?: boolean | undefined;
}

export interface ListRecordsOptions extends ReadOptions, FilterOptions {}

export interface CountValuesOptions extends FilterOptions {
  /** The most values. @default 10 */
  readonly limit?: number | undefined;
}

export interface StoredRecord {
  /** The id of the point in the store. */
  readonly id: string;
  readonly recordId: string | number;
  readonly tableName: string;
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** Only if it was asked for; of length 1, whatever its length when it was stored. */
  readonly vector?: Float32Array;
}

export interface FacetValue {
  readonly value: string | number | boolean;
  readonly count: number;
}

export interface Page {
  readonly points: readonly QdrantPoint[];
  /** The beginning of the next page, or undefined after the last. */
  readonly nextOffset: unknown;
}

/** One page of the tenant's points. `retrieve` takes no filter, so that reading by id is a scroll too. */
export async function readPage(
  connection: QdrantConnection,
  { scope }: Collection,
  read: {
    readonly filter?: unknown;
    readonly conditions?: readonly QdrantCondition[];
    readonly offset?: unknown;
    readonly limit?: number;
    readonly withVectors: boolean;
    /** The keys of the payload to read. @default all */
    readonly payloadKeys?: readonly string[];
  },
  signal: AbortSignal | undefined,
): Promise<Page> {
  const request = { operation: 'reading records', scope, signal };
  const body = {
    filter: tenantFilter(scope, read.filter, ...(read.conditions ?? [])),
    limit: read.limit ?? pageSize,
    ...(read.offset === undefined ? {} : { offset: read.offset }),
    with_payload: read.payloadKeys === undefined ? true : { include: read.payloadKeys },
    with_vector: read.withVectors,
  };
  const response = await connection.request(request, (client) => client.scroll(scope.collection, body));
  if (!Array.isArray(response.points)) throw invalidResponse(connection.describe(request), 'points');
  return { points: response.points, nextOffset: response.next_page_offset ?? undefined };
}

/** The points of records by their ids, one for each record that is stored. */
export async function readByRecordIds(
  connection: QdrantConnection,
  collection: Collection,
  recordIds: readonly (string | number)[],
  withVectors: boolean,
  signal: AbortSignal | undefined,
): Promise<QdrantPoint[]> {
  const { scope } = collection;
  const read = { conditions: [recordCondition(collection, recordIds)], limit: recordIds.length, withVectors };
  const points = new Map<string, QdrantPoint>();
  let offset: unknown;
  do {
    const page = await readPage(connection, collection, { ...read, offset }, signal);
    for (const point of page.points) {
      const ours = pointId(scope.tenantId, scope.tableName, requireOwnPayload(scope, point.payload).recordId);
      // The platform may have stored the record as well: ours is the later one.
      if (!points.has(ours) || point.id === ours) points.set(ours, point);
    }
    offset = page.nextOffset;
  } while (offset !== undefined);
  return [...points.values()];
}

/**
 * The content hashes of records, and their vectors if asked for. A record of which the platform's point is still stored
 * as well has no hash: it has to be stored again, which deletes that point.
 */
export async function readStoredContents(
  connection: QdrantConnection,
  collection: Collection,
  recordIds: readonly (string | number)[],
  withVectors: boolean,
  signal: AbortSignal | undefined,
): Promise<StoredContent[]> {
  const { scope } = collection;
  const conditions = [recordCondition(collection, recordIds)];
  const read = { conditions, limit: recordIds.length, withVectors, payloadKeys: reservedKeys };
  const contents = new Map<string, StoredContent>();
  let offset: unknown;
  do {
    const page = await readPage(connection, collection, { ...read, offset }, signal);
    for (const { id, payload, vector } of page.points) {
      const { recordId, contentHash } = requireOwnPayload(scope, payload);
      const ours = pointId(scope.tenantId, scope.tableName, recordId);
      const isSingle = id === ours && !contents.has(ours);
      contents.set(ours, {
        id: ours,
        recordId,
        contentHash: isSingle ? contentHash : undefined,
        ...denseVectorOf({ vector }),
      });
    }
    offset = page.nextOffset;
  } while (offset !== undefined);
  return [...contents.values()];
}

export function toStoredContent(scope: TenantScope, { id, payload }: QdrantPoint): StoredContent {
  const { recordId, contentHash } = requireOwnPayload(scope, payload);
  return { id: String(id), recordId, contentHash };
}

export function toStoredRecord(scope: TenantScope, { id, payload, vector }: QdrantPoint): StoredRecord {
  const { recordId, metadata } = requireOwnPayload(scope, payload);
  return {
    id: String(id),
    recordId,
    tableName: scope.tableName,
    metadata,
    ...denseVectorOf({ vector }),
  };
}

/** The values of a metadata field and how many records have each, the most frequent first. */
export async function countValues(
  connection: QdrantConnection,
  { scope }: Collection,
  field: string,
  options: { readonly filter: unknown; readonly limit: number },
  signal: AbortSignal | undefined,
): Promise<FacetValue[]> {
  const request = { operation: 'counting values', scope, signal };
  const body = { key: field, filter: tenantFilter(scope, options.filter), limit: options.limit, exact: true };
  const { hits } = await connection.request(request, (client) => client.facet(scope.collection, body));
  if (!Array.isArray(hits)) throw invalidResponse(connection.describe(request), 'values');
  return hits.map(({ value, count }) => ({ value: value as FacetValue['value'], count }));
}
