import type { CallOptions } from '../../../core/ports/call-options.js';
import type { UpsertVectorsOptions, VectorRecord } from '../../../core/ports/vector-store.js';
import { InvalidInputError, VectorStoreError } from '../../../errors.js';
import { requireOptions } from '../../../internal/call-options.js';
import { describeValue } from '../../../internal/validate.js';
import { deleteBuild } from '../collections/builds.js';
import type { CollectionCatalog } from '../collections/catalog.js';
import { type Collection, requireWritable } from '../collections/collection.js';
import { movedTo } from '../collections/metadata.js';
import { checkCollectionOptions } from '../collections/options.js';
import { createIndexes } from '../collections/payload-indexes.js';
import { anyTenant, countByTenant, countRecords, requireNoStrays } from '../collections/point-counts.js';
import { Upsert, type UpsertTarget } from '../records/upsert.js';
import { collectionName, generationOf } from '../tenancy/naming.js';
import type { QdrantConnection } from '../wire/connection.js';
import { type RebuildOptions, rebuildOptions } from './inherited-options.js';
import { newBuild, newestBuild, nothingToReplace } from './new-build.js';
import { finishSwap, swap } from './swap.js';

export interface CommitOptions extends CallOptions {
  /**
   * Whether the new collection may hold fewer points than the old one; of a shared one, of any tenant.
   * @default false
   */
  readonly allowFewer?: boolean | undefined;
}

/**
 * A build: a table's collection that is being filled next to the one that serves, for another model or other settings.
 * Fill it, then `commit`, and every search goes to it from one moment to the next. Records that change meanwhile belong
 * into both.
 *
 * The collections are `client_1_docs`, `client_1_docs@2`, `client_1_docs@3`, …; from the first commit on,
 * `client_1_docs` is an alias. Requests go to a build by its own name, so that a vector never meets one of another
 * model, and one that was dropped meanwhile is asked for again.
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

  /** Begins a build beside `current`, or goes on with one; see {@link RebuildOptions.resume}. */
  static async begin(
    connection: QdrantConnection,
    catalog: CollectionCatalog,
    current: Collection,
    options: RebuildOptions,
  ): Promise<CollectionRebuild> {
    const { signal } = options;
    requireSettled(current);
    const asked = rebuildOptions(current, options);
    await finishSwap(connection, catalog, current.scope, signal);
    const next = options.resume
      ? await newestBuild(connection, catalog, current, asked, signal)
      : await newBuild(connection, catalog, current, asked, signal);
    await createIndexes(connection, next, asked.payloadIndexes, signal);
    return new CollectionRebuild(connection, catalog, next);
  }

  /** The name of the new collection. */
  get collection(): string {
    return this.#next.scope.collection;
  }

  /**
   * As {@link PulseQdrantClient.upsertVectorsBatch}, into the new collection; into that of a shared one, for any tenant
   * of the table.
   */
  async upsertVectorsBatch(
    tenantId: number,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
    options: UpsertVectorsOptions = {},
  ): Promise<string[]> {
    requireOptions(options);
    const { scope } = this.#next;
    // The name is checked for the tenant, and compared: a build of one tenant's collection takes no other's records.
    const plainName = collectionName(tenantId, scope.tableName, scope.mode);
    if (scope.mode === 'collection' && tenantId !== scope.tenantId) {
      throw new VectorStoreError(
        `The collection ${scope.collection} is not tenant ${tenantId}'s, as ${plainName} is.`,
        {
          code: 'isolation_violated',
          collection: scope.collection,
        },
      );
    }
    const collection = { ...this.#next, scope: { ...scope, tenantId } };
    const target: UpsertTarget = {
      use: (work) => work(collection),
      change: async ({ make }) => {
        const value = await make(collection, () => this.#requireUnreplaced(options.signal));
        await this.#requireUnreplaced(options.signal);
        return value;
      },
    };
    return new Upsert(this.#connection, target, options).run(collection.scope, records);
  }

  /**
   * Makes the new collection the table's, in one step for every reader and writer, and drops the old one.
   *
   * @throws `VectorStoreError` if the new collection holds fewer points than the old one, unless that is allowed; if
   *   the old one holds points that belong to no tenant; if records were stored in the old one only, at the last
   *   moment: that one is kept then, and the new one serves.
   */
  async commit(options: CommitOptions = {}): Promise<void> {
    requireOptions(options);
    const { signal } = options;
    const { tenantId, tableName, mode } = this.#next.scope;
    const current = await this.#catalog.findInMode(tenantId, tableName, mode, signal);
    if (current === undefined) throw nothingToReplace(this.#next.scope);
    if (current.scope.collection !== this.collection) {
      requireSettled(current);
      requireNewer(this.#next, current);
      await requireNoStrays(this.#connection, current, signal);
      if (!options.allowFewer) await this.#requireAsMany(current, signal);
      await swap(this.#connection, current, this.#next, signal);
      // Looked at again after the last write that the old one may have taken.
      await requireNoStrays(this.#connection, current, signal);
      if (!options.allowFewer) await this.#requireAsMany(current, signal);
    }
    await finishSwap(this.#connection, this.#catalog, this.#next.scope, signal);
    this.#catalog.forget(tenantId, tableName);
  }

  /** Drops the new collection; the one that serves is not touched. */
  async abort(options: CallOptions = {}): Promise<void> {
    requireOptions(options);
    const { tenantId, tableName, mode } = this.#next.scope;
    const current = await this.#catalog.findInMode(tenantId, tableName, mode, options.signal);
    if (current?.scope.collection === this.collection) {
      throw new VectorStoreError(
        `The collection ${this.collection} was committed; it serves the table ${tableName} now.`,
        { code: 'unsupported_operation', collection: this.collection },
      );
    }
    await deleteBuild(this.#connection, this.#next.scope, options.signal);
  }

  /** A build that another one has replaced is about to be dropped: what was stored in it does not count. */
  async #requireUnreplaced(signal: AbortSignal | undefined): Promise<void> {
    const { scope } = this.#next;
    const build = await this.#catalog.read(scope, signal);
    if (build !== undefined && !build.metadata?.pulse_superseded_by) return;
    throw new VectorStoreError(`The build ${scope.collection} was dropped or replaced; begin another rebuild.`, {
      code: 'collection_not_found',
      collection: scope.collection,
    });
  }

  async #requireAsMany(current: Collection, signal: AbortSignal | undefined): Promise<void> {
    const [before, after] = await Promise.all(
      [current, this.#next].map((collection) => pointCounts(this.#connection, collection, signal)),
    );
    const fewer = [...before!].filter(([tenantId, count]) => (after!.get(tenantId) ?? 0) < count);
    if (fewer.length === 0) return;
    const [tenantId, count] = fewer[0]!;
    const others = fewer.length === 1 ? '' : `, and fewer of ${fewer.length - 1} more tenants`;
    throw new VectorStoreError(
      `The new collection ${this.collection} holds ${after!.get(tenantId) ?? 0} points of tenant ${tenantId}, ${current.scope.collection} ${count}${others}. ` +
        'Add the missing ones, or allow fewer.',
      { code: 'vector_store_failed', collection: this.collection },
    );
  }
}

/** By tenant; of a tenant's own collection only the tenant's. */
async function pointCounts(
  connection: QdrantConnection,
  collection: Collection,
  signal: AbortSignal | undefined,
): Promise<Map<number, number>> {
  const { scope } = collection;
  if (scope.mode === 'shared') return countByTenant(connection, scope.collection, signal);
  return new Map([[scope.tenantId, await countRecords(connection, collection, undefined, signal)]]);
}

/** A move has to be over, its last step included: a new build would not know of it. */
function requireSettled(collection: Collection): void {
  requireWritable(collection);
  if (movedTo(collection.metadata) === undefined) return;
  const { tenantId, tableName, collection: name } = collection.scope;
  throw new VectorStoreError(
    `The move of the table ${tableName} of tenant ${tenantId} has not ended; end it by calling moveTenant again.`,
    { code: 'unavailable', isRetryable: true, collection: name },
  );
}

/** Another process may have committed a later build meanwhile. */
function requireNewer(next: Collection, current: Collection): void {
  if (generationOf(next.scope.collection) > generationOf(current.scope.collection)) return;
  throw new VectorStoreError(
    `The collection ${next.scope.collection} is older than ${current.scope.collection}, which serves now; begin another rebuild.`,
    { code: 'unsupported_operation', collection: next.scope.collection },
  );
}

/** Begins to rebuild a tenant's own collection. */
export async function rebuildCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tenantId: number,
  tableName: string,
  options: RebuildOptions,
): Promise<CollectionRebuild> {
  collectionName(tenantId, tableName);
  requireRebuildOptions(options);
  const current = await catalog.require(tenantId, tableName, options.signal);
  const { mode, collection } = current.scope;
  if (mode === 'collection') return CollectionRebuild.begin(connection, catalog, current, options);
  throw new VectorStoreError(
    `The table ${tableName} of tenant ${tenantId} is in the shared collection ${collection}, which can only be rebuilt for all its tenants at once: rebuildSharedCollection.`,
    { code: 'unsupported_operation', collection },
  );
}

/** Begins to rebuild a table's shared collection. */
export async function rebuildSharedCollection(
  connection: QdrantConnection,
  catalog: CollectionCatalog,
  tableName: string,
  options: RebuildOptions,
): Promise<CollectionRebuild> {
  const collection = collectionName(anyTenant, tableName, 'shared');
  requireRebuildOptions(options);
  if (connection.hasTenantKeys) {
    throw new VectorStoreError(
      'A shared collection belongs to all its tenants: rebuild it with a client that has `apiKey` instead of `apiKeyForTenant`.',
      { code: 'unsupported_operation', collection },
    );
  }
  const current = await catalog.findInMode(anyTenant, tableName, 'shared', options.signal);
  if (current !== undefined) return CollectionRebuild.begin(connection, catalog, current, options);
  throw new VectorStoreError(`There is no collection ${collection} at ${connection.endpoint}.`, {
    code: 'collection_not_found',
    collection,
    status: 404,
  });
}

/** @throws {@link InvalidInputError} before any I/O. */
function requireRebuildOptions({ resume, embeddingSpace, ...options }: RebuildOptions): void {
  checkCollectionOptions({ ...options, embeddingSpace: embeddingSpace ?? undefined });
  if (resume === undefined || typeof resume === 'boolean') return;
  throw new InvalidInputError(`Expected \`resume\` to be a boolean, got ${describeValue(resume)}.`);
}
