import type { ManagedEmbeddingResult } from '#src/core/calls/managed-options.js';
import type { ReadSyncPage, SyncRecord } from '#src/core/index/sync-source.js';
import { VectorIndex } from '#src/core/index/vector-index.js';
import type { SyncStore } from '#src/core/ports/sync-store.js';
import type { VectorStore } from '#src/core/ports/vector-store.js';
import { PartialEmbeddingError, ProviderError } from '#src/errors.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import { spaceOf } from './fake-provider.js';

export const dimension = 8;
const embeddingSpace = spaceOf('model-a', dimension);

/** The manager's part, with a bill: how often each text was paid for. */
export class BillingManager {
  readonly paid = new Map<string, number>();
  calls = 0;
  /** Texts that the server refuses, with the error for each. */
  refuse: (text: string) => 'input_refused' | 'unavailable' | undefined = () => undefined;

  get paidTexts(): number {
    return [...this.paid.values()].reduce((sum, count) => sum + count, 0);
  }

  async generateEmbeddings(texts: readonly string[]): Promise<ManagedEmbeddingResult> {
    this.calls++;
    const errors = texts.map((text) => this.refuse(text));
    const embeddings = texts.map((text, i) => (errors[i] === undefined ? fakeEmbedding(text, dimension) : undefined));
    const good = texts.filter((_, i) => errors[i] === undefined);
    for (const text of good) this.paid.set(text, (this.paid.get(text) ?? 0) + 1);
    const usage = { inputCount: good.length, inputTokens: good.join('').length };
    const choice = { policy: 'document', reason: 'a fake' };
    const rest = { model: 'model-a', usage, provider: 'wex_ai_gateway', integrationId: 1, choice, failedOver: [] };
    const cost = (good.length / 1000).toString();
    if (good.length === texts.length) {
      return { ...rest, cost, embeddingSpace, embeddings: embeddings as Float32Array[] } as ManagedEmbeddingResult;
    }
    const failures = errors.flatMap((code, position) =>
      code === undefined ? [] : [{ position, error: new ProviderError(`It was ${code}.`, { code, provider: 'p' }) }],
    );
    throw new PartialEmbeddingError('Some failed.', {
      provider: 'p',
      failures,
      partialResult: { ...rest, embeddingSpace: good.length > 0 ? embeddingSpace : null, embeddings },
    });
  }
}

export class Killed extends Error {}

/**
 * Objects whose methods fail at the step with the given number, before or after they took effect, and at every later
 * one.
 */
export class Dying {
  #step = 0;
  readonly #dieAt: number;
  readonly #afterEffect: boolean;
  constructor(dieAt: number, afterEffect: boolean) {
    this.#dieAt = dieAt;
    this.#afterEffect = afterEffect;
  }

  get steps(): number {
    return this.#step;
  }

  wrap<Target extends object>(target: Target): Target {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const run = () => value.apply(target, args) as unknown;
          return key === 'listStored' ? this.#iterate(run as () => AsyncIterable<unknown>) : this.#call(run);
        };
      },
    });
  }

  async #call(run: () => unknown): Promise<unknown> {
    const step = ++this.#step;
    if (step > this.#dieAt || (step === this.#dieAt && !this.#afterEffect)) throw new Killed();
    const value = await run();
    if (step === this.#dieAt) throw new Killed();
    return value;
  }

  async *#iterate(run: () => AsyncIterable<unknown>): AsyncGenerator<unknown> {
    await this.#call(() => undefined);
    yield* run();
  }
}

export interface SyncWorld {
  readonly manager: BillingManager;
  readonly store: VectorStore;
  readonly syncStore: SyncStore;
}

/** An index of a process that dies at the step with the given number. */
export function dyingIndex(world: SyncWorld, dying: Dying) {
  const index = new VectorIndex({ manager: dying.wrap(world.manager), store: dying.wrap(world.store) });
  return { index, syncStore: dying.wrap(world.syncStore) };
}

/** Pages of a sorted list, by the place of the next record, as a keyset query gives them. */
export function pagesOf(records: () => readonly SyncRecord[], pageLength: number): ReadSyncPage {
  return (cursor) => {
    const all = records();
    const start = cursor === undefined ? 0 : Number(cursor);
    const end = start + pageLength;
    const page = { records: all.slice(start, end), total: all.length };
    return end < all.length ? { ...page, nextCursor: String(end) } : page;
  };
}

/** Everything that a table holds: the record's id, and the vector that is stored for it. */
export async function contentOf(
  store: VectorStore & {
    listRecords(
      tenantId: number,
      tableName: string,
      options: { withVectors: true },
    ): AsyncIterable<{ recordId: string | number; vector?: Float32Array; metadata: object }>;
  },
  tenantId: number,
  tableName: string,
) {
  const content = new Map<string | number, { vector: Float32Array; metadata: object }>();
  for await (const { recordId, vector, metadata } of store.listRecords(tenantId, tableName, { withVectors: true })) {
    if (content.has(recordId)) throw new Error(`The record ${recordId} is stored twice.`);
    content.set(recordId, { vector: vector!, metadata });
  }
  return content;
}
