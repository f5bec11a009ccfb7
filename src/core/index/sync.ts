import { type AiProviderError, InvalidInputError, isAiProviderError } from '../../errors.js';
import { requireTenantOptions } from '../../internal/call-options.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue, requireMethods } from '../../internal/validate.js';
import type { HybridProviderManager } from '../calls/hybrid-provider-manager.js';
import { addCosts } from '../cost/cost.js';
import type { DeadLetter, SyncStore } from '../ports/sync-store.js';
import type { VectorStore } from '../ports/vector-store.js';
import { type CheckedIndexRecord, checkIndexRecord, requireRecordId } from './check-record.js';
import { checkChunking } from './chunking.js';
import { textHashOf } from './content-hash.js';
import { IndexUpsert, type UpsertCounts, type UpsertOptions } from './index-upsert.js';
import { deleteWithPieces, isLaterPiece } from './pieces.js';
import { readSource, type SyncRecord, type SyncSlice, type SyncSource } from './sync-source.js';

export interface SyncOptions extends Omit<UpsertOptions, 'onProgress'> {
  /**
   * Deletes the stored records that the source does not have any more. Only after the whole source was read: never if
   * it failed, was cancelled, had fewer records than its `total`, or had none at all.
   * @default false
   */
  readonly deleteMissing?: boolean | undefined;
  /** Remembers how far the sync came and which records it set aside. @default nothing is remembered */
  readonly syncStore?: SyncStore | undefined;
  /** Sends records again that were set aside before, also if their text is the same. @default false */
  readonly retryDeadLetters?: boolean | undefined;
  /** Called after each page or slice. Awaited; if it throws, the call rejects with that error. */
  readonly onProgress?: ((progress: SyncProgress) => unknown) | undefined;
}

export interface SyncCounts extends UpsertCounts {
  /** How many records the source had. */
  readonly readCount: number;
  /** How many had no text. What was stored of them before is deleted. */
  readonly withoutTextCount: number;
  /** How many could not be embedded, in this run or before, and are set aside. */
  readonly deadLetterCount: number;
  /** How many stored records the source did not have any more, and were deleted. */
  readonly deletedCount: number;
}

export interface SyncProgress extends SyncCounts {
  /** How many records the source has, if it said so. */
  readonly total: number | undefined;
  /** The last record that was read. */
  readonly currentRecordId: string | number | undefined;
}

export interface SyncResult extends SyncCounts {
  /** Those of this run, the first 1,000: records that were refused, or that cannot be stored. */
  readonly deadLetters: readonly DeadLetter[];
  /** Why nothing was deleted although `deleteMissing` was set. */
  readonly deletionSkipped?: 'source_ended_early' | 'source_was_empty' | undefined;
}

/** Records of an iterable that are handled at a time; as many as an upsert takes. */
const sliceLength = 400;
/** After so many failed syncs a record that fails while others succeed counts as one that the server does not take. */
const maxAttempts = 3;
const deadLettersInResult = 1_000;
const idsPerDelete = 1_000;

export interface SyncCollaborators {
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings'>;
  readonly store: VectorStore;
}

/** @throws {@link InvalidInputError} before any I/O. */
export function checkSync(source: unknown, options: SyncOptions, store: VectorStore): void {
  requireTenantOptions(options);
  requireKnownKeys<SyncOptions>(options, {
    tenantId: true,
    tableName: true,
    preferredProvider: true,
    signal: true,
    contentVersion: true,
    chunking: true,
    onStored: true,
    deleteMissing: true,
    syncStore: true,
    retryDeadLetters: true,
    onProgress: true,
  });
  if (typeof source !== 'function' && !isIterable(source)) {
    throw new InvalidInputError(
      `Expected \`source\` to be an iterable of records or a function that reads a page, got ${describeValue(source)}.`,
    );
  }
  if (options.chunking !== undefined) checkChunking(options.chunking);
  if (options.syncStore !== undefined) {
    requireMethods(options.syncStore, 'syncStore', ['loadCheckpoint', 'saveDeadLetters'], 'a SyncStore');
  }
  if (options.deleteMissing === true && store.listStored === undefined) {
    throw new InvalidInputError(
      'Expected a store with `listStored` for `deleteMissing`: without it, nobody knows what is stored.',
    );
  }
}

function isIterable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}

/** One run of a sync. */
export class IndexSync {
  readonly #collaborators: SyncCollaborators;
  readonly #options: SyncOptions;
  readonly #letters = new Map<string | number, DeadLetter>();
  readonly #newLetters: DeadLetter[] = [];
  readonly #costs: (string | null)[] = [];
  /**
   * The stored records that the source has not shown yet. Read before the source: what others add meanwhile is not
   * deleted.
   */
  #unseen: Set<string | number> | undefined;
  /** The dead letters whose records the source has not shown yet. */
  readonly #unseenLetters = new Set<string | number>();
  #requiredSpace: string | undefined;
  #total: number | undefined;
  #current: string | number | undefined;
  #inputTokens: number | null = 0;
  readonly #counts = {
    readCount: 0,
    embeddedCount: 0,
    updatedCount: 0,
    skippedCount: 0,
    withoutTextCount: 0,
    deadLetterCount: 0,
    deletedCount: 0,
  };

  constructor(collaborators: SyncCollaborators, options: SyncOptions) {
    this.#collaborators = collaborators;
    this.#options = options;
  }

  async run(source: SyncSource): Promise<SyncResult> {
    const { syncStore, deleteMissing = false, signal } = this.#options;
    signal?.throwIfAborted();
    const checkpoint = await syncStore?.loadCheckpoint(this.#options, { signal });
    for (const letter of (await syncStore?.listDeadLetters(this.#options, { signal })) ?? []) {
      this.#letters.set(letter.recordId, letter);
      this.#unseenLetters.add(letter.recordId);
    }
    if (deleteMissing) this.#unseen = await this.#readStoredIds();
    const slices = readSource(source, { sliceLength, from: checkpoint?.cursor, wrapsAround: deleteMissing, signal });
    for await (const slice of slices) await this.#take(slice);
    const deletionSkipped = deleteMissing ? await this.#deleteMissing() : undefined;
    await syncStore?.saveCheckpoint(this.#options, undefined, { signal });
    return {
      ...this.#sums(),
      deadLetters: this.#newLetters,
      ...(deletionSkipped === undefined ? {} : { deletionSkipped }),
    };
  }

  async #take(slice: SyncSlice): Promise<void> {
    this.#total = slice.total ?? this.#total;
    for (let start = 0; start < slice.records.length; start += sliceLength) {
      await this.#takeRecords(slice.records.slice(start, start + sliceLength));
    }
    const { syncStore, signal, onProgress } = this.#options;
    // After its records are stored: a crash before this line reads the page again, which finds them unchanged.
    if (slice.nextCursor !== undefined) {
      await syncStore?.saveCheckpoint(this.#options, { cursor: slice.nextCursor }, { signal });
    }
    await onProgress?.({ ...this.#sums(), total: this.#total, currentRecordId: this.#current });
  }

  async #takeRecords(records: readonly SyncRecord[]): Promise<void> {
    const { current, withoutText, unusable } = this.#sort(records);
    const known = current.filter((record) => !this.#isSetAside(record));
    this.#counts.deadLetterCount += current.length - known.length;
    await this.#upsert(known);
    await this.#setAside(unusable);
    this.#counts.deadLetterCount += unusable.length;
    await this.#removeTextless(withoutText);
    this.#counts.withoutTextCount += withoutText.length;
  }

  /** The records by what is to be done with them. Of two with one id the later one counts. */
  #sort(records: readonly SyncRecord[]) {
    const current = new Map<string | number, CheckedIndexRecord>();
    const withoutText = new Set<string | number>();
    const unusable = new Map<string | number, DeadLetter>();
    for (const record of records) {
      const position = this.#counts.readCount++;
      const recordId = requireRecordId(record?.recordId, position);
      this.#current = recordId;
      this.#unseen?.delete(recordId);
      this.#unseenLetters.delete(recordId);
      current.delete(recordId);
      withoutText.delete(recordId);
      unusable.delete(recordId);
      if (typeof record.text !== 'string' || record.text.trim() === '') {
        withoutText.add(recordId);
        continue;
      }
      try {
        current.set(recordId, checkIndexRecord(record, position));
      } catch (error) {
        if (!isAiProviderError(error)) throw error;
        unusable.set(recordId, toLetter({ recordId, text: record.text }, error, maxAttempts));
      }
    }
    return { current: [...current.values()], withoutText: [...withoutText], unusable: [...unusable.values()] };
  }

  /** Whether the record was given up before, and is as it was. */
  #isSetAside(record: CheckedIndexRecord): boolean {
    const letter = this.#letters.get(record.recordId);
    if (letter === undefined || this.#options.retryDeadLetters === true) return false;
    return letter.attempts >= maxAttempts && letter.textHash === textHashOf(record.text);
  }

  async #upsert(records: readonly CheckedIndexRecord[]): Promise<void> {
    if (records.length === 0) return;
    const { manager, store } = this.#collaborators;
    const { deleteMissing, syncStore, retryDeadLetters, onProgress, ...options } = this.#options;
    const upsert = new IndexUpsert(manager, store, options, this.#requiredSpace);
    let failure: unknown;
    try {
      await upsert.add(records);
    } catch (error) {
      failure = error;
    }
    this.#requiredSpace = upsert.requiredSpace;
    this.#addCounts(upsert.counts);
    const failed = new Set(upsert.failures.map(({ position }) => position));
    // Only if others got their vectors is it the text's fault and not the server's.
    const works = failed.size < records.length;
    const letters = upsert.failures
      .filter(({ error }) => error.code === 'input_refused' || works)
      .map(({ position, error }) => this.#nextLetter(records[position]!, error));
    await this.#setAside(letters);
    this.#counts.deadLetterCount += letters.filter(({ attempts }) => attempts >= maxAttempts).length;
    const isOver = letters.length === failed.size && letters.every(({ attempts }) => attempts >= maxAttempts);
    if (failure !== undefined && !(failed.size > 0 && isOver)) throw failure;
    await this.#forget(records.filter((_, position) => !failed.has(position)).map(({ recordId }) => recordId));
  }

  #nextLetter(record: CheckedIndexRecord, error: AiProviderError): DeadLetter {
    // What the server refuses for itself, it refuses again; another failure may pass.
    if (error.code === 'input_refused') return toLetter(record, error, maxAttempts);
    const before = this.#letters.get(record.recordId);
    const isSame = before?.textHash === textHashOf(record.text);
    return toLetter(record, error, (isSame ? before!.attempts : 0) + 1);
  }

  async #setAside(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    for (const letter of letters) this.#letters.set(letter.recordId, letter);
    const shown = letters.filter(({ code }) => code !== noText);
    this.#newLetters.push(...shown.slice(0, deadLettersInResult - this.#newLetters.length));
    await this.#options.syncStore?.saveDeadLetters(this.#options, letters, { signal: this.#options.signal });
  }

  async #forget(recordIds: readonly (string | number)[]): Promise<void> {
    const known = recordIds.filter((recordId) => this.#letters.delete(recordId));
    if (known.length === 0) return;
    await this.#options.syncStore?.removeDeadLetters(this.#options, known, { signal: this.#options.signal });
  }

  /**
   * A record that lost its text must not be found by the old one. It is remembered as such, which also spares the next
   * sync the delete.
   */
  async #removeTextless(recordIds: readonly (string | number)[]): Promise<void> {
    const fresh = recordIds.filter((recordId) => this.#letters.get(recordId)?.code !== noText);
    if (fresh.length === 0) return;
    await this.#delete(fresh);
    await this.#setAside(
      fresh.map((recordId) => ({
        recordId,
        code: noText,
        reason: 'The record has no text.',
        textHash: textHashOf(''),
        attempts: maxAttempts,
      })),
    );
  }

  async #readStoredIds(): Promise<Set<string | number>> {
    const { store } = this.#collaborators;
    const { tenantId, tableName, signal } = this.#options;
    const ids = new Set<string | number>();
    if ((await store.describeCollection(tenantId, tableName, { signal })) === undefined) return ids;
    for await (const { recordId } of store.listStored!(tenantId, tableName, { signal })) {
      // Pieces go with the first one of their record.
      if (!isLaterPiece(recordId)) ids.add(recordId);
    }
    return ids;
  }

  async #deleteMissing(): Promise<SyncResult['deletionSkipped']> {
    const { readCount } = this.#counts;
    if (this.#total !== undefined && readCount < this.#total) return 'source_ended_early';
    if (readCount === 0 && this.#total !== 0) return 'source_was_empty';
    const missing = [...this.#unseen!];
    await this.#delete(missing);
    this.#counts.deletedCount = missing.length;
    await this.#forget([...this.#unseenLetters]);
    return undefined;
  }

  async #delete(recordIds: readonly (string | number)[]): Promise<void> {
    const { store } = this.#collaborators;
    const { tenantId, tableName, signal } = this.#options;
    if ((await store.describeCollection(tenantId, tableName, { signal })) === undefined) return;
    for (let start = 0; start < recordIds.length; start += idsPerDelete) {
      const part = recordIds.slice(start, start + idsPerDelete);
      await deleteWithPieces(store, this.#options, part);
      await this.#forget(part);
    }
  }

  #addCounts({ inputTokens, cost, ...counts }: UpsertCounts): void {
    this.#counts.embeddedCount += counts.embeddedCount;
    this.#counts.updatedCount += counts.updatedCount;
    this.#counts.skippedCount += counts.skippedCount;
    this.#inputTokens = this.#inputTokens === null || inputTokens === null ? null : this.#inputTokens + inputTokens;
    this.#costs.push(cost);
    // One sum from time to time, and not a list as long as the source.
    if (this.#costs.length >= 100) this.#costs.splice(0, this.#costs.length, addCosts(this.#costs));
  }

  #sums(): SyncCounts {
    return { ...this.#counts, inputTokens: this.#inputTokens, cost: addCosts(this.#costs) };
  }
}

const noText = 'no_text';

function toLetter(
  { recordId, text }: Pick<CheckedIndexRecord, 'recordId' | 'text'>,
  { code, message }: AiProviderError,
  attempts: number,
): DeadLetter {
  return { recordId, code, reason: message, textHash: textHashOf(text), attempts };
}
