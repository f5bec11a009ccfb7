import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Collection, type Mutation } from '../collection.js';
import type { CollectionConfig } from '../collection-config.js';
import type { CollectionJournal } from '../open-collection.js';
import { AppendLog } from './append-log.js';
import { syncFolder } from './files.js';
import { decodeEntry, encodeEntry, type LogEntry } from './mutation-codec.js';
import { type RecordFileEnd, readRecordFile } from './record-file.js';
import { writeSnapshot } from './snapshot.js';
import { storageCorrupt } from './storage-error.js';

/**
 * A snapshot is due when the logs hold at least this many points and twice as many as there are: then half of what they hold was replaced
 * or deleted since. Plain ingestion never causes one, and the files never exceed about three times the points.
 */
const leastLoggedPoints = 10_000;

const fileForm = /^(\d{8})\.(snapshot|log)$/;
const fileName = (generation: number, kind: 'snapshot' | 'log'): string =>
  `${String(generation).padStart(8, '0')}.${kind}`;

/**
 * The files of one collection: the snapshot of a generation, and the logs of that and later generations, which are applied to it in order.
 *
 * A new generation begins with a new log. Its snapshot is written while changes go on, so it may hold some of that log's changes already;
 * applying them again changes nothing. When the snapshot is complete, the files of the generations before it are removed.
 */
export class CollectionFiles implements CollectionJournal {
  readonly #folder: string;
  readonly #collection: Collection;
  #generation: number;
  #log: AppendLog;
  #loggedPoints = 0;
  #compaction: Promise<void> | undefined;
  #isClosing = false;
  failure: Error | undefined;

  /** Writes the first log of a collection whose folder exists and is empty. */
  static async create(
    folder: string,
    config: CollectionConfig,
  ): Promise<{ collection: Collection; files: CollectionFiles }> {
    const log = await AppendLog.create(join(folder, fileName(0, 'log')), 0);
    await log.append(encodeEntry({ kind: 'configure', config }));
    const collection = new Collection(config);
    return { collection, files: new CollectionFiles(folder, collection, 0, log) };
  }

  /**
   * Reads a collection, undefined where its creation was cut off.
   *
   * @throws `storage_corrupt`
   */
  static async open(folder: string): Promise<{ collection: Collection; files: CollectionFiles } | undefined> {
    const { snapshots, logs } = await listGenerations(folder);
    if (snapshots.length === 0 && logs.length === 0) return undefined;
    const base = snapshots.at(-1) ?? 0;
    const loader = new CollectionLoader();
    if (snapshots.length > 0) {
      const path = join(folder, fileName(base, 'snapshot'));
      const end = await readEntries(path, base, (entry) => loader.take(entry));
      if (end.isTorn || !loader.isSnapshotComplete) throw storageCorrupt(path, 'a snapshot is incomplete');
      loader.loggedPoints = 0;
    }
    const current = logs.filter((generation) => generation >= base);
    const last = current.at(-1);
    if (last === undefined || current[0] !== base) throw storageCorrupt(folder, 'the log of a collection is missing');
    let end: RecordFileEnd | undefined;
    for (const generation of current) {
      const path = join(folder, fileName(generation, 'log'));
      end = await readEntries(path, generation, (entry) => loader.take(entry));
      if (end.isTorn && generation !== last) throw storageCorrupt(path, 'a log ends in the middle of a record');
    }
    if (!loader.collection) return undefined;
    const path = join(folder, fileName(last, 'log'));
    const log =
      end?.offset === 0 ? await AppendLog.create(path, last) : await AppendLog.resume(path, end as RecordFileEnd);
    const files = new CollectionFiles(folder, loader.collection, last, log);
    files.#loggedPoints = loader.loggedPoints;
    await files.#removeGenerationsBefore(base);
    return { collection: loader.collection, files };
  }

  private constructor(folder: string, collection: Collection, generation: number, log: AppendLog) {
    this.#folder = folder;
    this.#collection = collection;
    this.#generation = generation;
    this.#log = log;
  }

  async append(mutation: Mutation): Promise<void> {
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
    if (this.#compaction || this.#isClosing) return;
    // Where it fails the logs are still complete; it is tried again after as many more changes.
    this.#compaction = this.#compact()
      .catch(() => undefined)
      .finally(() => {
        this.#compaction = undefined;
      });
    this.#loggedPoints = 0;
  }

  async #compact(): Promise<void> {
    const generation = this.#generation + 1;
    const next = await AppendLog.create(join(this.#folder, fileName(generation, 'log')), generation);
    const previous = this.#log;
    next.continueFrom(previous);
    this.#log = next;
    this.#generation = generation;
    await previous.close();
    const path = join(this.#folder, fileName(generation, 'snapshot'));
    const isComplete = await writeSnapshot(`${path}.tmp`, generation, this.#collection, () => this.#isClosing);
    if (!isComplete) return;
    // The snapshot may hold a part of a change whose record is not on disk yet: with the record it is whole, without it half.
    await next.flushed();
    await rename(`${path}.tmp`, path);
    await syncFolder(this.#folder);
    await this.#removeGenerationsBefore(generation);
  }

  async #removeGenerationsBefore(generation: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      const match = fileForm.exec(name);
      if (name.endsWith('.tmp') || (match && Number(match[1]) < generation)) await rm(join(this.#folder, name));
    }
  }

  /** Returns when no snapshot is being written. */
  async compacted(): Promise<void> {
    await this.#compaction;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#compaction;
    if (!this.failure) await this.#log.append(encodeEntry({ kind: 'closed' }));
    await this.#log.close();
  }
}

async function listGenerations(folder: string): Promise<{ snapshots: number[]; logs: number[] }> {
  const matches = (await readdir(folder)).map((name) => fileForm.exec(name)).filter((match) => match !== null);
  const generations = (kind: string): number[] =>
    matches
      .filter((match) => match[2] === kind)
      .map((match) => Number(match[1]))
      .sort((a, b) => a - b);
  return { snapshots: generations('snapshot'), logs: generations('log') };
}

async function readEntries(path: string, generation: number, take: (entry: LogEntry) => void): Promise<RecordFileEnd> {
  const handle = await open(path, 'r');
  try {
    return await readRecordFile(handle, path, generation, (body) => take(decodeEntry(body)));
  } finally {
    await handle.close();
  }
}

/** Builds a collection from the entries of its files. */
class CollectionLoader {
  collection: Collection | undefined;
  loggedPoints = 0;
  isSnapshotComplete = false;

  take(entry: LogEntry): void {
    if (entry.kind === 'end') this.isSnapshotComplete = true;
    if (entry.kind === 'end' || entry.kind === 'closed') return;
    if (entry.kind !== 'configure') this.loggedPoints += entry.ids.length;
    else this.collection ??= new Collection(entry.config);
    this.collection?.apply(entry);
  }
}
