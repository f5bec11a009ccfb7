import { randomUUID } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectionConfig } from '../collection-config.js';
import { isObject } from '../json.js';
import { OpenCollection } from '../open-collection.js';
import { CollectionFiles } from './collection-files.js';
import { folderName, isFolderName, listCollectionFolder } from './collection-folder.js';
import { replaceFile, syncFolder } from './files.js';
import { FolderLock, isLockFile } from './folder-lock.js';
import { formatVersion, requireReadable } from './record-file.js';
import { namingFailures, storageCorrupt, storageRefused } from './storage-error.js';

const storeFormat = 'pulse-local-vector-store';
const storeFile = 'store.json';
const aliasFile = 'aliases.json';
const collectionsFolder = 'collections';
const deletedForm = /^\.deleted-[0-9a-f-]{36}$/;

/** What is read when a store is opened. */
export interface LoadedStore {
  readonly storage: FolderStorage;
  readonly collections: Map<string, OpenCollection>;
  readonly aliases: ReadonlyMap<string, string>;
}

/** A store's folder: its version, its lock, its aliases, and a folder for each collection. */
export class FolderStorage {
  readonly #folder: string;
  readonly #lock: FolderLock;

  /**
   * @throws `storage_locked` where another client has the folder open, `storage_corrupt` where it was damaged, `unsupported_operation` where
   * it is of a newer version, `vector_store_failed` where it holds something else or the operating system refuses it.
   */
  static open(folder: string): Promise<LoadedStore> {
    return namingFailures('Opening', folder, async () => {
      // Before anything is written: the folder may be a stranger's.
      if (!(await hasStore(folder))) {
        await mkdir(folder, { recursive: true });
        await requireVacant(folder);
      }
      const lock = await FolderLock.acquire(folder);
      try {
        await mkdir(join(folder, collectionsFolder), { recursive: true });
        if (!(await hasStore(folder))) await beginStore(folder);
        const storage = new FolderStorage(folder, lock);
        return { storage, ...(await storage.#load()) };
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  }

  private constructor(folder: string, lock: FolderLock) {
    this.#folder = folder;
    this.#lock = lock;
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
      for (const entry of await readdir(this.#collections, { withFileTypes: true })) {
        await this.#loadCollection(entry, collections);
      }
      return { collections, aliases: await this.#loadAliases(collections) };
    } catch (error) {
      await Promise.all([...collections.values()].map((open) => open.close()));
      throw error;
    }
  }

  /** What is not of this store is left alone; a copy of a collection under another name is refused. */
  async #loadCollection(entry: Dirent, collections: Map<string, OpenCollection>): Promise<void> {
    if (entry.isFile()) return;
    const folder = join(this.#collections, entry.name);
    if (deletedForm.test(entry.name)) return rm(folder, { recursive: true });
    const found = await CollectionFiles.open(folder, this.#lock);
    if (found) {
      collections.set(found.collection.config.name, new OpenCollection(found.collection, found.files));
    } else if (isFolderName(entry.name) && (await listCollectionFolder(folder)).strange.length === 0) {
      // It was never completely created.
      await rm(folder, { recursive: true });
    }
  }

  /** A crash may have come between the removal of a collection and that of its aliases. */
  async #loadAliases(collections: ReadonlyMap<string, OpenCollection>): Promise<Map<string, string>> {
    const saved = await readJson(join(this.#folder, aliasFile));
    const all = Object.entries(isObject(saved) ? saved : {}) as [string, string][];
    const aliases = new Map(all.filter(([, name]) => collections.has(name)));
    if (aliases.size < all.length) await this.saveAliases(aliases);
    return aliases;
  }

  create(config: CollectionConfig): Promise<OpenCollection> {
    const folder = join(this.#collections, folderName(config.name));
    return namingFailures('Creating a collection of', folder, async () => {
      await this.#lock.confirm();
      await mkdir(folder);
      try {
        await syncFolder(this.#collections);
        const { collection, files } = await CollectionFiles.create(folder, config, this.#lock);
        return new OpenCollection(collection, files);
      } catch (error) {
        await this.#lock.confirm();
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
    });
  }

  /** Renaming is atomic, removing many files is not: what cannot be removed now goes when the store is opened next. */
  delete(name: string): Promise<void> {
    const folder = join(this.#collections, folderName(name));
    return namingFailures('Dropping a collection of', folder, async () => {
      await this.#lock.confirm();
      const deleted = join(this.#collections, `.deleted-${randomUUID()}`);
      await rename(folder, deleted);
      await syncFolder(this.#collections);
      await rm(deleted, { recursive: true }).catch(() => undefined);
    });
  }

  saveAliases(aliases: ReadonlyMap<string, string>): Promise<void> {
    const path = join(this.#folder, aliasFile);
    return namingFailures('Changing the aliases of', path, async () => {
      await this.#lock.confirm();
      await replaceFile(path, JSON.stringify(Object.fromEntries(aliases)));
    });
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }
}

/** @throws where there is a store that this build cannot read. */
async function hasStore(folder: string): Promise<boolean> {
  const path = join(folder, storeFile);
  const found = await readJson(path);
  if (found === undefined) return false;
  const { format, version } = isObject(found) ? found : {};
  if (format !== storeFormat || typeof version !== 'number') throw storageCorrupt(path, 'this is no vector store');
  requireReadable(path, version);
  return true;
}

/** @throws where a folder holds anything but what a crash can leave of a store that was just begun. */
async function requireVacant(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const isOurs =
      isLockFile(name) ||
      name === `${storeFile}.tmp` ||
      (name === collectionsFolder && (await readdir(join(folder, name))).length === 0);
    // Another process may have begun the store meanwhile.
    if (isOurs || (await hasStore(folder))) continue;
    throw storageRefused(folder, `it holds \`${name}\` and no vector store; give the store a folder of its own`);
  }
}

async function beginStore(folder: string): Promise<void> {
  await replaceFile(join(folder, storeFile), JSON.stringify({ format: storeFormat, version: formatVersion }));
}

/** Undefined where there is no such file. */
async function readJson(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw storageCorrupt(path, 'a file is not JSON', error);
  }
}
