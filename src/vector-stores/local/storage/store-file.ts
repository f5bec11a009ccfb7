import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isObject } from '../json.js';
import { replaceFile } from './files.js';
import type { HeldLock } from './folder-lock.js';
import { formatVersion, type LogEnd, requireReadable } from './record-file.js';
import { storageCorrupt } from './storage-error.js';

const storeFormat = 'pulse-local-vector-store';
export const storeFileName = 'store.json';
/** Where a store of the first version has its aliases; its collections are the folders that it has. */
const firstAliasFile = 'aliases.json';

/** What a store consists of. */
export interface Catalog {
  /** By name, the identity of each collection: one that is made again under the same name has another. */
  readonly collections: ReadonlyMap<string, string>;
  /** The names of collections, by alias. */
  readonly aliases: ReadonlyMap<string, string>;
  /** If the store was closed and nothing was written since: the ends of the logs of the collections, by name. */
  readonly ends: ReadonlyMap<string, LogEnd>;
  /** Whether the store is of the first version, which lists no collections. */
  readonly isFirstVersion: boolean;
}

const checkForm = /^(?<checked>.*),"check":"(?<check>[0-9a-f]{8})"\}$/s;
const checkOf = (text: string): string => crc32(text).toString(16).padStart(8, '0');

/**
 * The file `store.json`: the version of a store and its catalog, with a checksum over all of it. It is replaced as a
 * whole, so that it is never half written; what does not match the checksum is damage.
 */
export class StoreFile {
  readonly #path: string;
  readonly #lock: Pick<HeldLock, 'confirm'>;
  #catalog: Catalog;
  #lastWrite: Promise<unknown> = Promise.resolve();
  #unsealed: Promise<void> | undefined;

  constructor(folder: string, lock: Pick<HeldLock, 'confirm'>, catalog: Catalog) {
    this.#path = join(folder, storeFileName);
    this.#lock = lock;
    this.#catalog = catalog;
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  /** Replaces the file; the catalog is what it was if that fails. Changes are made one after the other. */
  change(plan: (catalog: Catalog) => Partial<Catalog>): Promise<void> {
    const written = this.#lastWrite.then(async () => {
      const next = { ...this.#catalog, ...plan(this.#catalog), isFirstVersion: false };
      await this.#lock.confirm();
      await replaceFile(this.#path, encodeCatalog(next));
      this.#catalog = next;
    });
    this.#lastWrite = written.catch(() => undefined);
    return written;
  }

  /** To be awaited before anything is written to a log: from then on the logs are longer than the file says. */
  unseal(): Promise<void> {
    if (this.#catalog.ends.size === 0) return Promise.resolve();
    this.#unsealed ??= this.change(() => ({ ends: new Map() })).finally(() => {
      this.#unsealed = undefined;
    });
    return this.#unsealed;
  }
}

export const emptyCatalog: Catalog = {
  collections: new Map(),
  aliases: new Map(),
  ends: new Map(),
  isFirstVersion: false,
};

export const newIdentity = (): string => randomUUID();

function encodeCatalog({ collections, aliases, ends }: Catalog): string {
  const checked = JSON.stringify({
    format: storeFormat,
    version: formatVersion,
    collections: [...collections],
    aliases: [...aliases],
    ends: [...ends],
  }).slice(0, -1);
  return `${checked},"check":"${checkOf(checked)}"}`;
}

/**
 * Reads the catalog of a store; undefined if the folder has no store.
 *
 * @throws `storage_corrupt`; `unsupported_operation` if a newer version wrote it.
 */
export async function readCatalog(folder: string): Promise<Catalog | undefined> {
  const path = join(folder, storeFileName);
  const text = await readText(path);
  if (text === undefined) return undefined;
  const found = parseJson(path, text);
  if (!isObject(found) || found.format !== storeFormat || !Number.isSafeInteger(found.version)) {
    throw storageCorrupt(path, 'this is not a vector store');
  }
  const sealed = checkForm.exec(text)?.groups;
  if (sealed) {
    if (checkOf(sealed.checked as string) !== sealed.check)
      throw storageCorrupt(path, 'the checksum of a file is wrong');
    requireReadable(path, found.version as number);
    return {
      collections: new Map(found.collections as [string, string][]),
      aliases: new Map(found.aliases as [string, string][]),
      ends: new Map(found.ends as [string, LogEnd][]),
      isFirstVersion: false,
    };
  }
  const isPlain = Object.keys(found).every((key) => key === 'format' || key === 'version');
  if (isPlain) requireReadable(path, found.version as number);
  if (!isPlain || found.version !== 1) throw storageCorrupt(path, 'the checksum of a file is missing');
  return { ...emptyCatalog, aliases: await readFirstAliases(folder), isFirstVersion: true };
}

async function readFirstAliases(folder: string): Promise<Map<string, string>> {
  const path = join(folder, firstAliasFile);
  const text = await readText(path);
  const found = text === undefined ? {} : parseJson(path, text);
  return new Map(Object.entries(isObject(found) ? found : {}) as [string, string][]);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw storageCorrupt(path, 'a file is not JSON', error);
  }
}
