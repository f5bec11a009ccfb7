import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Collection, type Mutation } from '../collection.js';
import type { CollectionConfig } from '../collection-config.js';
import type { CollectionJournal } from '../open-collection.js';
import { AppendLog } from './append-log.js';
import { fileName, listCollectionFolder } from './collection-folder.js';
import { type LoadedCollection, loadCollection } from './collection-loader.js';
import { orRemove, syncFolder } from './files.js';
import type { HeldLock } from './folder-lock.js';
import { encodeEntry } from './mutation-codec.js';
import type { LogEnd } from './record-file.js';
import { writeSnapshot } from './snapshot.js';
import { collectionClosed, storageCorrupt } from './storage-error.js';

/**
 * A snapshot is due when the logs hold at least this many points and twice as many as there are: then half of what they
 * hold was replaced or deleted since. Plain ingestion never causes one, and the files never exceed about three times
 * the points.
 */
const leastLoggedPoints = 10_000;

/**
 * The files of one collection: the snapshot of a generation, and the logs of that and later generations, which are
 * applied to it in order.
 *
 * A new generation begins with a new log. Its snapshot is written while changes go on, so it may hold some of that
 * log's changes already; applying them again changes nothing. When the snapshot is complete, the files of the
 * generations before it are removed.
 */
export class CollectionFiles implements CollectionJournal {
  readonly #folder: string;
  readonly #lock: HeldLock;
  readonly #collection: Collection;
  #generation: number;
  #log: AppendLog;
  #loggedPoints = 0;
  #hasWritten = false;
  #compaction: Promise<void> | undefined;
  readonly #closing = new AbortController();
  failure: Error | undefined;

  /** Writes the first log of a collection whose folder exists and is empty. */
  static async create(
    folder: string,
    config: CollectionConfig,
    lock: HeldLock,
  ): Promise<{ collection: Collection; files: CollectionFiles }> {
    const log = await AppendLog.create(join(folder, fileName(0, 'log')), 0, lock);
    try {
      await log.append(encodeEntry({ kind: 'configure', config }));
    } catch (error) {
      await log.close();
      throw error;
    }
    const collection = new Collection(config);
    const files = new CollectionFiles(folder, lock, collection, 0, log);
    files.#hasWritten = true;
    return { collection, files };
  }

  /**
   * Reads a collection, undefined if its creation was cut off.
   *
   * @param end - the ends of its logs when the store was closed, if nothing was written since.
   * @throws as `loadCollection` does; `storage_corrupt` if they end elsewhere.
   */
  static async open(
    folder: string,
    lock: HeldLock,
    end?: LogEnd,
  ): Promise<{ collection: Collection; files: CollectionFiles } | undefined> {
    const listing = await listCollectionFolder(folder);
    if (listing.snapshots.length === 0 && listing.logs.length === 0) return undefined;
    const loaded = await loadCollection(folder, listing);
    if (!loaded) return undefined;
    const { collection, last } = loaded;
    requireEnd(folder, last, end);
    let generation = last.generation;
    let log = await AppendLog.resume(join(folder, fileName(generation, 'log')), last.end, lock);
    if (lock.isTakenOver) {
      // The holder before may have that log open, and a last write to it on the way.
      await log.close();
      generation = Math.max(...listing.logs) + 1;
      log = await AppendLog.create(join(folder, fileName(generation, 'log')), generation, lock);
    }
    const files = new CollectionFiles(folder, lock, collection, generation, log);
    // A log that holds nothing is not the end of the collection: it gets the record that it was closed.
    files.#hasWritten = lock.isTakenOver;
    files.#loggedPoints = loaded.loggedPoints;
    await files.#removeOutside(loaded.base, last.generation);
    return { collection, files };
  }

  private constructor(folder: string, lock: HeldLock, collection: Collection, generation: number, log: AppendLog) {
    this.#folder = folder;
    this.#lock = lock;
    this.#collection = collection;
    this.#generation = generation;
    this.#log = log;
  }

  async append(mutation: Mutation): Promise<void> {
    if (this.failure) throw this.failure;
    this.#hasWritten = true;
    try {
      const written = this.#log.append(encodeEntry(mutation));
      if (mutation.kind !== 'configure') this.#loggedPoints += mutation.ids.length;
      await written;
    } catch (error) {
      this.failure ??= error as Error;
      throw error;
    }
    if (this.#loggedPoints >= Math.max(leastLoggedPoints, 2 * this.#collection.points.size)) this.#startCompaction();
  }

  #startCompaction(): void {
    if (this.#compaction || this.#closing.signal.aborted) return;
    // If it fails the logs are still complete; it is tried again after as many more changes.
    this.#compaction = this.#compact()
      .catch(() => undefined)
      .finally(() => {
        this.#compaction = undefined;
      });
    this.#loggedPoints = 0;
  }

  /**
   * Begins a generation, in five steps. What makes each safe to be cut off after it: log n+1 is never durable before
   * log n is (`continueFrom`), and a snapshot gets its name only when everything that it may hold is in durable logs.
   */
  async #compact(): Promise<void> {
    const generation = this.#generation + 1;
    const path = join(this.#folder, fileName(generation, 'snapshot'));
    // 1. An empty log n+1: whoever reads the folder now goes on with log n.
    const next = await AppendLog.create(join(this.#folder, fileName(generation, 'log')), generation, this.#lock);
    // 2. In one turn of the event loop: from here on changes go to log n+1, and wait there for log n.
    const previous = this.#log;
    next.continueFrom(previous);
    this.#log = next;
    this.#generation = generation;
    await previous.close();
    await orRemove(`${path}.tmp`, async () => {
      // 3. The snapshot, while changes go on; it may hold parts of them.
      await writeSnapshot(`${path}.tmp`, generation, this.#collection, this.#closing.signal);
      // 4. With its record in log n+1 such a part is whole, without it half: only now the snapshot counts.
      await next.flushed();
      await this.#lock.confirm();
      await rename(`${path}.tmp`, path);
    });
    await syncFolder(this.#folder);
    // 5. Nobody reads the generations before it any more.
    await this.#removeOutside(generation, generation);
  }

  /**
   * Removes the files of all generations but those from the first to the last, and what is incomplete; the log in use
   * stays.
   */
  async #removeOutside(first: number, last: number): Promise<void> {
    const { snapshots, logs, temporary } = await listCollectionFolder(this.#folder);
    const isOutside = (generation: number): boolean =>
      (generation < first || generation > last) && generation !== this.#generation;
    const names = [
      ...snapshots.filter(isOutside).map((generation) => fileName(generation, 'snapshot')),
      ...logs.filter(isOutside).map((generation) => fileName(generation, 'log')),
      ...temporary,
    ];
    for (const name of names) await rm(join(this.#folder, name));
  }

  /** The end of the last log, if that is known. */
  get end(): LogEnd | undefined {
    const { length } = this.#log;
    return length === undefined ? undefined : { generation: this.#generation, length };
  }

  /** Returns when no snapshot is being written. */
  async compacted(): Promise<void> {
    await this.#compaction;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#compaction;
    // All that was acknowledged is on disk without it: it only shows that what is damaged later was not cut off by a
    // crash.
    if (!this.failure && this.#hasWritten)
      await this.#log.append(encodeEntry({ kind: 'closed' })).catch(() => undefined);
    await this.#log.close();
    this.failure ??= collectionClosed(this.#folder);
  }
}

/** @throws `storage_corrupt` if the logs do not end as they did when the store was closed. */
export function requireEnd(folder: string, last: LoadedCollection['last'], end: LogEnd | undefined): void {
  if (!end) return;
  if (last.generation === end.generation && !last.end.isTorn && last.end.offset === end.length) return;
  throw storageCorrupt(folder, 'a log is not as long as it was when the store was closed');
}
