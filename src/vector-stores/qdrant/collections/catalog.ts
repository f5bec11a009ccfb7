import { isAiProviderError, VectorStoreError } from '../../../errors.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import type { QdrantResponse } from '../../qdrant-api.js';
import { type CollectionMode, collectionName, generationOf } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { invalidResponse } from '../wire/qdrant-errors.js';
import { buildsAmong, collectionNames, scopeOf } from './builds.js';
import { type Collection, collectionNotFound, isNotFound, isSamePlace, requireWritable } from './collection.js';
import { Confirmations } from './confirmations.js';
import { isSettled, locate } from './locate.js';
import { readMetadata } from './metadata.js';

/**
 * How long a reader believes what it knows of a table, in milliseconds. No write depends on it: those look again before
 * they count.
 */
export const catalogAgeMs = 2_000;
/** Beyond this many tables of tenants, the oldest are looked up again. */
const maxKnown = 10_000;
/** A table that moves faster than it can be written to is not to be written to. */
const maxMoves = 5;

interface Known {
  readonly collection: Collection;
  readonly readAt: number;
}

/** A change of a table's points. */
export interface TableChange<Value> {
  /**
   * Makes the change, in whichever collection holds the table; may be called again.
   *
   * @param beforeRetry - To be called before a request is sent again; throws if the collection is no longer the
   *   table's.
   */
  make(collection: Collection, beforeRetry: () => Promise<void>): Promise<Value>;
  /** Takes back what `make` may have left in a collection that the tenant has moved out of, and others share. */
  takeBack?(collection: Collection): Promise<void>;
}

/** Says that a table has left the place that a change was about to go to. */
class TableMoved extends Error {}

/**
 * Finds the collection that holds a tenant's table, and checks whose it says it is, before anything is read from it or
 * written to it.
 */
export class CollectionCatalog {
  readonly #connection: QdrantConnection;
  readonly #known = new Map<string, Known>();
  readonly #confirmations = new Confirmations();
  /** The mode in which each table was seen last, for whichever tenant. */
  readonly #modes = new Map<string, CollectionMode>();
  /** The builds that were seen under their own names. */
  readonly #builds = new Set<string>();

  constructor(connection: QdrantConnection) {
    this.#connection = connection;
  }

  /**
   * Runs `work`, which reads, on the collection of a tenant's table. What is known of it may be out of date: if that
   * may be why `work` failed, or if `work` took so long that its table may have moved away meanwhile, it runs once more
   * on what the server says now.
   *
   * @throws {@link VectorStoreError} with code `collection_not_found`.
   */
  async use<Value>(
    tenantId: number,
    tableName: string,
    signal: AbortSignal | undefined,
    work: (collection: Collection) => Promise<Value>,
  ): Promise<Value> {
    const { clock } = this.#connection;
    const known = this.#fresh(tenantId, tableName);
    if (known !== undefined) {
      try {
        const value = await work(known.collection);
        if (clock.now() - known.readAt < catalogAgeMs) return value;
        if (isSamePlace(known.collection, await this.find(tenantId, tableName, signal))) return value;
      } catch (error) {
        if (!mayBeOutdated(error)) throw error;
        this.#builds.clear();
      }
    }
    return work(await this.require(tenantId, tableName, signal));
  }

  /**
   * Makes a change of a tenant's table, which counts only if the table was in the same place after it: a request may
   * take longer than any wait of a move, and would then land in a place that is about to be cleared. A change that met
   * a move is made again in the new place.
   *
   * @throws {@link VectorStoreError} with code `unavailable`, retryable, as long as the table is being moved; with
   *   `collection_not_found`.
   */
  async change<Value>(
    tenantId: number,
    tableName: string,
    signal: AbortSignal | undefined,
    { make, takeBack }: TableChange<Value>,
  ): Promise<Value> {
    for (let moves = 0; moves < maxMoves; moves++) {
      const known = this.#fresh(tenantId, tableName);
      const collection = known?.collection ?? (await this.require(tenantId, tableName, signal));
      const isStillThere = (): Promise<boolean> => this.#confirm(collection, signal);
      try {
        requireWritable(collection);
        const value = await make(collection, async () => {
          if (!(await isStillThere())) throw new TableMoved();
        });
        if (await isStillThere()) return value;
      } catch (error) {
        const isElsewhere = error instanceof TableMoved || (mayBeOutdated(error) && (known || !(await isStillThere())));
        if (!isElsewhere) throw error;
        this.#builds.clear();
      }
      this.forget(tenantId, tableName);
      if (collection.scope.mode === 'shared') await this.#takeBack(collection, takeBack, signal);
    }
    throw new VectorStoreError(
      `The table ${tableName} of tenant ${tenantId} was moved ${maxMoves} times while it was written to; write again when that has ended.`,
      { code: 'unavailable', isRetryable: true, collection: collectionName(tenantId, tableName) },
    );
  }

  /** Asks the server. @throws {@link VectorStoreError} with code `collection_not_found`. */
  async require(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection> {
    const collection = await this.find(tenantId, tableName, signal);
    if (collection !== undefined) return collection;
    throw collectionNotFound(tenantId, tableName, this.#connection);
  }

  /**
   * Asks the server; undefined if there is no such collection. A collection of the tenant's own goes before one that it
   * shares, unless its points are still on their way there, or have left it. All names that the collection may have are
   * asked for at once; of a table that was last seen in a tenant's own collection, that one first.
   */
  async find(tenantId: number, tableName: string, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    this.forget(tenantId, tableName);
    const readAt = this.#connection.clock.now();
    const isLikelyOwn = this.#modes.get(tableName) === 'collection';
    let own = isLikelyOwn ? await this.findInMode(tenantId, tableName, 'collection', signal) : undefined;
    let found = isSettled(own) ? own : undefined;
    if (found === undefined) {
      const [first, shared] = await Promise.all([
        own ?? this.findInMode(tenantId, tableName, 'collection', signal, true),
        this.findInMode(tenantId, tableName, 'shared', signal),
      ]);
      own = first;
      found = locate(own, shared) ?? (await this.#findCommitted(tenantId, tableName, signal));
    }
    if (found !== undefined) this.#remember({ collection: found, readAt });
    return found;
  }

  /**
   * Asks the server for the table's collection in one mode, whichever holds the tenant's points.
   *
   * @param isEager - Whether to ask at once for the name that is needed only in the middle of a swap.
   */
  async findInMode(
    tenantId: number,
    tableName: string,
    mode: CollectionMode,
    signal: AbortSignal | undefined,
    isEager = false,
  ): Promise<Collection | undefined> {
    const scope = scopeOf(tenantId, tableName, mode);
    const byName = (collection: string) => this.#readIfReachable({ ...scope, collection }, signal);
    // Between the old collection's end and the alias that takes its name, only `@live` leads to the new one.
    const askLive = () => byName(`${scope.collection}@live`);
    const [plain, live] = await Promise.all([byName(scope.collection), isEager ? askLive() : undefined]);
    const successor = plain?.metadata?.pulse_superseded_by ?? undefined;
    if (plain !== undefined && successor === undefined) return plain;
    if (successor !== undefined) return (await byName(successor)) ?? live ?? plain;
    return isEager ? live : askLive();
  }

  /**
   * Asks the server for one collection by its name or alias, and addresses it by its own name from then on.
   *
   * @throws {@link VectorStoreError} with code `invalid_response` for a collection that is not one of this store's; see
   *   `isForeign`.
   */
  async read(scope: TenantScope, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    const response = await this.#describe(scope, signal);
    if (response === undefined) return undefined;
    const metadata = readMetadata(scope, response.config?.metadata);
    // Only a tenant's own collection may be the platform's; a shared one that says nothing is somebody else's.
    if (metadata === undefined && scope.mode === 'shared') return undefined;
    const { vectors, sparse_vectors } = response.config?.params ?? {};
    if (typeof vectors?.size !== 'number' || vectors.distance !== 'Cosine') {
      const request = { operation: 'reading the description', ...scope, endpoint: this.#connection.endpoint };
      throw invalidResponse(request, 'one unnamed cosine vector, as this store makes collections');
    }
    const sparse = sparse_vectors?.text;
    const collection = await this.#ownNameOf(scope, metadata?.pulse_generation ?? undefined, signal);
    return {
      scope: { ...scope, collection },
      vectorSize: vectors.size,
      hasSparseVectors: typeof sparse === 'object' && sparse !== null,
      weighsTerms: sparse?.modifier === 'idf',
      metadata,
      response,
    };
  }

  forget(tenantId: number, tableName: string): void {
    this.#known.delete(keyOf(tenantId, tableName));
  }

  /**
   * The name of a build, which was asked for by its name or by an alias. Only one that was restored from a snapshot has
   * another.
   */
  async #ownNameOf(
    scope: TenantScope,
    generation: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    if (generation === undefined || generationOf(scope.collection) === generation) return scope.collection;
    const plainName = collectionName(scope.tenantId, scope.tableName, scope.mode);
    const collection = `${plainName}@${generation}`;
    if (this.#builds.has(collection)) return collection;
    if ((await this.#describe({ ...scope, collection }, signal)) === undefined) return scope.collection;
    this.#builds.add(collection);
    return collection;
  }

  async #describe(scope: TenantScope, signal: AbortSignal | undefined): Promise<QdrantResponse | undefined> {
    try {
      return await this.#connection.request({ operation: 'reading the description', scope, signal }, (client) =>
        client.getCollection(scope.collection),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /**
   * A server asks for access before it says whether a collection exists: one that a tenant's key does not name is not
   * the tenant's.
   */
  async #readIfReachable(scope: TenantScope, signal: AbortSignal | undefined): Promise<Collection | undefined> {
    try {
      return await this.read(scope, signal);
    } catch (error) {
      if (this.#connection.hasTenantKeys && isRefused(error)) return undefined;
      throw error;
    }
  }

  /**
   * The newest committed build to which no name leads: a snapshot of a collection holds no alias, and a restored server
   * may lack them.
   */
  async #findCommitted(
    tenantId: number,
    tableName: string,
    signal: AbortSignal | undefined,
  ): Promise<Collection | undefined> {
    const listing = { tenantId, collection: `client_${tenantId}_${tableName}@*` };
    const names = await collectionNames(this.#connection, listing, signal).catch((error: unknown) => {
      // A key, or a proxy, may let nobody list collections.
      if (isNotFound(error) || isRefused(error)) return [];
      throw error;
    });
    for (const mode of ['collection', 'shared'] as const) {
      const scope = scopeOf(tenantId, tableName, mode);
      const builds = buildsAmong(names, scope.collection).filter((name) => name !== scope.collection);
      for (const collection of builds.toSorted((a, b) => generationOf(b) - generationOf(a))) {
        const build = await this.#readIfReachable({ ...scope, collection }, signal);
        if (build?.metadata?.pulse_committed === true) return build;
      }
    }
    return undefined;
  }

  /**
   * Whether a table is where it was when a change of it began. Of many changes at once, one look is enough for all that
   * were made before it.
   */
  #confirm(before: Collection, signal: AbortSignal | undefined): Promise<boolean> {
    const { tenantId, tableName, mode, collection } = before.scope;
    const look = async (): Promise<Collection | undefined> => {
      if (mode === 'shared') return this.find(tenantId, tableName, undefined);
      const readAt = this.#connection.clock.now();
      const own = await this.read(before.scope, undefined);
      const serving = own?.metadata?.pulse_superseded_by ? undefined : locate(own, undefined);
      if (serving !== undefined) this.#remember({ collection: serving, readAt });
      return serving;
    };
    const found = this.#confirmations.run(`${tenantId} ${collection}`, look);
    return rejectOnAbort(
      found.then((after) => {
        if (!isSamePlace(before, after)) return false;
        requireWritable(after!);
        return true;
      }),
      signal,
    );
  }

  async #takeBack(
    left: Collection,
    takeBack: TableChange<unknown>['takeBack'],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { tenantId, tableName } = left.scope;
    const now = await this.find(tenantId, tableName, signal);
    // In the middle of a move, the old place still has everything, and what it has too much the move takes along.
    if (now === undefined || now.scope.mode === 'shared') return;
    await takeBack?.(left);
  }

  #fresh(tenantId: number, tableName: string): Known | undefined {
    const known = this.#known.get(keyOf(tenantId, tableName));
    return known !== undefined && this.#connection.clock.now() - known.readAt < catalogAgeMs ? known : undefined;
  }

  #remember(known: Known): void {
    const { tenantId, tableName, mode } = known.collection.scope;
    const key = keyOf(tenantId, tableName);
    this.#modes.set(tableName, mode);
    // Put at the end: the first entry is the oldest.
    this.#known.delete(key);
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, known);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof VectorStoreError && error.status === 403;
}

function mayBeOutdated(error: unknown): boolean {
  if (!isAiProviderError(error)) return false;
  return ['collection_not_found', 'dimension_mismatch', 'embedding_space_mismatch'].includes(error.code);
}

function keyOf(tenantId: number, tableName: string): string {
  return collectionName(tenantId, tableName);
}
