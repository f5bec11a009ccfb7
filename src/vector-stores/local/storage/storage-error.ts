import { isAiProviderError, VectorStoreError } from '../../../errors.js';

/**
 * What is on disk cannot be trusted. Nothing was changed: restore the folder from a backup, or remove it and ingest
 * again.
 */
export function storageCorrupt(path: string, what: string, cause?: unknown): VectorStoreError {
  return new VectorStoreError(`The local vector store is damaged: ${what} (${path}).`, {
    code: 'storage_corrupt',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Nothing is wrong with what is on disk, but this build cannot read it. */
export function storageTooNew(path: string, version: number, readsUpTo: number): VectorStoreError {
  return new VectorStoreError(
    `The local vector store was written by a newer version of this package (format ${version}, this one reads up to ${readsUpTo}): update the package (${path}).`,
    { code: 'unsupported_operation' },
  );
}

/** A folder is not what it would have to be. Nothing was changed. */
export function storageRefused(path: string, why: string): VectorStoreError {
  return new VectorStoreError(`The local vector store cannot use a folder: ${why} (${path}).`, {
    code: 'vector_store_failed',
  });
}

/** The folder lies on a medium, or has permissions, that allow reading only. */
export function storageReadOnly(folder: string): VectorStoreError {
  return new VectorStoreError(
    `The folder of the local vector store can only be read: make it writable for this process, or copy it, and open it again (${folder}).`,
    { code: 'unsupported_operation' },
  );
}

/** Whether the operating system refused to write. */
export function isReadOnlyError(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '');
}

/** The operating system refused something. Its code is in the message, since a cause does not reach every log. */
export function storageFailed(doing: string, path: string, cause: unknown, advice = ''): VectorStoreError {
  const code = codeOf(cause);
  const withCode = code === undefined ? '' : ` with ${code}`;
  return new VectorStoreError(`${doing} the local vector store failed${withCode} (${path})${advice}.`, {
    code: 'vector_store_failed',
    cause,
  });
}

/** A change did not reach the disk (it is full, or failed); the collection answers nothing until it is opened again. */
export function writeFailed(path: string, cause: unknown): Error {
  if (isAiProviderError(cause)) return cause;
  return storageFailed('Writing', path, cause, ': close this client, and open the folder with a new one');
}

/** What is asked of a collection whose files were closed. */
export function collectionClosed(folder: string): VectorStoreError {
  return new VectorStoreError(
    `The files of a collection were closed, with the store or by a drop that failed: open the store with a new client (${folder}).`,
    { code: 'vector_store_failed' },
  );
}

/** Runs what touches the disk, and tells what the operating system refuses as an error of ours. */
export async function namingFailures<Result>(
  doing: string,
  folder: string,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    if (isAiProviderError(error) || codeOf(error) === undefined) throw error;
    throw storageFailed(doing, (error as NodeJS.ErrnoException).path ?? folder, error);
  }
}

function codeOf(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
