import {
  type AiProviderError,
  type EmbeddingFailure,
  EmbeddingSpaceMismatchError,
  isAiProviderError,
  PartialEmbeddingError,
} from '../../errors.js';
import type { ManagedPartialEmbeddingResult } from '../calls/embedding-call.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import type { Provenance } from '../calls/managed-options.js';
import { addCosts } from '../cost/cost.js';
import { embeddingSpaceId } from '../embedding-space.js';
import type { PartialEmbeddingResult } from '../ports/embedding-provider.js';
import type { VectorRecord, VectorStore } from '../ports/vector-store.js';
import { type CheckedIndexRecord, requireUniqueIds } from './check-record.js';
import { type CheckedChunking, type ChunkingOptions, checkChunking } from './chunking.js';
import { contentHashOf } from './content-hash.js';
import { requireNoPiece, type StoredUnit, toUnits } from './pieces.js';
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
   * Cuts long texts into pieces with a vector each; a search finds the record once, with its best piece as the excerpt.
   * The pieces of a text that changed in one place keep their vectors where they are as they were.
   * @default texts stay whole, and a model that takes less reads only their beginning or refuses them
   */
  readonly chunking?: ChunkingOptions | undefined;
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

type RecordState = 'skipped' | 'updated' | 'embedded';
const rank: Readonly<Record<RecordState, number>> = { skipped: 0, updated: 1, embedded: 2 };

/** The records of a slice as what is stored of them. */
class UnitSlice {
  readonly units: readonly StoredUnit[];
  /** For each unit, the place of its record among all records. */
  readonly positions: readonly number[];
  /** What became of the records, by their places. */
  readonly states = new Map<number, RecordState>();

  constructor(records: readonly CheckedIndexRecord[], offset: number, chunking: CheckedChunking | undefined) {
    const perRecord = records.map((record) => toUnits(record, chunking));
    this.units = perRecord.flat();
    this.positions = perRecord.flatMap((units, index) => units.map(() => offset + index));
  }
}

/** One upsert call: what it has stored, paid and failed so far. */
export class IndexUpsert {
  readonly #manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly #store: VectorStore;
  readonly #options: UpsertOptions;
  readonly #ids: (string | undefined)[] = [];
  readonly #failures: EmbeddingFailure[] = [];
  readonly #costs: (string | null)[] = [];
  readonly #counts = { embedded: 0, updated: 0, skipped: 0 };
  readonly #chunking: CheckedChunking | undefined;
  #unchangedTexts = 0;
  #unchangedCharacters = 0;
  #requiredSpace: string | undefined;
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
    this.#chunking = options.chunking === undefined ? undefined : checkChunking(options.chunking);
  }

  /** Stores what is new or changed in a slice of the records. */
  async add(records: readonly CheckedIndexRecord[]): Promise<void> {
    const offset = this.#ids.length;
    requireUniqueIds(records, offset);
    records.forEach((record, index) => {
      requireNoPiece(record, offset + index);
    });
    const slice = new UnitSlice(records, offset, this.#chunking);
    this.#requiredSpace ??= await readRequiredSpace(this.#store, this.#options);
    this.#ids.length += records.length;
    let failure: AiProviderError | undefined;
    try {
      const changed = await this.#keepWhatIsStored(slice);
      if (changed.length > 0) failure = await this.#embedAndStore(slice, changed);
    } finally {
      for (const state of slice.states.values()) this.#counts[state]++;
    }
    if (failure !== undefined) throw this.#toError(failure);
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
      embeddedCount: this.#counts.embedded,
      updatedCount: this.#counts.updated,
      skippedCount: this.#counts.skipped,
      inputTokens: this.#inputTokens,
      cost: addCosts(this.#costs),
    };
  }

  /** Texts that needed no embedding. */
  get unchanged(): { readonly textCount: number; readonly characters: number } {
    return { textCount: this.#unchangedTexts, characters: this.#unchangedCharacters };
  }

  /** The records that got no vector, by their positions. */
  get failures(): readonly EmbeddingFailure[] {
    return this.#failures;
  }

  get requiredSpace(): string | undefined {
    return this.#requiredSpace;
  }

  get #storedCount(): number {
    return this.#counts.embedded + this.#counts.updated + this.#counts.skipped;
  }

  /**
   * Stores other metadata next to the vectors that are there. Returns the indexes of the records that need an
   * embedding.
   */
  async #keepWhatIsStored(slice: UnitSlice): Promise<number[]> {
    const { units } = slice;
    if (this.#requiredSpace === undefined) return [...units.keys()];
    const hashes = units.map((unit) => this.#hashOf(unit));
    const plan = await planUpsert(this.#store, units, hashes, this.#options);
    await this.#deletePieces(plan.surplus);
    for (const { index, id } of plan.unchanged) this.#settle(slice, index, 'skipped', id);
    for (const { index } of plan.unchanged) this.#unchangedCharacters += units[index]!.text.length;
    this.#unchangedTexts += plan.unchanged.length;
    const { placed, missing } = await readVectors(this.#store, units, hashes, plan.otherMetadata, this.#options);
    await this.#write(slice, placed, 'updated', null);
    return [...plan.changed, ...missing].toSorted((a, b) => a - b);
  }

  /** Returns the failure that would be the next slice's as well, if there is one. */
  async #embedAndStore(slice: UnitSlice, changed: readonly number[]): Promise<AiProviderError | undefined> {
    try {
      const result = await this.#embed(changed.map((index) => slice.units[index]!.text));
      this.#costs.push(result.cost);
      await this.#storeEmbedded(slice, changed, result);
      return undefined;
    } catch (error) {
      if (!isAiProviderError(error, 'embedding_partially_failed')) throw error;
      const partialResult = error.partialResult as ManagedPartialEmbeddingResult;
      this.#costs.push(partialResult.cost ?? null);
      await this.#storeEmbedded(slice, changed, partialResult);
      this.#addFailures(slice, changed, error.failures);
      // A text that is refused for itself must not hold up the others; anything else would fail them too.
      return error.failures.every((failure) => failure.error.code === 'input_refused') ? undefined : error;
    }
  }

  /** One failure a record, however many of its pieces failed. */
  #addFailures(slice: UnitSlice, changed: readonly number[], failures: readonly EmbeddingFailure[]): void {
    const failed = new Map<number, AiProviderError>();
    for (const { position, error } of failures) {
      const record = slice.positions[changed[position]!]!;
      if (!failed.has(record)) failed.set(record, error);
    }
    for (const [position, error] of failed) {
      slice.states.delete(position);
      this.#ids[position] = undefined;
      this.#failures.push({ position, error });
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

  async #storeEmbedded(slice: UnitSlice, changed: readonly number[], part: PartialEmbeddingResult): Promise<void> {
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
    const provider = (part as Partial<Provenance>).provider ?? null;
    // A first piece says how many pieces there are. It is stored before the others, so that none of them is ever
    // forgotten.
    const firsts = placed.filter(({ index }) => slice.units[index]!.isFirst);
    const missing = new Set(changed.filter((index) => slice.units[index]!.isFirst));
    for (const { index } of firsts) missing.delete(index);
    const lost = new Set([...missing].map((index) => slice.positions[index]!));
    await this.#write(slice, firsts, 'embedded', provider);
    await this.#write(
      slice,
      placed.filter(({ index }) => !slice.units[index]!.isFirst && !lost.has(slice.positions[index]!)),
      'embedded',
      provider,
    );
  }

  /**
   * Each record with its vector and the hash of what that was made from, in one write: there is never one without the
   * other.
   */
  async #write(
    slice: UnitSlice,
    placed: readonly PlacedVector[],
    state: RecordState,
    provider: string | null,
  ): Promise<void> {
    if (placed.length === 0) return;
    const { tenantId, tableName, signal } = this.#options;
    const ids = await this.#store.upsertVectorsBatch(
      tenantId,
      tableName,
      placed.map(({ index, vector }) => {
        const unit = slice.units[index]!;
        return { recordId: unit.recordId, metadata: unit.metadata, vector, contentHash: this.#hashOf(unit) };
      }),
      { embeddingSpace: this.#requiredSpace, signal },
    );
    placed.forEach(({ index }, at) => {
      this.#settle(slice, index, state, ids[at]!);
    });
    await this.#options.onStored?.({
      tenantId,
      tableName,
      ids: placed.map(({ index }, at) => ({ recordId: slice.units[index]!.ownerId, pointId: ids[at]! })),
      embeddingSpace: this.#requiredSpace!,
      provider,
    });
  }

  #settle(slice: UnitSlice, index: number, state: RecordState, id: string): void {
    const position = slice.positions[index]!;
    if (slice.units[index]!.isFirst) this.#ids[position] = id;
    const before = slice.states.get(position);
    // What was done most to one of its pieces counts for the record.
    if (before === undefined || rank[state] > rank[before]) slice.states.set(position, state);
  }

  async #deletePieces(pieceIds: readonly (string | number)[]): Promise<void> {
    if (pieceIds.length === 0) return;
    const { tenantId, tableName, signal } = this.#options;
    await this.#store.deleteRecords(tenantId, tableName, pieceIds, { signal });
  }

  #hashOf({ text, metadata, isFirst, pieceCount }: StoredUnit): string {
    const { contentVersion = '' } = this.#options;
    const embeddingSpace = this.#requiredSpace!;
    return contentHashOf({ text, metadata, contentVersion, embeddingSpace, pieceCount: isFirst ? pieceCount : 1 });
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
