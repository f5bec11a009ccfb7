import type { JsonValue } from '../../../core/ports/vector-store.js';
import { VectorStoreError } from '../../../errors.js';
import { type TenantScope, tenantValue } from './tenant-scope.js';

/** What the store itself writes on a point: whose it is, of which record, and what its vector was made from. */
export function ownershipPayload(
  scope: TenantScope,
  recordId: string | number,
  contentHash?: string | undefined,
): Record<string, unknown> {
  return {
    client_id: tenantValue(scope),
    table_name: scope.tableName,
    record_id: recordId,
    ...(contentHash === undefined ? {} : { pulse_content_hash: contentHash }),
  };
}

export interface OwnedPayload {
  readonly recordId: string | number;
  readonly metadata: Record<string, JsonValue>;
  readonly contentHash: string | undefined;
}

/**
 * Reads a hit's payload and makes sure that it is the asking tenant's: the filter keeps other tenants' points away, and
 * this is the second lock.
 *
 * @throws {@link VectorStoreError} with code `isolation_violated`.
 */
export function requireOwnPayload(
  scope: TenantScope,
  payload: Record<string, unknown> | null | undefined,
): OwnedPayload {
  const { client_id, table_name, record_id, pulse_content_hash, ...metadata } = payload ?? {};
  if (client_id !== tenantValue(scope) || table_name !== scope.tableName) {
    throw new VectorStoreError(
      `The collection ${scope.collection} returned a point that does not belong to tenant ${scope.tenantId} and table ${scope.tableName}; nothing of the answer was handed out.`,
      { code: 'isolation_violated', collection: scope.collection },
    );
  }
  if (typeof record_id !== 'string' && typeof record_id !== 'number') {
    throw new VectorStoreError(`The collection ${scope.collection} returned a point without \`record_id\`.`, {
      code: 'invalid_response',
      collection: scope.collection,
    });
  }
  return {
    recordId: record_id,
    metadata: metadata as Record<string, JsonValue>,
    contentHash: typeof pulse_content_hash === 'string' ? pulse_content_hash : undefined,
  };
}
