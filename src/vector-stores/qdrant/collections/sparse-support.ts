import { VectorStoreError } from '../../../errors.js';
import type { Collection } from './catalog.js';

/** @throws `VectorStoreError` with code `unsupported_operation` where the collection was made without sparse vectors. */
export function requireSparseSupport({ scope, hasSparseVectors }: Collection): void {
  if (hasSparseVectors) return;
  throw new VectorStoreError(
    `The collection ${scope.collection} has no sparse vectors; make it with \`hasSparseVectors: true\`.`,
    { code: 'unsupported_operation', collection: scope.collection },
  );
}
