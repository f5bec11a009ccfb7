import { createHmac, randomBytes } from 'node:crypto';
import { InvalidInputError } from '../../errors.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';
import { describeValue, requireMethods } from '../../internal/validate.js';
import { withDeadline } from '../../internal/with-deadline.js';
import { withResolvers } from '../../internal/with-resolvers.js';
import type { EmbeddingCache } from '../ports/embedding-cache.js';
import type { EmbeddingInputType } from '../ports/embedding-provider.js';
import type { Logger } from '../ports/logger.js';

export interface EmbeddingCacheOptions {
  readonly cache: EmbeddingCache;
  /**
   * Keys the hashes of the texts, so that nobody who reads the cache can try out texts. Processes that share a cache
   * need the same one.
   * @default random, so that only this process finds what it put there
   */
  readonly secret?: string | undefined;
  /**
   * Whether tenants share vectors of equal texts. A tenant could then learn from the time of an answer that another one
   * has embedded the same text.
   * @default false
   */
  readonly isShared?: boolean | undefined;
  /** How long the cache may take to answer, in milliseconds; then the texts are embedded. @default 500 */
  readonly timeoutMs?: number | undefined;
}

/** What vectors of a call have in common. */
export interface ReuseScope {
  readonly tenantId: number;
  /** The space, or what is known of it before the first vector. */
  readonly space: string;
  readonly inputType: EmbeddingInputType;
  readonly truncate: boolean;
  readonly signal?: AbortSignal | undefined;
}

type Found = (Float32Array | undefined)[];

/**
 * Keeps a text from being embedded twice: vectors come from a cache, and calls that need the same text at the same time
 * share one request.
 */
export class EmbeddingReuse {
  readonly #cache: EmbeddingCache;
  readonly #secret: string | Buffer;
  readonly #isShared: boolean;
  readonly #timeoutMs: number;
  readonly #logger: Logger | undefined;
  /** Texts that a call is embedding just now, by their keys. Resolves to undefined if that call gets no vector. */
  readonly #underWay = new Map<string, Promise<Float32Array | undefined>>();
  #hasWarned = false;

  /** @throws `InvalidInputError` for unusable options. */
  constructor(options: EmbeddingCacheOptions, logger?: Logger) {
    const { cache, secret, isShared = false, timeoutMs = 500 } = options;
    requireMethods(cache, 'embeddingCache.cache', ['getMany', 'setMany'], 'an EmbeddingCache');
    if (secret !== undefined && (typeof secret !== 'string' || secret.length < 16)) {
      throw new InvalidInputError(
        `Expected \`embeddingCache.secret\` to be a string of at least 16 characters, got ${describeValue(secret)}.`,
      );
    }
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0)) {
      throw new InvalidInputError(
        `Expected \`embeddingCache.timeoutMs\` to be a positive number, got ${describeValue(timeoutMs)}.`,
      );
    }
    this.#cache = cache;
    this.#secret = secret ?? randomBytes(32);
    this.#isShared = isShared === true;
    this.#timeoutMs = timeoutMs;
    this.#logger = logger;
  }

  /** One key for each text. */
  keysOf(texts: readonly string[], { tenantId, space, inputType, truncate }: ReuseScope): string[] {
    const owner = this.#isShared ? 'shared' : String(tenantId);
    const prefix = `${owner}|${space}|${inputType}|${truncate}|`;
    return texts.map((text) => {
      const hash = createHmac('sha256', this.#secret).update(prefix).update(text).digest('base64url');
      return `pulse:embedding:1:${owner}:${hash}`;
    });
  }

  /**
   * Vectors for texts that are kept, or that another call is embedding; the others are embedded with `embed`, and kept.
   *
   * @param embed - Embeds the texts at these positions, and reports each vector, also if it fails afterwards. What it
   *   throws is thrown.
   * @returns How many texts were not embedded by this call.
   */
  async fill(
    texts: readonly string[],
    scope: ReuseScope,
    report: (position: number, vector: Float32Array) => boolean,
    embed: (positions: readonly number[], report: (position: number, vector: Float32Array) => void) => Promise<void>,
  ): Promise<{ reusedCount: number; reusedPositions: readonly number[] }> {
    const keys = this.keysOf(texts, scope);
    const reusedPositions: number[] = [];
    const take = (position: number, vector: Float32Array | undefined): boolean => {
      if (vector === undefined || !report(position, vector)) return false;
      reusedPositions.push(position);
      return true;
    };
    const kept = await this.#read(keys, scope.signal);
    let open = [...keys.keys()].filter((position) => !take(position, kept[position]));
    while (open.length > 0) {
      const shared = open.filter((position) => this.#underWay.has(keys[position]!));
      const own = open.filter((position) => !this.#underWay.has(keys[position]!));
      const waiting = Promise.all(shared.map((position) => this.#underWay.get(keys[position]!)!));
      if (own.length > 0) await this.#embedOwn(own, keys, embed);
      const vectors = await rejectOnAbort(waiting, scope.signal);
      // What another call did not get, this one asks for itself.
      open = shared.filter((position, at) => !take(position, vectors[at]?.slice()));
    }
    return { reusedCount: reusedPositions.length, reusedPositions };
  }

  async #embedOwn(
    positions: readonly number[],
    keys: readonly string[],
    embed: (positions: readonly number[], report: (position: number, vector: Float32Array) => void) => Promise<void>,
  ): Promise<void> {
    const results = new Map(positions.map((position) => [position, withResolvers<Float32Array | undefined>()]));
    const made = new Map<number, Float32Array>();
    // Equal texts of one call have one key: the last result stands for all.
    for (const [position, { promise }] of results) this.#underWay.set(keys[position]!, promise);
    try {
      await embed(positions, (position, vector) => made.set(position, vector));
    } finally {
      for (const [position, { promise, resolve }] of results) {
        if (this.#underWay.get(keys[position]!) === promise) this.#underWay.delete(keys[position]!);
        resolve(made.get(position));
      }
      void this.#write([...made].map(([position, vector]) => ({ key: keys[position]!, vector: vector.slice() })));
    }
  }

  async #read(keys: readonly string[], signal: AbortSignal | undefined): Promise<Found> {
    try {
      const found = await withDeadline((ended) => this.#cache.getMany(keys, { signal: ended }), {
        timeoutMs: this.#timeoutMs,
        signals: [signal],
        timeoutError: () => new Error(`The embedding cache did not answer within ${this.#timeoutMs} ms.`),
      });
      return keys.map((_, at) => found[at]);
    } catch (error) {
      signal?.throwIfAborted();
      this.#warn(error);
      return keys.map(() => undefined);
    }
  }

  async #write(entries: readonly { key: string; vector: Float32Array }[]): Promise<void> {
    if (entries.length === 0) return;
    try {
      await this.#cache.setMany(entries);
    } catch (error) {
      this.#warn(error);
    }
  }

  /** Once: a cache that is away is asked at every call. */
  #warn(error: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#logger?.warn({ error }, 'The embedding cache failed; texts are embedded as if nothing were kept.');
  }
}
