import type { EmbeddingCache, EmbeddingCacheEntry } from '../../core/ports/embedding-cache.js';
import { requireMethods, requirePositiveInteger } from '../../internal/validate.js';

/** The part of a `Keyv` instance that is used. */
export interface KeyvLike {
  get(keys: string[]): Promise<unknown[]>;
  set(key: string, value: string, ttlMs?: number): Promise<unknown>;
}

export interface KeyvEmbeddingCacheOptions {
  /** How long a vector is kept, in milliseconds. @default as long as the Keyv instance keeps what it holds */
  readonly ttlMs?: number | undefined;
}

/**
 * Keeps vectors through a `Keyv` instance of the host: in Redis, PostgreSQL, SQLite and whatever else Keyv has an
 * adapter for. A vector is stored as the base64 text of its float32 numbers, a quarter of what JSON takes. The instance
 * stays the host's and is never closed.
 *
 * Give the manager a `secret` too: it is what lets several processes, and the same one after a restart, find each
 * other's entries.
 *
 * @example
 * const cache = new KeyvEmbeddingCache(new Keyv({ namespace: 'embeddings' }));
 * const manager = new HybridProviderManager({ factory, embeddingCache: { cache, secret: encryptionKey } });
 */
export class KeyvEmbeddingCache implements EmbeddingCache {
  readonly #keyv: KeyvLike;
  readonly #ttlMs: number | undefined;

  /** @throws `InvalidInputError` unless `keyv` has `get` and `set`. */
  constructor(keyv: KeyvLike, { ttlMs }: KeyvEmbeddingCacheOptions = {}) {
    requireMethods(keyv, 'keyv', ['get', 'set'], 'a Keyv instance');
    this.#keyv = keyv;
    this.#ttlMs = ttlMs === undefined ? undefined : requirePositiveInteger(ttlMs, 'ttlMs');
  }

  async getMany(keys: readonly string[]): Promise<(Float32Array | undefined)[]> {
    if (keys.length === 0) return [];
    const values = await this.#keyv.get([...keys]);
    return keys.map((_, at) => decode(values[at]));
  }

  async setMany(entries: readonly EmbeddingCacheEntry[]): Promise<void> {
    await Promise.all(entries.map(({ key, vector }) => this.#keyv.set(key, encode(vector), this.#ttlMs)));
  }
}

function encode(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/** Undefined for what is not a vector: somebody else's value under this key, or half of one. */
function decode(value: unknown): Float32Array | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length === 0 || bytes.length % 4 !== 0 || bytes.toString('base64') !== value) return undefined;
  const vector = new Float32Array(bytes.length / 4);
  new Uint8Array(vector.buffer).set(bytes);
  return vector.every(Number.isFinite) ? vector : undefined;
}
