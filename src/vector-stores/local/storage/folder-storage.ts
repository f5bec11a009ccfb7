import type { Dirent } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectionConfig } from '../collection-config.js';
import { OpenCollection } from '../open-collection.js';
import { CollectionFiles, requireEnd } from './collection-files.js';
import { folderName, isFolderName, listCollectionFolder } from './collection-folder.js';
import { loadCollection } from './collection-loader.js';
import { syncFolder } from './files.js';
import { FolderLock, type HeldLock, isLockFile } from './folder-lock.js';
import type { LogEnd } from './record-file.js';
import { isReadOnlyError, namingFailures, storageCorrupt, storageReadOnly, storageRefused } from './storage-error.js';
import { type Catalog, emptyCatalog, newIdentity, readCatalog, StoreFile, storeFileName } from './store-file.js';

const collectionsFolder = 'collections';
/** A collection that was dropped, by its identity. */
const droppedForm = /^\.deleted-(?<identity>[0-9a-f-]{36})$/;
const droppedName = (identity: string): string => `.deleted-${identity}`;

/** Where the collections of a store and their names are written. */
export interface StoreStorage {
  /** Set while nothing can be answered. */
  readonly failure: Error | undefined;
  create(config: CollectionConfig): Promise<OpenCollection>;
  delete(name: string): Promise<void>;
  saveAliases(aliases: ReadonlyMap<string, string>): Promise<void>;
  close(): Promise<void>;
}

/** What is read when a store is opened. */
export interface LoadedStore {
  readonly storage: StoreStorage;
  readonly collections: Map<string, OpenCollection>;
  readonly aliases: ReadonlyMap<string, string>;
}

/**
 * A store's folder: the file that says what it consists of, its lock, and a folder for each collection.
 *
 * Creating and dropping take several steps, of which one counts: a collection is there once the catalog lists it, and
 * gone once its folder has the name of a dropped one. What a crash leaves between the steps is finished when the store
 * is opened.
 */
export class FolderStorage implements StoreStorage {
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #file: StoreFile;
  /** The lock as the logs see it. */
  readonly #heldLock: HeldLock;
  readonly #files = new Map<string, CollectionFiles>();

  /**
   * @throws `storage_locked` if another client has the folder open, `storage_corrupt` if it was damaged,
   *   `unsupported_operation` if it is of a newer version, `vector_store_failed` if it holds something else or the
   *   operating system refuses it.
   */
  static open(folder: string): Promise<LoadedStore> {
    return namingFailures('Opening', folder, async () => {
      // Before anything is written: the folder may be a stranger's.
      if (!(await readCatalog(folder))) {
        await mkdir(folder, { recursive: true });
        await requireVacant(folder);
      }
      const lock = await acquireOrRead(folder);
      if (!lock) return readStore(folder);
      try {
        await mkdir(join(folder, collectionsFolder), { recursive: true });
        const catalog = await readCatalog(folder);
        const storage = new FolderStorage(folder, lock, catalog ?? emptyCatalog);
        if (!catalog) await storage.#file.change(() => ({}));
        return { storage, ...(await storage.#load()) };
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  }

  private constructor(folder: string, lock: FolderLock, catalog: Catalog) {
    this.#folder = folder;
    this.#lock = lock;
    this.#file = new StoreFile(folder, lock, catalog);
    this.#heldLock = {
      isTakenOver: lock.isTakenOver,
      confirm: () => lock.confirm(),
      beforeWrite: () => this.#file.unseal(),
    };
  }

  get #collections(): string {
    return join(this.#folder, collectionsFolder);
  }

  /** Set while the folder may be another process's. */
  get failure(): Error | undefined {
    return this.#lock.failure;
  }

  async #load(): Promise<Omit<LoadedStore, 'storage'>> {
    const collections = new Map<string, OpenCollection>();
    try {
      const entries = await readdir(this.#collections, { withFileTypes: true });
      const dropped = new Set(entries.map(({ name }) => droppedForm.exec(name)?.groups?.identity));
      const listed = new Map([...this.#file.catalog.collections].filter(([, identity]) => !dropped.has(identity)));
      const nameOf = new Map(Array.from(listed.keys(), (name) => [folderName(name), name]));
      for (const entry of entries) await this.#loadCollection(entry, nameOf.get(entry.name), collections);
      this.#requireAll(listed, collections);
      await this.#bringUpToDate(listed, collections);
      for (const identity of dropped) {
        if (identity !== undefined) await rm(join(this.#collections, droppedName(identity)), { recursive: true });
      }
      return { collections, aliases: this.#file.catalog.aliases };
    } catch (error) {
      await Promise.all([...collections.values()].map((open) => open.close()));
      throw error;
    }
  }

  /**
   * What is not of this store is left alone; a copy of a collection under another name is refused.
   *
   * @param known - the collection that the catalog lists for this folder.
   */
  async #loadCollection(
    entry: Dirent,
    known: string | undefined,
    collections: Map<string, OpenCollection>,
  ): Promise<void> {
    if (entry.isFile() || droppedForm.test(entry.name)) return;
    const folder = join(this.#collections, entry.name);
    const end = known === undefined ? undefined : this.#file.catalog.ends.get(known);
    const found = await CollectionFiles.open(folder, this.#heldLock, end);
    if (found) {
      this.#files.set(found.collection.config.name, found.files);
      collections.set(found.collection.config.name, new OpenCollection(found.collection, found.files));
    } else if (known !== undefined) {
      throw storageCorrupt(folder, 'the files of a collection are empty or cut off');
    } else if (isFolderName(entry.name) && (await listCollectionFolder(folder)).strange.length === 0) {
      // It was never completely created.
      await rm(folder, { recursive: true });
    }
  }

  #requireAll(listed: ReadonlyMap<string, string>, collections: ReadonlyMap<string, OpenCollection>): void {
    for (const name of listed.keys()) {
      if (collections.has(name)) continue;
      throw storageCorrupt(join(this.#collections, folderName(name)), 'the folder of a collection is missing');
    }
  }

  /** Lists what is there: a crash may have come between two steps, or the store is of the first version. */
  async #bringUpToDate(
    listed: ReadonlyMap<string, string>,
    collections: ReadonlyMap<string, OpenCollection>,
  ): Promise<void> {
    const { catalog } = this.#file;
    const present = Array.from(collections.keys(), (name): [string, string] => [
      name,
      listed.get(name) ?? newIdentity(),
    ]);
    const isSame =
      present.length === catalog.collections.size && present.every(([name]) => catalog.collections.has(name));
    if (isSame && listed.size === present.length && !catalog.isFirstVersion) return;
    // An alias goes with its collection. In the first version a crash may have come between the two.
    const known = catalog.isFirstVersion ? collections : listed;
    await this.#file.change(({ aliases, ends }) => ({
      collections: new Map(present),
      aliases: new Map([...aliases].filter(([, name]) => known.has(name))),
      ends: new Map([...ends].filter(([name]) => listed.has(name))),
    }));
  }

  create(config: CollectionConfig): Promise<OpenCollection> {
    const folder = join(this.#collections, folderName(config.name));
    return namingFailures('Creating a collection of', folder, async () => {
      await this.#lock.confirm();
      await mkdir(folder);
      try {
        await syncFolder(this.#collections);
        const { collection, files } = await CollectionFiles.create(folder, config, this.#heldLock);
        await this.#file.change(({ collections }) => ({
          collections: new Map([...collections, [config.name, newIdentity()]]),
        }));
        this.#files.set(config.name, files);
        return new OpenCollection(collection, files);
      } catch (error) {
        await this.#lock.confirm();
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
    });
  }

  /**
   * Drops a collection and its aliases. It is gone once its folder has another name, which needs no room on the disk;
   * the rest, if it fails, is done when the store is opened next.
   */
  delete(name: string): Promise<void> {
    const folder = join(this.#collections, folderName(name));
    return namingFailures('Dropping a collection of', folder, async () => {
      await this.#lock.confirm();
      const dropped = join(this.#collections, droppedName(this.#file.catalog.collections.get(name) ?? newIdentity()));
      await rename(folder, dropped);
      await syncFolder(this.#collections);
      this.#files.delete(name);
      try {
        for (const file of await readdir(dropped)) await rm(join(dropped, file), { recursive: true });
        await this.#file.change(({ collections, aliases, ends }) => ({
          collections: new Map([...collections].filter(([other]) => other !== name)),
          ends: new Map([...ends].filter(([other]) => other !== name)),
          aliases: new Map([...aliases].filter(([, target]) => target !== name)),
        }));
        await rm(dropped, { recursive: true });
      } catch {
        // The name of the folder says it all.
      }
    });
  }

  saveAliases(aliases: ReadonlyMap<string, string>): Promise<void> {
    const path = join(this.#folder, storeFileName);
    return namingFailures('Changing the aliases of', path, () => this.#file.change(() => ({ aliases })));
  }

  /** Notes the ends of the logs, which are closed already, and gives the folder free. */
  async close(): Promise<void> {
    try {
      if (!this.failure && !this.#isSealed()) {
        const ends = new Map<string, LogEnd>();
        for (const [name, { end }] of this.#files) if (end) ends.set(name, end);
        await this.#file.change(() => ({ ends }));
      }
    } catch {
      // Nothing is lost without it: the store is then read as after a crash.
    } finally {
      await this.#lock.release();
    }
  }

  /** Whether nothing was written since the ends of the logs were noted. */
  #isSealed(): boolean {
    const { ends } = this.#file.catalog;
    return this.#files.size === ends.size && [...this.#files.keys()].every((name) => ends.has(name));
  }
}

/** Undefined if there is a store in the folder, and nothing may be written there. */
async function acquireOrRead(folder: string): Promise<FolderLock | undefined> {
  try {
    return await FolderLock.acquire(folder);
  } catch (error) {
    if (isReadOnlyError(error) && (await readCatalog(folder))) return undefined;
    throw error;
  }
}

/**
 * Reads a store in a folder that can only be read: without a lock, since nobody who shares its permissions can write
 * either, and without finishing what a crash left.
 */
async function readStore(folder: string): Promise<LoadedStore> {
  const catalog = await readCatalog(folder);
  if (!catalog) throw storageCorrupt(folder, 'the store is gone');
  const refusal = storageReadOnly(folder);
  const refuse = () => Promise.reject(refusal);
  const collections = new Map<string, OpenCollection>();
  const names = catalog.isFirstVersion ? undefined : new Set([...catalog.collections.keys()].map(folderName));
  for (const entry of await readdir(join(folder, collectionsFolder), { withFileTypes: true })) {
    if (!entry.isDirectory() || !isFolderName(entry.name) || names?.has(entry.name) === false) continue;
    const place = join(folder, collectionsFolder, entry.name);
    const loaded = await loadCollection(place, await listCollectionFolder(place));
    if (!loaded) throw storageCorrupt(place, 'the files of a collection are empty or cut off');
    const { name } = loaded.collection.config;
    requireEnd(place, loaded.last, catalog.ends.get(name));
    const journal = { append: refuse, failure: undefined, refusal, close: async () => undefined };
    collections.set(name, new OpenCollection(loaded.collection, journal));
  }
  const missing = [...catalog.collections.keys()].find((name) => !collections.has(name));
  if (missing !== undefined)
    throw storageCorrupt(join(folder, collectionsFolder, folderName(missing)), 'it is missing');
  const storage: StoreStorage = {
    failure: undefined,
    create: refuse,
    delete: refuse,
    saveAliases: refuse,
    close: async () => undefined,
  };
  return { storage, collections, aliases: catalog.aliases };
}

/** @throws if a folder holds anything but what a crash can leave of a store that was just begun. */
async function requireVacant(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const isOurs =
      isLockFile(name) ||
      name === `${storeFileName}.tmp` ||
      (name === collectionsFolder && (await readdir(join(folder, name))).length === 0);
    // Another process may have begun the store meanwhile.
    if (isOurs || (await readCatalog(folder))) continue;
    throw storageRefused(folder, `it holds \`${name}\` and no vector store; give the store a folder of its own`);
  }
}
