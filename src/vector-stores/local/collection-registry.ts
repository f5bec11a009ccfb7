import { resolve } from 'node:path';
import { AiProviderError } from '../../errors.js';
import { Collection } from './collection.js';
import type { CollectionConfig } from './collection-config.js';
import { isObject } from './json.js';
import { OpenCollection } from './open-collection.js';
import { badInput, collectionExists, collectionNotFound, formatError, QdrantApiError } from './qdrant-api-error.js';
import { FolderStorage, type StoreStorage } from './storage/folder-storage.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what Qdrant forbids
const forbiddenInName = /[<>:"/\\|?*\u0000\u001f]/;

/** The collections of a client by name or alias. Creating, deleting and aliasing happen one after the other. */
export class CollectionRegistry {
  readonly #storage: StoreStorage | undefined;
  readonly #collections: Map<string, OpenCollection>;
  #aliases: ReadonlyMap<string, string>;
  #lastChange: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  static async open(location: string): Promise<CollectionRegistry> {
    if (location === ':memory:') return new CollectionRegistry(undefined, new Map(), new Map());
    // Absolute, so that a later `process.chdir` does not change the place.
    const { storage, collections, aliases } = await FolderStorage.open(resolve(location));
    return new CollectionRegistry(storage, collections, aliases);
  }

  private constructor(
    storage: StoreStorage | undefined,
    collections: Map<string, OpenCollection>,
    aliases: ReadonlyMap<string, string>,
  ) {
    this.#storage = storage;
    this.#collections = collections;
    this.#aliases = aliases;
  }

  /** @throws what keeps a collection, or the whole store, from answering. */
  requireHealthy(): void {
    this.#requireOpen();
    for (const { failure } of this.#collections.values()) if (failure) throw failure;
  }

  names(): string[] {
    this.#requireOpen();
    return [...this.#collections.keys()].sort();
  }

  aliases(): { alias_name: string; collection_name: string }[] {
    this.#requireOpen();
    return Array.from(this.#aliases, ([alias, name]) => ({ alias_name: alias, collection_name: name }));
  }

  has(name: string): boolean {
    this.#requireOpen();
    return this.#collections.has(this.#aliases.get(name) ?? name);
  }

  /** @throws a 404 if there is neither a collection nor an alias of that name. */
  get(name: string): OpenCollection {
    this.#requireOpen();
    const open = this.#collections.get(this.#aliases.get(name) ?? name);
    if (!open) throw collectionNotFound(name);
    if (open.failure) throw open.failure;
    return open;
  }

  /** @throws a 409 if the collection exists. */
  async create(config: CollectionConfig): Promise<void> {
    const name = requireName(config.name);
    await this.#inTurn(async () => {
      if (this.#collections.has(name)) throw collectionExists(name);
      if (this.#aliases.has(name))
        throw badInput(`Can't create collection with name ${name}. Alias with the same name already exists`);
      const open = this.#storage
        ? await this.#storage.create(config)
        : new OpenCollection(new Collection(config), undefined);
      this.#collections.set(name, open);
    });
  }

  /**
   * Returns whether there was such a collection. Its aliases go with it. If it fails the collection is there again, but
   * refuses everything except to be deleted.
   */
  async delete(name: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const actual = this.#aliases.get(name) ?? name;
      const open = this.#collections.get(actual);
      if (!open) return false;
      if (open.refusal) throw open.refusal;
      this.#collections.delete(actual);
      try {
        await open.close();
        await this.#storage?.delete(actual);
      } catch (error) {
        this.#collections.set(actual, open);
        throw error;
      }
      this.#aliases = new Map([...this.#aliases].filter(([, target]) => target !== actual));
      return true;
    });
  }

  /** Takes all actions or, if one is refused, none. */
  async updateAliases(request: unknown): Promise<void> {
    const actions = isObject(request) ? request.actions : undefined;
    if (!Array.isArray(actions)) throw formatError('`actions` must be a list');
    await this.#inTurn(async () => {
      const aliases = new Map(this.#aliases);
      for (const action of actions) this.#applyAliasAction(aliases, action);
      await this.#setAliases(aliases);
    });
  }

  #applyAliasAction(aliases: Map<string, string>, action: unknown): void {
    const { create_alias: create, delete_alias: remove, rename_alias: rename } = isObject(action) ? action : {};
    if (isObject(create)) {
      const [alias, name] = [requireName(create.alias_name), requireName(create.collection_name)];
      if (!this.#collections.has(name)) throw collectionNotFound(name);
      if (this.#collections.has(alias)) throw collectionExists(alias);
      aliases.set(alias, name);
    } else if (isObject(remove)) {
      aliases.delete(requireName(remove.alias_name));
    } else if (isObject(rename)) {
      const [from, to] = [requireName(rename.old_alias_name), requireName(rename.new_alias_name)];
      const name = aliases.get(from);
      if (name === undefined) throw new QdrantApiError(404, 'Not Found', `Not found: Alias ${from} does not exists!`);
      if (this.#collections.has(to)) throw collectionExists(to);
      aliases.delete(from);
      aliases.set(to, name);
    } else {
      throw formatError('an alias action must be `create_alias`, `delete_alias` or `rename_alias`');
    }
  }

  async #setAliases(aliases: ReadonlyMap<string, string>): Promise<void> {
    await this.#storage?.saveAliases(aliases);
    this.#aliases = aliases;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    await this.#lastChange;
    const closed = await Promise.allSettled([...this.#collections.values()].map((open) => open.close()));
    await this.#storage?.close();
    for (const result of closed) if (result.status === 'rejected') throw result.reason;
  }

  #inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    this.#requireOpen();
    const result = this.#lastChange.then(run);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }

  #requireOpen(): void {
    if (this.#closing) throw new AiProviderError('The local vector store is closed.', { code: 'aborted_by_close' });
    if (this.#storage?.failure) throw this.#storage.failure;
  }
}

function requireName(name: unknown): string {
  if (typeof name === 'string' && name.length >= 1 && name.length <= 255 && !forbiddenInName.test(name)) return name;
  throw badInput(
    'a collection name must be of 1 to 255 characters, none of them < > : " / \\ | ? * or a control character',
  );
}
