import type { DeclaredEmbeddingSpace, EmbeddingSpace } from '../embedding-space.js';
import type { CallOptions, ProviderCallOptions } from './call-options.js';

/** What kind of thing a text is. Models trained with prompts (e5, bge) embed the two differently, inside one space. */
export type EmbeddingInputType = 'document' | 'query';

export interface EmbeddingOptions extends ProviderCallOptions {
  /** A model in place of the integration's own. It makes another embedding space. */
  readonly model?: string | undefined;
  /** @default 'document' */
  readonly inputType?: EmbeddingInputType | undefined;
  /**
   * Cuts a text that is longer than the model takes, in place of an error. Models that run in this process always cut;
   * of a gateway's, those whose limit is known: OpenAI's, and those for which the row sets `max_input_tokens`.
   * @default false
   */
  readonly truncate?: boolean | undefined;
  /**
   * Called with vectors as they come, so that a long job can show progress and store as it goes. Awaited; calls may
   * overlap. If it throws, the call rejects with that error. Providers that run in this process may not call it.
   */
  readonly onBatch?: ((batch: EmbeddedBatch) => void | Promise<void>) | undefined;
}

/** Texts of a call that just got their vectors. */
export interface EmbeddedBatch {
  /** Their positions among the texts of the call. */
  readonly positions: readonly number[];
  /** One a position. The same vectors are in the result. */
  readonly embeddings: readonly Float32Array[];
  /** How many texts of the call are settled, with a vector or without. */
  readonly doneCount: number;
  readonly totalCount: number;
}

export interface EmbeddingUsage {
  /** How many texts got a vector. */
  readonly inputCount: number;
  /** Tokens as the provider counted them, or null if it did not say. */
  readonly inputTokens: number | null;
}

export interface EmbeddingResult {
  /** One vector a text, in the order of the texts: `texts.length` x `embeddingSpace.dimension`. */
  readonly embeddings: Float32Array[];
  readonly embeddingSpace: EmbeddingSpace;
  /** The model that was asked, as the provider and its price list name it. */
  readonly model: string;
  readonly usage: EmbeddingUsage;
}

/**
 * A result in which the failed positions are `undefined`; carried by `PartialEmbeddingError`. `embeddingSpace` is null
 * if no input succeeded.
 */
export interface PartialEmbeddingResult {
  readonly embeddings: readonly (Float32Array | undefined)[];
  readonly embeddingSpace: EmbeddingSpace | null;
  readonly model: string;
  readonly usage: EmbeddingUsage;
}

export interface ProviderHealth {
  /** `unknown`: nothing was asked of the provider yet, and asking would cost. */
  readonly status: 'healthy' | 'unhealthy' | 'unknown';
  /** One sentence for an operator: what was checked, and what came. */
  readonly detail: string;
}

/**
 * Turns texts into vectors. The smallest thing that the manager and the index can work with; see
 * docs/writing-an-adapter.md.
 */
export interface EmbeddingProvider {
  /** Unique among a tenant's providers and fit for a log line, such as `wex_ai_gateway:12`. */
  readonly id: string;

  /**
   * The space of the vectors that `generateEmbeddings` would return. Makes no billed call, and none at all if the
   * answer is known.
   */
  embeddingSpace(options?: Pick<EmbeddingOptions, 'model' | 'signal'>): Promise<DeclaredEmbeddingSpace>;

  /**
   * @param texts - Non-empty strings. No texts: an empty result, without a call.
   * @throws `InvalidInputError` before any I/O; `PartialEmbeddingError` if some inputs got a vector and others did not.
   */
  generateEmbeddings(texts: readonly string[], options?: EmbeddingOptions): Promise<EmbeddingResult>;

  /** Never throws and never makes a billed call. */
  health(options?: CallOptions): Promise<ProviderHealth>;

  /** Ends what the provider started; calls under way fail with `aborted_by_close`. May be called again. */
  close(): Promise<void>;
}
