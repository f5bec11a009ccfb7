import { randomUUID } from 'node:crypto';
import { Document, type DocumentInterface } from '@langchain/core/documents';
import { VectorStore } from '@langchain/core/vectorstores';
import type { HybridProviderManager } from '../../core/calls/hybrid-provider-manager.js';
import type { VectorIndex } from '../../core/index/vector-index.js';
import type { JsonValue } from '../../core/ports/vector-store.js';
import { AiProviderError } from '../../errors.js';
import { requireNonEmptyString, requireTenantId } from '../../internal/validate.js';
import { PulseEmbeddings } from './embeddings.js';

export interface PulseVectorStoreOptions {
  readonly index: Pick<VectorIndex, 'upsert' | 'search' | 'deleteRecords'>;
  /** For `embeddings`; the store itself embeds through `index`, in the table's own space. */
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly tenantId: number;
  readonly tableName: string;
  /** The lowest cosine similarity of a hit. @default the index's own */
  readonly scoreThreshold?: number | undefined;
}

/** The metadata key that holds a document's text: a vector alone cannot be turned back. */
const contentKey = 'page_content';

/**
 * One tenant's table as LangChain's `VectorStore`. Texts are embedded in the space of the table, so a change of the
 * preferred model can never mix
 * two models' vectors. Filters have Qdrant's form.
 *
 * @example
 * const store = new PulseVectorStore({ index, manager, tenantId: 7, tableName: 'handbook' });
 * await store.addDocuments(documents, { ids });
 * const retriever = store.asRetriever({ k: 5 });
 */
export class PulseVectorStore extends VectorStore {
  declare FilterType: Readonly<Record<string, unknown>>;
  readonly #options: PulseVectorStoreOptions;

  constructor(options: PulseVectorStoreOptions) {
    super(new PulseEmbeddings(options), {});
    requireTenantId(options.tenantId);
    requireNonEmptyString(options.tableName, 'tableName');
    this.#options = options;
  }

  _vectorstoreType(): string {
    return 'pulse';
  }

  /**
   * @returns The ids of the documents: those of `options.ids`, or their own `id`, or new ones. The same id replaces
   * what was stored.
   */
  override async addDocuments(documents: DocumentInterface[], options: { ids?: string[] } = {}): Promise<string[]> {
    const ids = documents.map((document, index) => options.ids?.[index] ?? document.id ?? randomUUID());
    const { index, tenantId, tableName } = this.#options;
    await index.upsert(
      documents.map(({ pageContent, metadata }, at) => ({
        recordId: ids[at]!,
        text: pageContent,
        metadata: { ...(metadata as Record<string, JsonValue>), [contentKey]: pageContent },
      })),
      { tenantId, tableName },
    );
    return ids;
  }

  override async similaritySearchWithScore(
    query: string,
    k = 4,
    filter?: this['FilterType'],
  ): Promise<[Document, number][]> {
    const { index, tenantId, tableName, scoreThreshold } = this.#options;
    const hits = await index.search(query, { tenantId, tableName, limit: k, filter, scoreThreshold });
    return hits.map(({ recordId, score, metadata: { [contentKey]: content, ...metadata } }) => [
      new Document({ id: String(recordId), pageContent: typeof content === 'string' ? content : '', metadata }),
      score,
    ]);
  }

  override async similaritySearch(query: string, k?: number, filter?: this['FilterType']): Promise<Document[]> {
    return (await this.similaritySearchWithScore(query, k, filter)).map(([document]) => document);
  }

  override async delete({ ids = [] }: { ids?: string[] } = {}): Promise<void> {
    const { index, tenantId, tableName } = this.#options;
    await index.deleteRecords(ids, { tenantId, tableName });
  }

  addVectors(): Promise<never> {
    return this.#refuse('addVectors', 'addDocuments');
  }

  similaritySearchVectorWithScore(): Promise<never> {
    return this.#refuse('similaritySearchVectorWithScore', 'similaritySearch');
  }

  /** A vector that comes from outside does not say which model made it. */
  async #refuse(method: string, instead: string): Promise<never> {
    throw new AiProviderError(
      `${method} takes vectors whose model is not known, which must not be mixed with those of the table. Use ${instead}, which embeds texts in the table's space.`,
      { code: 'unsupported_operation' },
    );
  }
}
