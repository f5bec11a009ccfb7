import { VectorStoreError } from '../../errors.js';
import { takeSlices } from '../../internal/slices.js';
import { requireNonEmptyString, requireTenantId } from '../../internal/validate.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import type { SearchOptions, SimilarRecord, VectorStore } from '../ports/vector-store.js';
import {
  type IndexRecord,
  IndexUpsert,
  readPin,
  requireRecords,
  type TableOptions,
  type UpsertOptions,
  type UpsertResult,
} from './index-upsert.js';

export interface VectorIndexOptions {
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly store: VectorStore;
}

export interface IndexSearchOptions extends TableOptions, Omit<SearchOptions, 'signal' | 'embeddingSpace'> {}

/** Records embedded and stored at a time: a window of full batches for a gateway (4 x 100), little enough to hold in memory many times over. */
const sliceLength = 400;

/**
 * Embeds and stores the records of tenants' tables, and searches them by text.
 *
 * Each collection is pinned to the embedding space of its first vectors: later records and queries are embedded by a provider of that space,
 * whichever it is that `auto` would choose otherwise, and where the tenant has none left the call fails and says so. Two models are never
 * mixed, not even of equal dimension.
 *
 * @example
 * const index = new VectorIndex({ manager, store: new PulseQdrantClient({ location: './vectors' }) });
 * await index.upsert([{ recordId: 1, text: 'Import stopped at record 1,337' }], { tenantId: 7, tableName: 'work_items' });
 * const hits = await index.search('failed imports', { tenantId: 7, tableName: 'work_items', scoreThreshold: 0.3 });
 */
export class VectorIndex {
  readonly #manager: VectorIndexOptions['manager'];
  readonly #store: VectorStore;

  constructor(options: VectorIndexOptions) {
    this.#manager = options.manager;
    this.#store = options.store;
  }

  /**
   * Embeds and stores records, in slices, so that a bulk load of any length needs little memory. A record whose id is already stored is
   * replaced; so after a failure the same call can be made again.
   *
   * @throws `PartialEmbeddingError` where records got no vector (the others are stored; `failures` has positions in the whole list);
   *   `embedding_space_mismatch`; what the manager and the store throw.
   */
  async upsert(
    records: Iterable<IndexRecord> | AsyncIterable<IndexRecord>,
    options: UpsertOptions,
  ): Promise<UpsertResult> {
    requireTenantId(options.tenantId);
    if (Array.isArray(records)) requireRecords(records, 0);
    const upsert = new IndexUpsert(this.#manager, this.#store, options);
    for await (const slice of takeSlices(records, sliceLength)) await upsert.add(slice);
    return upsert.finish();
  }

  /**
   * The table's records whose text is closest to the query, best first.
   *
   * @throws `VectorStoreError` with status 404 where the table has no collection yet; `embedding_space_mismatch` where no provider of the tenant makes
   *   vectors of the collection's space; what the manager and the store throw.
   */
  async search(query: string, options: IndexSearchOptions): Promise<SimilarRecord[]> {
    requireNonEmptyString(query, 'query');
    const { tenantId, tableName, preferredProvider, signal, ...searchOptions } = options;
    const requiredSpace = await readPin(this.#store, options);
    if (requiredSpace === undefined) {
      throw new VectorStoreError(
        `Tenant ${tenantId} has no collection for the table ${tableName} yet: it is made when the first records are stored.`,
        { code: 'collection_not_found', status: 404 },
      );
    }
    const { embeddings } = await this.#manager.generateEmbeddings([query], {
      tenantId,
      preferredProvider,
      requiredSpace,
      inputType: 'query',
      signal,
    });
    return this.#store.searchSimilar(tenantId, tableName, embeddings[0]!, {
      ...searchOptions,
      embeddingSpace: requiredSpace,
      signal,
    });
  }

  /** Deletes records by id; unknown ids are no error. */
  deleteRecords(
    recordIds: readonly (string | number)[],
    { tenantId, tableName, signal }: Omit<TableOptions, 'preferredProvider'>,
  ): Promise<void> {
    return this.#store.deleteRecords(tenantId, tableName, recordIds, { signal });
  }
}
