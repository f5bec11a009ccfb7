import { VectorStoreError } from '../../../errors.js';

/** What is on disk cannot be trusted. Nothing was changed: restore the folder from a backup, or remove it and ingest again. */
export function storageCorrupt(path: string, what: string, cause?: unknown): VectorStoreError {
  return new VectorStoreError(`The local vector store is damaged: ${what} (${path}).`, {
    code: 'storage_corrupt',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A write did not reach the disk (it is full, or failed); the collection answers nothing until it is opened again. */
export function storageFailed(path: string, cause: unknown): VectorStoreError {
  return new VectorStoreError(`Writing the local vector store failed: close and reopen it (${path}).`, {
    code: 'vector_store_failed',
    isRetryable: false,
    cause,
  });
}
