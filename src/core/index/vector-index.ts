import { VectorStoreError } from '../../errors.js';
import { requireTenantOptions } from '../../internal/call-options.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { takeSlices } from '../../internal/slices.js';
import { requireMethods, requireNonEmptyString, requireSequence } from '../../internal/validate.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import { type Logger, toLogger } from '../ports/logger.js';
import type { SearchOptions, VectorStore } from '../ports/vector-store.js';
import { type CheckedIndexRecord, checkIndexRecord, requireUniqueIds } from './check-record.js';
import {
  type IndexRecord,
  IndexUpsert,
  readRequiredSpace,
  type TableOptions,
  type UpsertOptions,
  type UpsertResult,
} from './index-upsert.js';
import { deleteWithPieces, type IndexHit } from './pieces.js';
import {
  checkTables,
  defaultLimit,
  fuseByRank,
  mergeByScore,
  searchRecords,
  type TablesSearchOptions,
} from './search-records.js';
import { checkSync, IndexSync, type SyncOptions, type SyncResult } from './sync.js';
import type { SyncSource } from './sync-source.js';

export interface VectorIndexOptions {
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings'> &
    Partial<Pick<HybridProviderManager, 'recordUnchanged'>>;
  readonly store: VectorStore;
  /** Called at level debug when a search with a `scoreThreshold` finds nothing. */
  readonly logger?: Logger | undefined;
}

export interface IndexSearchOptions extends TableOptions, Omit<SearchOptions, 'signal' | 'embeddingSpace'> {
  /**
   * The lowest cosine similarity of a hit, -1 to 1. Sentence models give a relevant text 0.3 to 0.65, so a high
   * threshold hides good hits.
   *
   * @default -1, which keeps every hit: the `limit` closest records
   */
  readonly scoreThreshold?: number | undefined;
}

/** The lowest cosine similarity there is: no hit is below it. */
const everyScore = -1;

/**
 * Records embedded and stored at a time: a window of full batches for a gateway (4 x 100), little enough to hold in
 * memory many times over.
 */
const sliceLength = 400;

/**
 * Embeds and stores the records of tenants' tables, and searches them by text.
 *
 * Each collection is pinned to the embedding space of its first vectors: later records and queries are embedded by a
 * provider of that space, whichever it is that `auto` would choose otherwise, and where the tenant has none left the
 * call fails and says so. Two models are never mixed, not even of equal dimension.
 *
 * @example
 * const index = new VectorIndex({ manager, store: new PulseQdrantClient({ location: './vectors' }) });
 * await index.upsert([{ recordId: 1, text: 'Import stopped at record 1,337' }], { tenantId: 7, tableName: 'work_items'
 * }); const hits = await index.search('failed imports', { tenantId: 7, tableName: 'work_items' });
 */
export class VectorIndex {
  readonly #manager: VectorIndexOptions['manager'];
  readonly #store: VectorStore;
  readonly #logger: Logger | undefined;

  /** @throws `InvalidInputError` if the manager or the store is missing. */
  constructor(options: VectorIndexOptions) {
    requireKnownKeys<VectorIndexOptions>(options, { manager: true, store: true, logger: true });
    requireMethods(options.manager, 'manager', ['generateEmbeddings'], 'a HybridProviderManager');
    requireMethods(options.store, 'store', ['searchSimilar', 'upsertVectorsBatch'], 'a VectorStore');
    this.#manager = options.manager;
    this.#store = options.store;
    this.#logger = toLogger(options.logger);
  }

  /**
   * Embeds and stores records, in slices, so that a bulk load of any length needs little memory. A record whose id is
   * already stored is replaced; so after a failure the same call can be made again.
   *
   * Only new and changed texts are embedded and paid: with each vector the store keeps a hash of its text. An unchanged
   * record costs its share of one read, and one with other metadata keeps its vector.
   *
   * @throws `PartialEmbeddingError` if records got no vector (the others are stored; `failures` has positions in the
   *   whole list); `embedding_space_mismatch`; what the manager and the store throw.
   * @example
   * const { embeddedCount, skippedCount } = await index.upsert(records, { tenantId: 7, tableName: 'work_items' });
   */
  async upsert(
    records: Iterable<IndexRecord> | AsyncIterable<IndexRecord>,
    options: UpsertOptions,
  ): Promise<UpsertResult> {
    requireTenantOptions(options);
    requireSequence(records, 'records');
    const upsert = new IndexUpsert(this.#manager, this.#store, options);
    const checked = Array.isArray(records) ? checkAll(records) : checkAsTheyCome(records);
    for await (const slice of takeSlices<CheckedIndexRecord>(checked, sliceLength)) await upsert.add(slice);
    await this.#recordUnchanged(options, upsert);
    return upsert.finish();
  }

  /**
   * Brings the table in line with its source: embeds what is new or changed, leaves what is unchanged, counts what has
   * no text, and with `deleteMissing` deletes what the source lost. Records that a server refuses are set aside and do
   * not hold up the others.
   *
   * Each vector is stored in one write with the hash of its text. So a run that was killed at any point is simply made
   * again: it embeds only what is not stored yet. With pages and a `syncStore` it goes on at the page at which it
   * stopped.
   *
   * @throws `InvalidInputError` before any I/O for unusable arguments; what the source throws; what the manager and the
   *   store throw, if not a text but a server is at fault. All that was stored stays.
   * @example
   * const result = await index.sync((cursor) => readPage(cursor), { tenantId: 7, tableName: 'work_items', syncStore,
   * deleteMissing: true }); console.log(`${result.embeddedCount} embedded for ${result.cost} USD,
   * ${result.skippedCount} unchanged`);
   */
  async sync(source: SyncSource, options: SyncOptions): Promise<SyncResult> {
    checkSync(source, options, this.#store);
    return new IndexSync({ manager: this.#manager, store: this.#store }, options).run(source);
  }

  /**
   * The table's records whose text is closest to the query, best first.
   *
   * @throws `VectorStoreError` with status 404 where the table has no collection yet; `embedding_space_mismatch` where
   *   no provider of the tenant makes vectors of the collection's space; what the manager and the store throw.
   */
  async search(query: string, options: IndexSearchOptions): Promise<IndexHit[]> {
    requireNonEmptyString(query, 'query');
    requireTenantOptions(options);
    const { tenantId, tableName, scoreThreshold = everyScore } = options;
    const requiredSpace = await readRequiredSpace(this.#store, options);
    if (requiredSpace === undefined) {
      throw new VectorStoreError(
        `Tenant ${tenantId} has no collection for the table ${tableName} yet: it is made when the first records are stored.`,
        { code: 'collection_not_found', status: 404 },
      );
    }
    const vector = await this.#embedQuery(query, options, requiredSpace);
    const hits = await searchRecords(this.#store, vector, requiredSpace, { ...options, scoreThreshold });
    if (hits.length === 0 && scoreThreshold > everyScore) {
      this.#logger?.debug(
        { tenantId, tableName, scoreThreshold },
        'A search found no record at or above its scoreThreshold. Without one it returns the closest records.',
      );
    }
    return hits;
  }

  /**
   * Searches several tables at once, with one embedding of the query for each embedding space that they have. Each hit
   * says of which table it is. Tables of one space are merged by their scores; scores of different models cannot be
   * compared, so there the ranks are fused.
   *
   * @param options - `tables`: names, or a name with a filter. A table that has no collection yet has no hits.
   * @throws What `search` throws.
   * @example
   * const hits = await index.searchTables('failed imports', { tenantId: 7, tables: ['work_items', 'comments'], limit: 5 });
   */
  async searchTables(query: string, options: TablesSearchOptions): Promise<IndexHit[]> {
    requireNonEmptyString(query, 'query');
    requireTenantOptions({ ...options, tableName: 'tables' });
    const { tenantId, preferredProvider, signal, limit = defaultLimit, scoreThreshold = everyScore } = options;
    const shared = { tenantId, preferredProvider, signal, limit, scoreThreshold };
    const tables = checkTables(options.tables).map((table) => ({ ...shared, ...table }));
    const spaces = await Promise.all(tables.map((table) => readRequiredSpace(this.#store, table)));
    const vectors = new Map<string, Promise<ArrayLike<number>>>();
    const lists = await Promise.all(
      tables.map(async (table, at) => {
        const space = spaces[at];
        if (space === undefined) return [];
        let vector = vectors.get(space);
        if (vector === undefined) {
          vector = this.#embedQuery(query, table, space);
          vectors.set(space, vector);
        }
        return searchRecords(this.#store, await vector, space, table);
      }),
    );
    return (vectors.size > 1 ? fuseByRank(lists) : mergeByScore(lists)).slice(0, limit);
  }

  async #embedQuery(
    query: string,
    { tenantId, preferredProvider, signal }: Omit<TableOptions, 'tableName'>,
    requiredSpace: string,
  ): Promise<ArrayLike<number>> {
    const options = { tenantId, preferredProvider, requiredSpace, inputType: 'query' as const, signal };
    const { embeddings } = await this.#manager.generateEmbeddings([query], options);
    return embeddings[0]!;
  }

  /** Deletes records by id; unknown ids are no error. */
  async deleteRecords(
    recordIds: readonly (string | number)[],
    options: Omit<TableOptions, 'preferredProvider'>,
  ): Promise<void> {
    requireTenantOptions(options);
    const { tenantId, tableName, signal } = options;
    await deleteWithPieces(this.#store, { tenantId, tableName, signal }, recordIds);
  }

  /** For the report of what was saved. The records are stored, whatever becomes of it. */
  async #recordUnchanged({ tenantId, signal }: TableOptions, upsert: IndexUpsert): Promise<void> {
    const { unchanged, requiredSpace } = upsert;
    if (unchanged.textCount === 0 || requiredSpace === undefined) return;
    const records = { ...unchanged, tenantId, requiredSpace, purpose: 'bulk', signal } as const;
    try {
      await this.#manager.recordUnchanged?.(records);
    } catch (error) {
      this.#logger?.warn({ error, tenantId }, 'Unchanged records are missing in the usage rows.');
    }
  }
}

/** All records of an array, before anything is embedded and paid for. */
function checkAll(records: readonly IndexRecord[]): CheckedIndexRecord[] {
  const checked = Array.from(records, checkIndexRecord);
  requireUniqueIds(checked, 0);
  return checked;
}

async function* checkAsTheyCome(
  records: Iterable<IndexRecord> | AsyncIterable<IndexRecord>,
): AsyncGenerator<CheckedIndexRecord> {
  let position = 0;
  for await (const record of records) yield checkIndexRecord(record, position++);
}
