import type { EmbeddingCache, EmbeddingCacheEntry } from '../../core/ports/embedding-cache.js';
import { requirePositiveInteger } from '../../internal/validate.js';

export interface MemoryEmbeddingCacheOptions {
  /**
   * How much the cache may hold, in bytes, keys included. If there is more, what was not used for the longest time is
   * forgotten.
   * @default 67_108_864, which is about 40,000 vectors of 384 dimensions
   */
  readonly maxBytes?: number | undefined;
}

/** A Map entry, the strings and the typed array around the numbers: measured on Node 20 as about this much. */
const bytesAroundVector = 200;

/**
 * Keeps vectors in the memory of this process.
 *
 * @example
 * const manager = new HybridProviderManager({ factory, embeddingCache: { cache: new MemoryEmbeddingCache() } });
 */
export class MemoryEmbeddingCache implements EmbeddingCache {
  readonly #maxBytes: number;
  /** In the order of their last use. */
  readonly #vectors = new Map<string, Float32Array>();
  #bytes = 0;

  /** @throws `InvalidInputError` unless `maxBytes` is a positive integer. */
  constructor({ maxBytes = 64 * 1024 * 1024 }: MemoryEmbeddingCacheOptions = {}) {
    this.#maxBytes = requirePositiveInteger(maxBytes, 'maxBytes');
  }

  /** How many bytes are held. */
  get byteCount(): number {
    return this.#bytes;
  }

  async getMany(keys: readonly string[]): Promise<(Float32Array | undefined)[]> {
    return keys.map((key) => {
      const vector = this.#vectors.get(key);
      if (vector === undefined) return undefined;
      this.#vectors.delete(key);
      this.#vectors.set(key, vector);
      return vector.slice();
    });
  }

  async setMany(entries: readonly EmbeddingCacheEntry[]): Promise<void> {
    for (const { key, vector } of entries) {
      this.#forget(key);
      const bytes = bytesOf(key, vector);
      if (bytes > this.#maxBytes) continue;
      this.#vectors.set(key, vector.slice());
      this.#bytes += bytes;
    }
    for (const key of this.#vectors.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#forget(key);
    }
  }

  #forget(key: string): void {
    const vector = this.#vectors.get(key);
    if (vector === undefined) return;
    this.#vectors.delete(key);
    this.#bytes -= bytesOf(key, vector);
  }
}

function bytesOf(key: string, vector: Float32Array): number {
  return key.length + vector.byteLength + bytesAroundVector;
}
