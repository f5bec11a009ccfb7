import { setTimeout as sleep } from 'node:timers/promises';
import type { CallOptions } from '../../core/embedding-provider.js';
import type { UpsertVectorsOptions, VectorRecord } from '../../core/vector-store.js';
import { VectorStoreError } from '../../errors.js';
import {
  type Collection,
  type CollectionCatalog,
  catalogAgeMs,
  collectionNotFound,
  requireDimension,
  requirePin,
  requireWritable,
} from './collection-catalog.js';
import type { CheckedCollectionOptions } from './collection-request.js';
import type { QdrantConnection } from './connection.js';
import { createIfAbsent, createIndexes, indexesOf } from './create-collection.js';
import { buildsOf, deleteBuild } from './drop-collection.js';
import type { TenantScope } from './filter.js';
import { collectionName } from './naming.js';
import type { QdrantRequest } from './qdrant-client-like.js';
import { countRecords } from './read-records.js';
import { setMetadata } from './set-metadata.js';
import { Upsert } from './upsert.js';

export interface CommitOptions extends CallOptions {
  /** Whether the new collection may hold fewer points than the old one. @default false */
  readonly allowFewer?: boolean | undefined;
}

/**
 * A table's collection that is being built anew beside the one that serves, for another model or other settings: fill it, then `commit`, and
 * every search goes to it from one moment to the next. Records that change meanwhile belong into both.
 *
 * The collections are `client_1_docs`, `client_1_docs@2`, `client_1_docs@3`, …; from the first commit on, `client_1_docs` is an alias. Requests go to
 * a build by its own name, so that a vector never meets one of another model, and one that was dropped meanwhile is asked for again.
 */
export class CollectionRebuild {
  readonly #connection: QdrantConnection;
  readonly #catalog: CollectionCatalog;
  readonly #next: Collection;

  private constructor(connection: QdrantConnection, catalog: CollectionCatalog, next: Collection) {
    this.#connection = connection;
    this.#catalog = catalog;
    this.#next = next;
  }

  /** Begins a build, or takes up one that was begun with the same vector size and embedding space. */
  static async begin(
    connection: QdrantConnection,
    catalog: CollectionCatalog,
    tenantId: number,
    tableName: string,
    options: CheckedCollectionOptions,
    signal: AbortSignal | undefined,
  ): Promise<CollectionRebuild> {
    const current = await catalog.require(tenantId, tableName, signal);
    requireWritable(current);
    await finishSwap(connection, catalog, current, signal);
    const generation = generationOf(current) + 1;
    const scope = { ...current.scope, collection: `${nameOf(current.scope)}@${generation}` };
    let next = await catalog.read(scope, signal);
    if (next === undefined) {
      const request = { ...options, hasSparseVectors: options.hasSparseVectors || current.hasSparseVectors };
      await createIfAbsent(connection, scope, request, signal, { pulse_generation: generation });
      next = await catalog.read(scope, signal);
    }
    if (next === undefined) throw collectionNotFound(tenantId, tableName, connection);
    requireDimension(next, options.vectorSize);
    requirePin(next, options.embeddingSpace);
    await createIndexes(connection, next, { ...indexesOf(current), ...options.payloadIndexes }, signal);
    return new CollectionRebuild(connection, catalog, next);
  }

  /** The name of the new collection. */
  get collection(): string {
    return this.#next.scope.collection;
  }

  /** As {@link PulseQdrantClient.upsertVectorsBatch}, into the new collection; in the mode `shared`, for any tenant of the table. */
  async upsertVectorsBatch(
    tenantId: number,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
    options: UpsertVectorsOptions = {},
  ): Promise<string[]> {
    const { scope } = this.#next;
    // The name is checked for the tenant, and compared: a build of one tenant's collection takes no other's records.
    if (collectionName(tenantId, scope.tableName, scope.mode) !== nameOf(scope)) {
      throw new VectorStoreError(`The collection ${scope.collection} is not tenant ${tenantId}'s.`, {
        code: 'isolation_violated',
        collection: scope.collection,
      });
    }
    const collection = { ...this.#next, scope: { ...scope, tenantId } };
    return new Upsert(this.#connection, (work) => work(collection), options).run(collection.scope, records);
  }

  /**
   * Makes the new collection the table's, in one step for every reader, and drops the old one when all have noticed, seconds later.
   *
   * @throws `VectorStoreError` where the new collection holds fewer points than the old one, unless that is allowed.
   */
  async commit(options: CommitOptions = {}): Promise<void> {
    const { signal } = options;
    const { tenantId, tableName } = this.#next.scope;
    const current = await this.#catalog.require(tenantId, tableName, signal);
    if (current.scope.collection !== this.#next.scope.collection) {
      requireWritable(current);
      requireNewer(this.#next, current);
      if (!options.allowFewer) await this.#requireAsMany(current, signal);
      await this.#swap(current, signal);
    }
    await finishSwap(this.#connection, this.#catalog, this.#next, signal);
    this.#catalog.forget(tenantId, tableName);
  }

  /** Drops the new collection; the one that serves is not touched. */
  async abort(options: CallOptions = {}): Promise<void> {
    const { tenantId, tableName, collection } = this.#next.scope;
    const current = await this.#catalog.find(tenantId, tableName, options.signal);
    if (current?.scope.collection === collection) {
      throw new VectorStoreError(`The collection ${collection} was committed; it serves the table ${tableName} now.`, {
        code: 'unsupported_operation',
        collection,
      });
    }
    await deleteBuild(this.#connection, this.#next.scope, options.signal);
  }

  /** Points the name at the new collection. A name that is still a collection's own cannot be an alias: it is marked, and `@live` leads on. */
  async #swap(current: Collection, signal: AbortSignal | undefined): Promise<void> {
    const name = nameOf(current.scope);
    const target = this.#next.scope.collection;
    const isAlias = current.scope.collection !== name;
    await setAlias(this.#connection, current.scope, isAlias ? name : `${name}@live`, target, signal);
    if (!isAlias) await setMetadata(this.#connection, current, { pulse_superseded_by: target }, signal);
  }

  async #requireAsMany(current: Collection, signal: AbortSignal | undefined): Promise<void> {
    const before = await pointCountOf(this.#connection, current, signal);
    const after = await pointCountOf(this.#connection, this.#next, signal);
    if (after >= before) return;
    throw new VectorStoreError(
      `The new collection ${this.#next.scope.collection} holds ${after} points, ${current.scope.collection} ${before}. Add the missing ones, or allow fewer.`,
      { code: 'vector_store_failed', collection: this.#next.scope.collection },
    );
  }
}

/**
 * What comes after a swap, and after one that was interrupted: waits until every reader has noticed, drops the older builds, and makes the
 * table's plain name an alias of the current one.
 */
async function finishSwap(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  { scope }: Collection,
  signal: AbortSignal | undefined,
): Promise<void> {
  const current = await catalog.findInMode(scope.tenantId, scope.tableName, scope.mode, signal);
  const generation = current === undefined ? 1 : generationOf(current);
  if (current === undefined || generation === 1) return;
  const name = nameOf(scope);
  const builds = await buildsOf(connection, scope, signal);
  const outdated = builds.filter((build) => Number(build.split('@')[1] ?? 1) < generation);
  if (outdated.length > 0) await sleep(catalogAgeMs, undefined, { signal });
  for (const collection of outdated) await deleteBuild(connection, { ...scope, collection }, signal);
  const { aliases } = await connection.request({ operation: 'reading aliases', scope, signal }, (client) =>
    client.getAliases(),
  );
  if (!aliases.some((alias) => alias.alias_name === `${name}@live`)) return;
  await setAlias(connection, scope, name, current.scope.collection, signal);
  const actions = [{ delete_alias: { alias_name: `${name}@live` } }];
  await changeAliases(connection, scope, actions, signal);
}

/** Points an alias at a collection. Creating one that exists moves it: one action, which a server that dies makes whole or not at all. */
function setAlias(
  connection: QdrantConnection,
  scope: TenantScope,
  alias: string,
  collection: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const actions = [{ create_alias: { alias_name: alias, collection_name: collection } }];
  return changeAliases(connection, scope, actions, signal);
}

async function changeAliases(
  connection: QdrantConnection,
  scope: TenantScope,
  actions: readonly QdrantRequest[],
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.request({ operation: 'changing aliases', scope, signal }, (client) =>
    client.updateCollectionAliases({ actions }),
  );
}

/** Another process may have committed a later build meanwhile. */
function requireNewer(next: Collection, current: Collection): void {
  if (generationOf(next) > generationOf(current)) return;
  throw new VectorStoreError(
    `The collection ${next.scope.collection} is older than ${current.scope.collection}, which serves now; begin another rebuild.`,
    { code: 'unsupported_operation', collection: next.scope.collection },
  );
}

/** All points of a collection of the tenant's own; of a shared one, all tenants': a number that is compared and never handed out. */
async function pointCountOf(
  connection: QdrantConnection,
  collection: Collection,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (collection.scope.mode === 'collection') return countRecords(connection, collection, undefined, signal);
  const { scope } = collection;
  const { count } = await connection.request({ operation: 'counting', scope, signal }, (client) =>
    client.count(scope.collection, { exact: true }),
  );
  return count;
}

function generationOf({ metadata }: Collection): number {
  return metadata?.pulse_generation ?? 1;
}

function nameOf({ tenantId, tableName, mode }: TenantScope): string {
  return collectionName(tenantId, tableName, mode);
}
