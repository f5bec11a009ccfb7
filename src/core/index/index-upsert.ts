import {
  type AiProviderError,
  type EmbeddingFailure,
  EmbeddingSpaceMismatchError,
  InvalidInputError,
  isAiProviderError,
  PartialEmbeddingError,
} from '../../errors.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import { addCosts } from '../cost/cost.js';
import { embeddingSpaceId } from '../embedding-space.js';
import type { PartialEmbeddingResult } from '../ports/embedding-provider.js';
import type { VectorRecord, VectorStore } from '../ports/vector-store.js';
import { requireMetadata, requireRecordId } from './check-record.js';

/** A record of one of the host's tables, with the text that it is to be found by. */
export interface IndexRecord extends Omit<VectorRecord, 'vector'> {
  /** Embedded, and not stored: put it into `metadata` to get it back with a hit. */
  readonly text: string;
}

export interface TableOptions {
  readonly tenantId: number;
  /** The name of the table: `[a-z][a-z0-9_]*`. */
  readonly tableName: string;
  /** Who embeds the table's first records, which decides the embedding space of the whole collection. @default 'auto' */
  readonly preferredProvider?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface UpsertOptions extends TableOptions {
  /** Told after each slice of records is stored, with how many there are so far. Waited for; where it fails, the call fails with its error. */
  readonly onProgress?: ((progress: { readonly storedCount: number }) => unknown) | undefined;
}

export interface UpsertResult {
  /** The point ids, in the order of the records. */
  readonly ids: string[];
  readonly inputTokens: number | null;
  /** Exact US dollars as a decimal string, or null where the price or the token count is unknown. */
  readonly cost: string | null;
}

/** What an upsert that failed in part has stored; carried by its `PartialEmbeddingError`. */
export interface PartialUpsertResult {
  /** The point ids in the order of the records that were reached, `undefined` where a record got no vector. */
  readonly ids: readonly (string | undefined)[];
}

/** The embedding space that a table's collection is pinned to; undefined where there is no collection. */
export async function readPin(
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

/** One upsert call: what it has stored, paid and failed so far. */
export class IndexUpsert {
  readonly #manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly #store: VectorStore;
  readonly #options: UpsertOptions;
  readonly #ids: (string | undefined)[] = [];
  readonly #failures: EmbeddingFailure[] = [];
  #pin: string | undefined;
  #storedCount = 0;
  #costs: (string | null)[] = [];
  #inputTokens: number | null = 0;

  constructor(manager: Pick<HybridProviderManager, 'generateEmbeddings'>, store: VectorStore, options: UpsertOptions) {
    this.#manager = manager;
    this.#store = store;
    this.#options = options;
  }

  async add(slice: readonly IndexRecord[]): Promise<void> {
    const offset = this.#ids.length;
    requireRecords(slice, offset);
    this.#pin ??= await readPin(this.#store, this.#options);
    try {
      const result = await this.#embed(slice);
      this.#costs.push(result.cost);
      await this.#storeVectors(slice, result);
    } catch (error) {
      if (!isPartialEmbedding(error)) throw error;
      await this.#storeVectors(slice, error.partialResult);
      for (const { position, error: cause } of error.failures) {
        this.#failures.push({ position: offset + position, error: cause });
      }
      // A text that is refused for itself must not hold up the others; anything else would fail them too.
      if (!error.failures.every((failure) => failure.error.code === 'input_refused')) throw this.#toError(error);
    }
    await this.#options.onProgress?.({ storedCount: this.#storedCount });
  }

  finish(): UpsertResult {
    const [first] = this.#failures;
    if (first !== undefined) throw this.#toError(first.error);
    return { ids: this.#ids as string[], inputTokens: this.#inputTokens, cost: addCosts(this.#costs) };
  }

  #embed(slice: readonly IndexRecord[]) {
    const { tenantId, preferredProvider, signal } = this.#options;
    return this.#manager.generateEmbeddings(
      slice.map((record) => record.text),
      { tenantId, preferredProvider, requiredSpace: this.#pin, inputType: 'document', signal },
    );
  }

  async #storeVectors(slice: readonly IndexRecord[], part: PartialEmbeddingResult): Promise<void> {
    const { tenantId, tableName, signal } = this.#options;
    const { embeddingSpace, embeddings } = part;
    const sliceIds = new Array<string | undefined>(slice.length).fill(undefined);
    this.#inputTokens =
      this.#inputTokens === null || part.usage.inputTokens === null ? null : this.#inputTokens + part.usage.inputTokens;
    if (embeddingSpace !== null) {
      const records = slice.flatMap(({ recordId, metadata }, index) => {
        const vector = embeddings[index];
        return vector === undefined ? [] : [{ index, recordId, metadata, vector }];
      });
      if (this.#pin === undefined) {
        this.#pin = embeddingSpaceId(embeddingSpace);
        await this.#store.createCollection(tenantId, tableName, {
          vectorSize: embeddingSpace.dimension,
          embeddingSpace: this.#pin,
          signal,
        });
      }
      const ids = await this.#store.upsertVectorsBatch(
        tenantId,
        tableName,
        records.map(({ recordId, metadata, vector }) => ({ recordId, metadata, vector })),
        { embeddingSpace: this.#pin, signal },
      );
      records.forEach(({ index }, at) => {
        sliceIds[index] = ids[at];
      });
      this.#storedCount += records.length;
    }
    this.#ids.push(...sliceIds);
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

/**
 * Checks all that can be checked before anything is embedded and paid for.
 *
 * @param offset - How many records came before these.
 * @throws `InvalidInputError` with the position in the whole list, also of a record whose id stands among these twice.
 */
export function requireRecords(records: readonly IndexRecord[], offset: number): void {
  const positions = new Map<string | number, number>();
  for (let index = 0; index < records.length; index++) {
    const position = offset + index;
    const { recordId, text, metadata } = requireRecord(records[index], position);
    requireTextOfRecord(text, position);
    requireMetadata(metadata, position);
    const first = positions.get(requireRecordId(recordId, position));
    if (first !== undefined) {
      throw new InvalidInputError(`The records at positions ${first} and ${position} have the same record id.`, {
        position,
      });
    }
    positions.set(recordId, position);
  }
}

function requireRecord(record: IndexRecord | undefined, position: number): IndexRecord {
  if (isRecord(record)) return record;
  throw new InvalidInputError(
    `Expected \`records[${position}]\` to be an object with a \`recordId\` and a \`text\`, got ${describeValue(record)}.`,
    { position },
  );
}

function requireTextOfRecord(text: unknown, position: number): void {
  if (typeof text === 'string' && text !== '') return;
  throw new InvalidInputError(
    `Expected \`records[${position}].text\` to be a non-empty string, got ${describeValue(text)}.`,
    { position },
  );
}
