import { VectorStoreError } from '../../errors.js';
import type { TenantScope } from './filter.js';

/** The key in a collection's `metadata` under which everything of ours stands; a host's own keys beside it are left alone. */
const metadataKey = 'pulse_ai_providers';
const formatVersion = 1;

/** What a collection says about itself: whose it is, and which vectors it holds. Needs Qdrant 1.16 or later. */
export interface CollectionMetadata {
  readonly format_version: number;
  readonly client_id: number;
  readonly table_name: string;
  readonly embedding_space: string | null;
}

export function makeMetadata(
  scope: TenantScope,
  embeddingSpace: string | undefined,
): Record<string, CollectionMetadata> {
  return {
    [metadataKey]: {
      format_version: formatVersion,
      client_id: scope.tenantId,
      table_name: scope.tableName,
      embedding_space: embeddingSpace ?? null,
    },
  };
}

/**
 * Reads and checks what a collection says about itself; undefined for one that says nothing, such as one that the platform made before.
 *
 * @throws {@link VectorStoreError} with code `isolation_violated` for a collection of another tenant or table, whatever its name.
 */
export function readMetadata(scope: TenantScope, value: unknown): CollectionMetadata | undefined {
  const metadata = (value as Record<string, Partial<CollectionMetadata> | undefined> | null | undefined)?.[metadataKey];
  if (metadata === undefined || metadata === null) return undefined;
  if (metadata.format_version !== formatVersion) {
    throw new VectorStoreError(
      `The collection ${scope.collection} has the format ${String(metadata.format_version)}; this version of @pulse/ai-providers reads ${formatVersion}.`,
      { code: 'unsupported_operation', collection: scope.collection },
    );
  }
  if (metadata.client_id !== scope.tenantId || metadata.table_name !== scope.tableName) {
    throw new VectorStoreError(
      `The collection ${scope.collection} says that it belongs to another tenant or table than ${scope.tenantId} and ${scope.tableName}; it was not touched.`,
      { code: 'isolation_violated', collection: scope.collection },
    );
  }
  return metadata as CollectionMetadata;
}
