import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';

const folderForm = /^[a-z0-9_-]{1,100}-[0-9a-f]{16}$/;
const fileForm = /^(\d{8})\.(snapshot|log)$/;
const temporaryForm = /^\d{8}\.snapshot\.tmp$/;

/**
 * Readable for plain names; a digest keeps apart what a file system that ignores case, or cuts long names, would mix
 * up.
 */
export function folderName(collectionName: string): string {
  const digest = createHash('sha256').update(collectionName).digest('hex').slice(0, 16);
  return `${collectionName
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
    .slice(0, 100)}-${digest}`;
}

export const isFolderName = (name: string): boolean => folderForm.test(name);

export const fileName = (generation: number, kind: 'snapshot' | 'log'): string =>
  `${String(generation).padStart(8, '0')}.${kind}`;

/** What lies in the folder of a collection, the generations in their order. */
export interface CollectionListing {
  readonly snapshots: readonly number[];
  readonly logs: readonly number[];
  /** Snapshots that were not completed. */
  readonly temporary: readonly string[];
  /** What no store has put there. */
  readonly strange: readonly string[];
}

export async function listCollectionFolder(folder: string): Promise<CollectionListing> {
  const names = await readdir(folder);
  const generations = (kind: string): number[] =>
    names
      .map((name) => fileForm.exec(name))
      .filter((match) => match?.[2] === kind)
      .map((match) => Number(match?.[1]))
      .sort((left, right) => left - right);
  return {
    snapshots: generations('snapshot'),
    logs: generations('log'),
    temporary: names.filter((name) => temporaryForm.test(name)),
    strange: names.filter((name) => !fileForm.test(name) && !temporaryForm.test(name)),
  };
}
