import { InvalidInputError, VectorStoreError } from '../../../errors.js';
import { describeValue } from '../../../internal/validate.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import { checkCollectionOptions } from '../collections/options.js';
import { anyTenant } from '../collections/point-counts.js';
import { collectionName } from '../tenancy/naming.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { RebuildOptions } from './inherited-options.js';
import { CollectionRebuild } from './rebuild.js';

/** Begins to build a tenant's own collection anew. */
export async function rebuildCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  options: RebuildOptions,
): Promise<CollectionRebuild> {
  collectionName(tenantId, tableName);
  requireOptions(options);
  const current = await catalog.require(tenantId, tableName, options.signal);
  const { mode, collection } = current.scope;
  if (mode === 'collection') return CollectionRebuild.begin(connection, catalog, current, options);
  throw new VectorStoreError(
    `The table ${tableName} of tenant ${tenantId} is in the shared collection ${collection}, which can only be built anew for all its tenants at once. That is for operators: rebuildSharedCollection.`,
    { code: 'unsupported_operation', collection },
  );
}

/** Begins to build a table's shared collection anew. */
export async function rebuildSharedCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tableName: string,
  options: RebuildOptions,
): Promise<CollectionRebuild> {
  const collection = collectionName(anyTenant, tableName, 'shared');
  requireOptions(options);
  if (connection.hasTenantKeys) {
    throw new VectorStoreError(
      'A shared collection belongs to all its tenants: build it anew with a client that has `apiKey` instead of `apiKeyForTenant`.',
      { code: 'unsupported_operation', collection },
    );
  }
  const current = await catalog.findInMode(anyTenant, tableName, 'shared', options.signal);
  if (current !== undefined) return CollectionRebuild.begin(connection, catalog, current, options);
  throw new VectorStoreError(`There is no collection ${collection} at ${connection.endpoint}.`, {
    code: 'collection_not_found',
    collection,
    status: 404,
  });
}

/** @throws {@link InvalidInputError} before any I/O. */
function requireOptions({ resume, embeddingSpace, ...options }: RebuildOptions): void {
  checkCollectionOptions({ ...options, embeddingSpace: embeddingSpace ?? undefined });
  if (resume === undefined || typeof resume === 'boolean') return;
  throw new InvalidInputError(`Expected \`resume\` to be a boolean, got ${describeValue(resume)}.`);
}
