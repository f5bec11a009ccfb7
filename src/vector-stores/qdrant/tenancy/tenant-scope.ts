import { requireFilter } from './filter-shape.js';
import type { CollectionMode } from './naming.js';

/** Whose points a request may touch: every request to Qdrant is made from one of these. */
export interface TenantScope {
  readonly tenantId: number;
  readonly tableName: string;
  readonly mode: CollectionMode;
  /** The collection that holds them. */
  readonly collection: string;
}

export type QdrantCondition = Readonly<Record<string, unknown>>;
export interface QdrantFilter {
  readonly must: readonly QdrantCondition[];
}

/**
 * What a point's payload says about whose it is; written to every point and asked of every hit. An integer as in the
 * platform's existing points; a string if tenants share a collection, since only a keyword index can be an `is_tenant`
 * one.
 */
export function tenantValue({ tenantId, mode }: Pick<TenantScope, 'tenantId' | 'mode'>): number | string {
  return mode === 'shared' ? String(tenantId) : tenantId;
}

/**
 * The filter of a request: the one place where the tenant comes in. The tenant is an outer `must`, and a caller's
 * filter is one more condition next to it: whatever that says, with any nesting of `should` and `must_not`, it can only
 * narrow.
 *
 * @param callerFilter - Checked here unless `requireFilter` made it. A copy of its known parts goes into the request,
 *   never the object itself.
 * @throws `InvalidInputError` for a filter with a key or value that Qdrant's filter form does not have.
 */
export function tenantFilter(
  scope: TenantScope,
  callerFilter?: unknown,
  ...conditions: readonly QdrantCondition[]
): QdrantFilter {
  const must: QdrantCondition[] = [{ key: 'client_id', match: { value: tenantValue(scope) } }];
  if (callerFilter !== undefined) must.push(requireFilter(callerFilter));
  must.push(...conditions);
  return { must };
}

/**
 * The filter of all points but those of some tenants: for operators, who have to know of a point that no tenant would
 * find before they delete the collection that it is in. Never part of a tenant's request.
 */
export function othersFilter(
  mode: CollectionMode,
  tenantIds: readonly number[],
): { readonly must_not: QdrantCondition[] } {
  return {
    must_not: [{ key: 'client_id', match: { any: tenantIds.map((tenantId) => tenantValue({ tenantId, mode })) } }],
  };
}
