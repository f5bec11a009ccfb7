import {
  type AiProviderError,
  type EmbeddingFailure,
  EmbeddingSpaceMismatchError,
  isAiProviderError,
  PartialEmbeddingError,
} from '../../errors.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import type { Provenance } from '../calls/managed-options.js';
import { addCosts } from '../cost/cost.js';
import { embeddingSpaceId } from '../embedding-space.js';
import type { PartialEmbeddingResult } from '../ports/embedding-provider.js';
import type { VectorRecord, VectorStore } from '../ports/vector-store.js';
import { type CheckedIndexRecord, requireUniqueIds } from './check-record.js';
import { contentHashOf } from './content-hash.js';
import { planUpsert, readVectors } from './upsert-plan.js';

/** A record of one of the host's tables, with the text that it is to be found by. */
export interface IndexRecord extends Pick<VectorRecord, 'recordId' | 'metadata'> {
  /** Embedded, and not stored: put it into `metadata` to get it back with a hit. */
  readonly text: string;
}

export interface TableOptions {
  readonly tenantId: number;
  /** The name of the table: `[a-z][a-z0-9_]*`. */
  readonly tableName: string;
  /**
   * Who embeds the table's first records, which decides the embedding space of the whole collection.
   * @default 'auto'
   */
  readonly preferredProvider?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface UpsertOptions extends TableOptions {
  /**
   * What the vectors depend on besides the texts, such as the version of your own rules that make a record's text. A
   * record that was stored with another version is embedded again.
   * @default ''
   */
  readonly contentVersion?: string | undefined;
  /**
   * Called after each slice of records, with how many are stored by now, the unchanged ones included. Awaited; if it
   * throws, the call rejects with that error.
   */
  readonly onProgress?: ((progress: { readonly storedCount: number }) => unknown) | undefined;
  /**
   * Called after each write to the vector store with what it stored, so that a host can keep its own table of record
   * and point ids. Awaited; if it throws, the call rejects with that error. After a crash between the write and the
   * call it is not called again for records that are stored, so make the table from the vector store when in doubt.
   */
  readonly onStored?: ((stored: StoredBatch) => unknown) | undefined;
}

/** Records that one write has stored. */
export interface StoredBatch {
  readonly tenantId: number;
  readonly tableName: string;
  /** Each record's key in its table, and the id of its point in the vector store. */
  readonly ids: readonly { readonly recordId: string | number; readonly pointId: string }[];
  readonly embeddingSpace: string;
  /** The `provider` column's value of the integration that embedded them; null if they kept their vectors. */
  readonly provider: string | null;
}

export interface UpsertResult extends UpsertCounts {
  /** The point ids, in the order of the records. */
  readonly ids: string[];
}

export interface UpsertCounts {
  /** How many records were new or had another text, and were embedded. */
  readonly embeddedCount: number;
  /** How many had other metadata only: they were stored again with the vector that they had. */
  readonly updatedCount: number;
  /** How many were stored already just as they are. */
  readonly skippedCount: number;
  readonly inputTokens: number | null;
  /** Exact US dollars as a decimal string, or null if the price or the token count is unknown. */
  readonly cost: string | null;
}

/** What an upsert that failed in part has stored; carried by its `PartialEmbeddingError`. */
export interface PartialUpsertResult {
  /** The point ids in the order of the records that were reached, `undefined` for a record that got no vector. */
  readonly ids: readonly (string | undefined)[];
}

/** The embedding space that a table's collection requires; undefined if there is no collection. */
export async function readRequiredSpace(
  store: VectorStore,
  { tenantId, tableName, signal }: TableOptions,
): Promise<string | undefined> {
  const description = await store.describeCollection(tenantId, tableName, { signal });
  if (description === undefined) return undefined;
  if (description.embeddingSpace !== null) return description.embeddingSpace;
  throw new EmbeddingSpaceMismatchError(
    `The collection of tenant ${tenantId} for the table ${tableName} does not say which embedding space its vectors are of, so none can be added to or compared with them. ` +
      'Build a new collection and embed the records again, or use the vector store directly with vectors whose model you know.',
    { expected: 'unknown', received: 'unknown' },
  );
}

/** A record of a slice, and its place in it. */
interface PlacedVector {
  readonly index: number;
  readonly vector: ArrayLike<number>;
}

/** One upsert call: what it has stored, paid and failed so far. */
export class IndexUpsert {
  readonly #manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly #store: VectorStore;
  readonly #options: UpsertOptions;
  readonly #ids: (string | undefined)[] = [];
  readonly #failures: EmbeddingFailure[] = [];
  readonly #costs: (string | null)[] = [];
  #requiredSpace: string | undefined;
  #embeddedCount = 0;
  #updatedCount = 0;
  #skippedCount = 0;
  #inputTokens: number | null = 0;

  /** @param requiredSpace - The space of the table's collection, if it is known already. */
  constructor(
    manager: Pick<HybridProviderManager, 'generateEmbeddings'>,
    store: VectorStore,
    options: UpsertOptions,
    requiredSpace?: string,
  ) {
    this.#manager = manager;
    this.#store = store;
    this.#options = options;
    this.#requiredSpace = requiredSpace;
  }

  /** Stores what is new or changed in a slice of the records. */
  async add(slice: readonly CheckedIndexRecord[]): Promise<void> {
    const offset = this.#ids.length;
    requireUniqueIds(slice, offset);
    this.#requiredSpace ??= await readRequiredSpace(this.#store, this.#options);
    this.#ids.length += slice.length;
    const changed = await this.#keepWhatIsStored(slice, offset);
    if (changed.length > 0) await this.#embedAndStore(slice, changed, offset);
    await this.#options.onProgress?.({ storedCount: this.#storedCount });
  }

  /** @throws `PartialEmbeddingError` if records got no vector. */
  finish(): UpsertResult {
    const [first] = this.#failures;
    if (first !== undefined) throw this.#toError(first.error);
    return { ids: this.#ids as string[], ...this.counts };
  }

  /** What was done and paid so far, whether or not all records got a vector. */
  get counts(): UpsertCounts {
    return {
      embeddedCount: this.#embeddedCount,
      updatedCount: this.#updatedCount,
      skippedCount: this.#skippedCount,
      inputTokens: this.#inputTokens,
      cost: addCosts(this.#costs),
    };
  }

  /** The records that got no vector, by their positions. */
  get failures(): readonly EmbeddingFailure[] {
    return this.#failures;
  }

  get requiredSpace(): string | undefined {
    return this.#requiredSpace;
  }

  get #storedCount(): number {
    return this.#embeddedCount + this.#updatedCount + this.#skippedCount;
  }

  /**
   * Stores other metadata next to the vectors that are there. Returns the indexes of the records that need an
   * embedding.
   */
  async #keepWhatIsStored(slice: readonly CheckedIndexRecord[], offset: number): Promise<number[]> {
    if (this.#requiredSpace === undefined) return [...slice.keys()];
    const hashes = slice.map((record) => this.#hashOf(record));
    const plan = await planUpsert(this.#store, slice, hashes, this.#options);
    for (const { index, id } of plan.unchanged) this.#ids[offset + index] = id;
    this.#skippedCount += plan.unchanged.length;
    const { placed, missing } = await readVectors(this.#store, slice, hashes, plan.otherMetadata, this.#options);
    await this.#write(slice, placed, offset, null);
    this.#updatedCount += placed.length;
    return [...plan.changed, ...missing].toSorted((a, b) => a - b);
  }

  async #embedAndStore(
    slice: readonly CheckedIndexRecord[],
    changed: readonly number[],
    offset: number,
  ): Promise<void> {
    try {
      const result = await this.#embed(changed.map((index) => slice[index]!.text));
      this.#costs.push(result.cost);
      await this.#storeEmbedded(slice, changed, result, offset);
    } catch (error) {
      if (!isPartialEmbedding(error)) throw error;
      await this.#storeEmbedded(slice, changed, error.partialResult, offset);
      for (const { position, error: cause } of error.failures) {
        this.#failures.push({ position: offset + changed[position]!, error: cause });
      }
      // A text that is refused for itself must not hold up the others; anything else would fail them too.
      if (!error.failures.every((failure) => failure.error.code === 'input_refused')) throw this.#toError(error);
    }
  }

  #embed(texts: readonly string[]) {
    const { tenantId, preferredProvider, signal } = this.#options;
    return this.#manager.generateEmbeddings(texts, {
      tenantId,
      preferredProvider,
      requiredSpace: this.#requiredSpace,
      isNewTable: this.#requiredSpace === undefined,
      purpose: 'bulk',
      inputType: 'document',
      signal,
    });
  }

  async #storeEmbedded(
    slice: readonly CheckedIndexRecord[],
    changed: readonly number[],
    part: PartialEmbeddingResult,
    offset: number,
  ): Promise<void> {
    const { embeddingSpace, embeddings, usage } = part;
    this.#inputTokens =
      this.#inputTokens === null || usage.inputTokens === null ? null : this.#inputTokens + usage.inputTokens;
    if (embeddingSpace === null) return;
    if (this.#requiredSpace === undefined) {
      const { tenantId, tableName, signal } = this.#options;
      const id = embeddingSpaceId(embeddingSpace);
      const vectorSize = embeddingSpace.dimension;
      await this.#store.createCollection(tenantId, tableName, { vectorSize, embeddingSpace: id, signal });
      this.#requiredSpace = id;
    }
    const placed = changed.flatMap((index, at) => {
      const vector = embeddings[at];
      return vector === undefined ? [] : [{ index, vector }];
    });
    await this.#write(slice, placed, offset, (part as Partial<Provenance>).provider ?? null);
    this.#embeddedCount += placed.length;
  }

  /**
   * Each record with its vector and the hash of what that was made from, in one write: there is never one without the
   * other.
   */
  async #write(
    slice: readonly CheckedIndexRecord[],
    placed: readonly PlacedVector[],
    offset: number,
    provider: string | null,
  ): Promise<void> {
    if (placed.length === 0) return;
    const { tenantId, tableName, signal } = this.#options;
    const ids = await this.#store.upsertVectorsBatch(
      tenantId,
      tableName,
      placed.map(({ index, vector }) => {
        const record = slice[index]!;
        const { recordId, metadata } = record;
        return { recordId, metadata, vector, contentHash: this.#hashOf(record) };
      }),
      { embeddingSpace: this.#requiredSpace, signal },
    );
    placed.forEach(({ index }, at) => {
      this.#ids[offset + index] = ids[at];
    });
    await this.#options.onStored?.({
      tenantId,
      tableName,
      ids: placed.map(({ index }, at) => ({ recordId: slice[index]!.recordId, pointId: ids[at]! })),
      embeddingSpace: this.#requiredSpace!,
      provider,
    });
  }

  #hashOf({ text, metadata }: CheckedIndexRecord): string {
    const { contentVersion = '' } = this.#options;
    return contentHashOf({ text, metadata, contentVersion, embeddingSpace: this.#requiredSpace! });
  }

  #toError(cause: AiProviderError): PartialEmbeddingError<PartialUpsertResult> {
    return new PartialEmbeddingError<PartialUpsertResult>(
      `${this.#failures.length} records got no vector and were not stored; ${this.#storedCount} were. ${cause.message}`,
      {
        provider: 'provider' in cause ? String(cause.provider) : 'several',
        isRetryable: this.#failures.some((failure) => failure.error.isRetryable),
        cause,
        failures: this.#failures,
        partialResult: { ids: this.#ids },
      },
    );
  }
}

function isPartialEmbedding(error: unknown): error is PartialEmbeddingError<PartialEmbeddingResult> {
  return isAiProviderError(error) && error.code === 'embedding_partially_failed';
}
