import type { CallOptions } from './call-options.js';

/** A vector to keep. */
export interface EmbeddingCacheEntry {
  readonly key: string;
  readonly vector: Float32Array;
}

/**
 * Where vectors are kept, so that a text is embedded once. The keys are made by the caller: they hold the tenant, the
 * embedding space and a keyed hash of the text, never the text. An implementation may forget anything at any time, and
 * it never changes a vector.
 *
 * A cache that fails or is slow costs money and no answer: its caller embeds the texts as if nothing were kept.
 */
export interface EmbeddingCache {
  /** One result for each key, in their order; undefined for what is not kept. The vectors belong to the caller. */
  getMany(keys: readonly string[], options?: CallOptions): Promise<readonly (Float32Array | undefined)[]>;
  /** Keeps vectors; they belong to the caller, who may change them afterwards. */
  setMany(entries: readonly EmbeddingCacheEntry[], options?: CallOptions): Promise<void>;
}
