import process from 'node:process';
import type { CallOptions } from '../../../core/ports/call-options.js';
import { InvalidInputError, VectorStoreError } from '../../../errors.js';
import { requireOptions } from '../../../internal/call-options.js';
import { describeValue } from '../../../internal/validate.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import { anyTenant, countByTenant } from '../collections/point-counts.js';
import { PulseQdrantClient, storeParts } from '../pulse-qdrant-client.js';
import { type CollectionMode, collectionName } from '../tenancy/naming.js';
import { optionsFromEnv, type PulseQdrantClientOptions } from '../wire/client-options.js';
import type { QdrantConnection } from '../wire/connection.js';
import { bulkLoad } from './bulk-load.js';
import type { CopyOptions } from './copy-points.js';
import type { RebuildOptions } from './inherited-options.js';
import { cancelMove, type Move } from './move-marks.js';
import { moveTenant } from './move-tenant.js';
import { type CollectionRebuild, rebuildCollection, rebuildSharedCollection } from './rebuild.js';

/**
 * What an operator does with the tables of tenants: move, rebuild, load in bulk, count over tenants. It has a door of
 * its own, so that no handler of a request, which has a {@link PulseQdrantClient}, can reach it.
 *
 * It works on a store that is open already, and leaves it open; or on a connection of its own, with a key that manages
 * the server, and closes that.
 *
 * @example
 * import { QdrantAdmin } from '@pulse/ai-providers/admin'
 * const admin = new QdrantAdmin({ url: 'http://localhost:6333', apiKey })   // or new QdrantAdmin(store)
 * await admin.moveTenant(7, 'documents', 'shared')
 * await admin.close()
 */
export class QdrantAdmin {
  readonly #store: PulseQdrantClient;
  readonly #isOwnStore: boolean;
  readonly #connection: QdrantConnection;
  readonly #catalog: CollectionCatalog;

  /**
   * @param target - An open store, such as one on a folder, which only one client at a time can open; or the options of
   *   one.
   * @throws `InvalidInputError` for options that contradict each other.
   */
  constructor(target: PulseQdrantClient | PulseQdrantClientOptions = {}) {
    this.#isOwnStore = !isStore(target);
    this.#store = isStore(target) ? target : new PulseQdrantClient(target);
    ({ connection: this.#connection, catalog: this.#catalog } = this.#store[storeParts]);
  }

  /** As {@link PulseQdrantClient.fromEnv}. */
  static fromEnv(env: Readonly<Record<string, string | undefined>> = process.env): QdrantAdmin {
    return new QdrantAdmin(optionsFromEnv(env));
  }

  /**
   * Moves the tenant's points of a table to a collection of its own, or to one that tenants share. Reads go on
   * meanwhile, writes are refused as retryable. After an interruption the same call resumes. docs/operations.md
   * describes the steps.
   *
   * @returns How many points the tenant has in its new place.
   */
  async moveTenant(
    tenantId: number,
    tableName: string,
    to: CollectionMode,
    options: CopyOptions = {},
  ): Promise<number> {
    requireOptions(options);
    if (to !== 'collection' && to !== 'shared') {
      throw new InvalidInputError(`Expected a mode, 'collection' or 'shared', got ${describeValue(to)}.`);
    }
    return moveTenant(this.#move(tenantId, tableName, options), to, options);
  }

  /**
   * Takes back a move that is under way or was interrupted, so that the table can be written to again in its old place;
   * what the new place has got of it is deleted. Does nothing if no move is under way.
   *
   * @throws `VectorStoreError` with code `unsupported_operation` if all points have arrived, so that `moveTenant` can
   *   only end it.
   */
  async cancelMove(tenantId: number, tableName: string, options: CallOptions = {}): Promise<void> {
    requireOptions(options);
    await cancelMove(this.#move(tenantId, tableName, options));
  }

  /**
   * Begins to rebuild the tenant's own collection of a table, for another model or with other options, while the
   * present one serves; see {@link CollectionRebuild}. What `options` does not say is as it is now. A build that was
   * begun before and not committed is dropped, unless `resume` goes on with it.
   *
   * @example
   * const rebuild = await admin.rebuildCollection(7, 'documents', { vectorSize: 1536, embeddingSpace })
   * await rebuild.upsertVectorsBatch(7, recordsOfTheNewModel)
   * await rebuild.commit()
   * @throws `VectorStoreError` with code `unsupported_operation` for a table that the tenant shares with others.
   */
  async rebuildCollection(
    tenantId: number,
    tableName: string,
    options: RebuildOptions = {},
  ): Promise<CollectionRebuild> {
    requireOptions(options);
    return rebuildCollection(this.#connection, this.#catalog, tenantId, tableName, options);
  }

  /**
   * The same for the shared collection of a table, with all its tenants: each of them has to be filled in before
   * `commit`. It counts and replaces the points of all.
   */
  async rebuildSharedCollection(tableName: string, options: RebuildOptions = {}): Promise<CollectionRebuild> {
    requireOptions(options);
    return rebuildSharedCollection(this.#connection, this.#catalog, tableName, options);
  }

  /**
   * Runs a large load while the server puts off building the index; searches meanwhile are slow. The index is built
   * when `load` ends, however it ends, and after a crash at the first write five minutes later.
   *
   * @example
   * await admin.bulkLoad(7, 'documents', () => store.upsertVectorsBatch(7, 'documents', records))
   */
  async bulkLoad<Value>(
    tenantId: number,
    tableName: string,
    load: () => Promise<Value>,
    options: CallOptions = {},
  ): Promise<Value> {
    collectionName(tenantId, tableName);
    requireOptions(options);
    if (typeof load !== 'function') {
      throw new InvalidInputError(`Expected \`load\` to be a function, got ${describeValue(load)}.`);
    }
    const collection = await this.#catalog.require(tenantId, tableName, options.signal);
    return bulkLoad(this.#connection, collection, load, options.signal);
  }

  /**
   * How many points each tenant has in the shared collection of a table.
   *
   * @throws `VectorStoreError` with code `collection_not_found` if there is none.
   */
  async countByTenant(tableName: string, options: CallOptions = {}): Promise<Map<number, number>> {
    requireOptions(options);
    const collection = collectionName(anyTenant, tableName, 'shared');
    const shared = await this.#catalog.findInMode(anyTenant, tableName, 'shared', options.signal);
    if (shared !== undefined) return countByTenant(this.#connection, shared.scope.collection, options.signal);
    throw new VectorStoreError(`There is no collection ${collection} at ${this.#connection.endpoint}.`, {
      code: 'collection_not_found',
      collection,
      status: 404,
    });
  }

  /** Closes the connection, if it is this object's own. May be called again. */
  async close(): Promise<void> {
    if (this.#isOwnStore) await this.#store.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #move(tenantId: number, tableName: string, { signal }: CallOptions): Move {
    collectionName(tenantId, tableName);
    return { connection: this.#connection, catalog: this.#catalog, tenantId, tableName, signal };
  }
}

/** Also one of the other build of this package, ESM or CommonJS, whose class is another one. */
function isStore(target: PulseQdrantClient | PulseQdrantClientOptions): target is PulseQdrantClient {
  return typeof target === 'object' && target !== null && storeParts in target;
}
