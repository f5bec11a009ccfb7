import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectionConfig } from '../collection-config.js';
import { isObject } from '../json.js';
import { OpenCollection } from '../open-collection.js';
import { CollectionFiles } from './collection-files.js';
import { replaceFile, syncFolder } from './files.js';
import { FolderLock } from './folder-lock.js';
import { formatVersion } from './record-file.js';
import { storageCorrupt } from './storage-error.js';

const storeFormat = 'pulse-local-vector-store';
const storeFile = 'store.json';
const aliasFile = 'aliases.json';
const collectionsFolder = 'collections';
const deletedPrefix = '.deleted-';

/** A store's folder: its version, its lock, its aliases, and a folder for each collection. */
export class FolderStorage {
  readonly #folder: string;
  readonly #lock: FolderLock;

  /**
   * @throws `storage_locked` where another client has the folder open, `storage_corrupt` where it is of a newer version.
   */
  static async open(folder: string): Promise<FolderStorage> {
    await mkdir(join(folder, collectionsFolder), { recursive: true });
    const lock = await FolderLock.acquire(folder);
    try {
      await requireFormat(join(folder, storeFile));
      return new FolderStorage(folder, lock);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  private constructor(folder: string, lock: FolderLock) {
    this.#folder = folder;
    this.#lock = lock;
  }

  get #collections(): string {
    return join(this.#folder, collectionsFolder);
  }

  async load(): Promise<{ collections: Map<string, OpenCollection>; aliases: Map<string, string> }> {
    const collections = new Map<string, OpenCollection>();
    try {
      for (const entry of await readdir(this.#collections)) await this.#loadCollection(entry, collections);
      return { collections, aliases: await this.#loadAliases(collections) };
    } catch (error) {
      await Promise.all([...collections.values()].map((open) => open.close()));
      throw error;
    }
  }

  async #loadCollection(entry: string, collections: Map<string, OpenCollection>): Promise<void> {
    const folder = join(this.#collections, entry);
    const found = entry.startsWith(deletedPrefix) ? undefined : await CollectionFiles.open(folder);
    // What was being deleted, or was never completely created.
    if (!found) await rm(folder, { recursive: true });
    else collections.set(found.collection.config.name, new OpenCollection(found.collection, found.files));
  }

  /** A crash may have come between the removal of a collection and that of its aliases. */
  async #loadAliases(collections: ReadonlyMap<string, OpenCollection>): Promise<Map<string, string>> {
    const saved = await readJson(join(this.#folder, aliasFile));
    const all = Object.entries(isObject(saved) ? saved : {}) as [string, string][];
    const aliases = new Map(all.filter(([, name]) => collections.has(name)));
    if (aliases.size < all.length) await this.saveAliases(aliases);
    return aliases;
  }

  async create(config: CollectionConfig): Promise<OpenCollection> {
    const folder = join(this.#collections, folderName(config.name));
    await mkdir(folder);
    const { collection, files } = await CollectionFiles.create(folder, config).catch(async (error: unknown) => {
      await rm(folder, { recursive: true, force: true });
      throw error;
    });
    await syncFolder(this.#collections);
    return new OpenCollection(collection, files);
  }

  /** Renaming is atomic, removing many files is not. */
  async delete(name: string): Promise<void> {
    const deleted = join(this.#collections, `${deletedPrefix}${randomUUID()}`);
    await rename(join(this.#collections, folderName(name)), deleted);
    await syncFolder(this.#collections);
    await rm(deleted, { recursive: true });
  }

  async saveAliases(aliases: ReadonlyMap<string, string>): Promise<void> {
    await replaceFile(join(this.#folder, aliasFile), JSON.stringify(Object.fromEntries(aliases)));
  }

  async close(): Promise<void> {
    await this.#lock.release();
  }
}

/** Readable for plain names; a digest keeps apart what a file system that ignores case, or cuts long names, would mix up. */
function folderName(name: string): string {
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '_')
    .slice(0, 100)}-${digest}`;
}

async function requireFormat(path: string): Promise<void> {
  const found = await readJson(path);
  if (found === undefined) return replaceFile(path, JSON.stringify({ format: storeFormat, version: formatVersion }));
  const { format, version } = isObject(found) ? found : {};
  if (format !== storeFormat || typeof version !== 'number') throw storageCorrupt(path, 'this is no vector store');
  if (version > formatVersion) {
    throw storageCorrupt(path, `its format version is ${version}, this build reads up to ${formatVersion}`);
  }
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
