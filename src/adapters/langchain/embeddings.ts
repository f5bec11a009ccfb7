import { Embeddings, type EmbeddingsParams } from '@langchain/core/embeddings';
import type { HybridProviderManager } from '../../core/calls/hybrid-provider-manager.js';
import { embeddingSpaceId } from '../../core/embedding-space.js';
import { requireTenantId } from '../../internal/validate.js';

export interface PulseEmbeddingsOptions extends EmbeddingsParams {
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly tenantId: number;
  /** A model in place of the integration's own. */
  readonly model?: string | undefined;
  /** As in the manager's calls. @default 'auto' */
  readonly preferredProvider?: string | undefined;
  /** Only a provider of this embedding space may serve, for vectors that are compared with stored ones. */
  readonly requiredSpace?: string | undefined;
}

/**
 * The tenant's embedding providers as LangChain's `Embeddings`. Documents and queries are embedded as such, in one
 * space: what `auto` chose for the
 * first call serves all later calls of the object.
 *
 * @example
 * const embeddings = new PulseEmbeddings({ manager, tenantId: 7 });
 * const vectors = await embeddings.embedDocuments(texts); // texts.length x dimension
 */
export class PulseEmbeddings extends Embeddings {
  readonly #options: PulseEmbeddingsOptions;
  #space: string | undefined;

  constructor(options: PulseEmbeddingsOptions) {
    // The manager retries and fails over itself.
    super({ maxRetries: 0, ...options });
    requireTenantId(options.tenantId);
    this.#options = options;
    this.#space = options.requiredSpace;
  }

  embedDocuments(documents: string[]): Promise<number[][]> {
    return this.#embed(documents, 'document');
  }

  async embedQuery(document: string): Promise<number[]> {
    const [vector] = await this.#embed([document], 'query');
    return vector!;
  }

  async #embed(texts: readonly string[], inputType: 'document' | 'query'): Promise<number[][]> {
    const { manager, tenantId, model, preferredProvider } = this.#options;
    const result = await manager.generateEmbeddings(texts, {
      tenantId,
      model,
      preferredProvider,
      inputType,
      requiredSpace: this.#space,
    });
    if (texts.length > 0) this.#space ??= embeddingSpaceId(result.embeddingSpace);
    return result.embeddings.map((vector) => Array.from(vector));
  }
}
