import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Collection } from '../collection.js';
import { type CollectionListing, fileName, folderName } from './collection-folder.js';
import { decodeEntry, type LogEntry } from './mutation-codec.js';
import { type RecordFileEnd, readRecordFile } from './record-file.js';
import { storageCorrupt, storageRefused } from './storage-error.js';

/** A collection as its files have it, and where they end. */
export interface LoadedCollection {
  readonly collection: Collection;
  /** How many points the logs hold, each as often as it was written. */
  readonly loggedPoints: number;
  /** The generation of the snapshot, or 0: what is of an earlier one is left over. */
  readonly base: number;
  /** The last log that holds anything. */
  readonly last: { readonly generation: number; readonly end: RecordFileEnd };
}

/**
 * Reads a collection and changes nothing; undefined if its creation was cut off.
 *
 * @throws `storage_corrupt`; `vector_store_failed` if the folder is that of another collection, as a copy is.
 */
export async function loadCollection(
  folder: string,
  listing: CollectionListing,
): Promise<LoadedCollection | undefined> {
  const base = listing.snapshots.at(-1) ?? 0;
  const builder = new CollectionBuilder(folder);
  if (listing.snapshots.length > 0) {
    const path = join(folder, fileName(base, 'snapshot'));
    const end = await readEntries(path, base, (entry) => builder.take(entry));
    if (end.isTorn || !builder.isSnapshotComplete) throw storageCorrupt(path, 'a snapshot is incomplete');
    builder.loggedPoints = 0;
  }
  const last = await readLogs(folder, base, listing, builder);
  const { collection, loggedPoints } = builder;
  if (!collection) return undefined;
  if (last.end.offset === 0) throw storageCorrupt(folder, 'the log of a collection is empty');
  return { collection, loggedPoints, base, last };
}

async function readLogs(
  folder: string,
  base: number,
  listing: CollectionListing,
  builder: CollectionBuilder,
): Promise<LoadedCollection['last']> {
  const generations = listing.logs.filter((generation) => generation >= base);
  if (generations[0] !== base) throw storageCorrupt(folder, 'the log of a collection is missing');
  let last: LoadedCollection['last'] | undefined;
  for (const generation of generations) {
    const previous = last;
    const end = await readEntries(join(folder, fileName(generation, 'log')), generation, (entry) => {
      // A crash may cut a log off while the one after it is begun, but that one takes nothing before this one is on
      // disk.
      if (previous?.end.isTorn) {
        const path = join(folder, fileName(previous.generation, 'log'));
        throw storageCorrupt(path, 'a log ends in the middle of a record');
      }
      builder.take(entry);
    });
    if (!last || end.nextSequence > 1) last = { generation, end };
  }
  return last as LoadedCollection['last'];
}

async function readEntries(path: string, generation: number, take: (entry: LogEntry) => void): Promise<RecordFileEnd> {
  const handle = await open(path, 'r');
  try {
    return await readRecordFile(handle, path, generation, (body) => take(decodeEntry(body)));
  } finally {
    await handle.close();
  }
}

class CollectionBuilder {
  readonly #folder: string;
  collection: Collection | undefined;
  loggedPoints = 0;
  isSnapshotComplete = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  take(entry: LogEntry): void {
    if (entry.kind === 'end') this.isSnapshotComplete = true;
    if (entry.kind === 'end' || entry.kind === 'closed') return;
    if (entry.kind !== 'configure') this.loggedPoints += entry.ids.length;
    else this.collection ??= this.#begin(entry.config.name, new Collection(entry.config));
    this.collection?.apply(entry);
  }

  #begin(name: string, collection: Collection): Collection {
    if (basename(this.#folder) === folderName(name)) return collection;
    throw storageRefused(
      this.#folder,
      `it holds the collection \`${name}\`, whose folder has another name; move a copy out of the store`,
    );
  }
}
