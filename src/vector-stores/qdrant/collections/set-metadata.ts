import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './collection.js';
import { type CollectionMetadata, makeMetadata } from './metadata.js';

/**
 * Changes single keys of a collection's metadata. One that says nothing about itself yet, since the platform made it,
 * does so from here on.
 */
export async function setMetadata(
  connection: QdrantConnection,
  { scope, metadata }: Collection,
  changes: Partial<CollectionMetadata>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const identity = metadata === undefined ? { ...makeMetadata(scope, undefined), pulse_adopted: true } : {};
  await connection.request({ operation: 'writing the metadata', scope, signal }, (client) =>
    client.updateCollection(scope.collection, { metadata: { ...identity, ...changes } }),
  );
}
