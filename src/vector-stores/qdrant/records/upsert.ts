import type { UpsertVectorsOptions, VectorRecord } from '../../../core/ports/vector-store.js';
import { type AiProviderError, isAiProviderError, PartialUpsertError, type UpsertFailure } from '../../../errors.js';
import { requireOptions } from '../../../internal/call-options.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import type { TableChange } from '../collections/catalog.js';
import {
  type Collection,
  requireDimension,
  requireSpace,
  requireSparseSupport,
  requireWritable,
} from '../collections/collection.js';
import { restoreAfterBulkLoad } from '../collections/end-bulk-load.js';
import { sparseVectorName } from '../collections/options.js';
import { ownershipPayload } from '../tenancy/payload.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import { Batch } from '../wire/request-batches.js';
import type { ToWireVector } from '../wire/vectors.js';
import { type CheckedRecord, checkAsTheyCome, checkRecords, requireIterable } from './record-checks.js';
import { deletePoints, deleteReplaced } from './record-points.js';

/** More than four at once gain nothing: JSON.stringify on this side is what takes the time. */
const concurrentRequests = 4;

/** The place that the records go to, as it is now; a long upsert asks again for each of its requests. */
export interface UpsertTarget {
  use<Value>(work: (collection: Collection) => Promise<Value>): Promise<Value>;
  change<Value>(change: TableChange<Value>): Promise<Value>;
}

/**
 * Why a call ends before all is stored. One that is `interrupted` (the caller's abort, the end of the store, an
 * `onProgress` that failed, a collection that takes no record) throws its reason as it is. `hopeless`: nothing more is
 * sent, since it would fail in the same way. `unreadable`: a record is unusable, or the source of the records failed;
 * what was read before is still stored.
 */
type End =
  | { readonly kind: 'interrupted'; readonly reason: unknown }
  | { readonly kind: 'hopeless'; readonly reason: AiProviderError }
  | { readonly kind: 'unreadable'; readonly reason: unknown };

/** One call of `upsertVectorsBatch`: a window of requests, and what became of each record. */
export class Upsert {
  readonly #connection: QdrantConnection;
  readonly #target: UpsertTarget;
  readonly #options: UpsertVectorsOptions;
  readonly #ids: string[] = [];
  readonly #failures: UpsertFailure[] = [];
  readonly #underWay = new Map<Promise<void>, ReadonlySet<string>>();
  #storedCount = 0;
  /** The first end of each kind. */
  readonly #ends = new Map<End['kind'], End>();

  /** @throws `InvalidInputError` unless `options` are options. */
  constructor(connection: QdrantConnection, target: UpsertTarget, options: UpsertVectorsOptions) {
    requireOptions(options);
    this.#connection = connection;
    this.#target = target;
    this.#options = options;
  }

  /**
   * An array is checked as a whole before anything is sent; the records of an iterable as they come. If one of those is
   * unusable, or the iterable fails, what was read before is still stored: if all of it is, the error is thrown as it
   * is.
   *
   * @throws {@link PartialUpsertError} naming every record that was read and is not known to be stored.
   */
  async run(
    scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
  ): Promise<string[]> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    requireIterable(records);
    // An iterable of the caller's may wait for something else than us.
    return rejectOnAbort(this.#storeAll(scope, records), signal);
  }

  async #storeAll(
    scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
  ): Promise<string[]> {
    const isArray = Array.isArray(records);
    const checked = isArray ? checkRecords(scope, records) : checkAsTheyCome(scope, records, this.#options.signal);
    await this.#read(checked, isArray);
    await Promise.all(this.#underWay.keys());
    const interrupted = this.#ends.get('interrupted');
    if (interrupted !== undefined) throw interrupted.reason;
    if (this.#failures.length > 0) throw this.#toError();
    const unreadable = this.#ends.get('unreadable');
    if (unreadable !== undefined) throw unreadable.reason;
    return this.#ids;
  }

  #end(end: End): void {
    if (!this.#ends.has(end.kind)) this.#ends.set(end.kind, end);
  }

  /** Sends a request whenever one is full. Never rejects. */
  async #read(records: Iterable<CheckedRecord> | AsyncIterable<CheckedRecord>, isArray: boolean): Promise<void> {
    let batch = new Batch<CheckedRecord>();
    try {
      for await (const record of records) {
        if (!batch.hasRoomFor(record)) {
          await this.#start(batch);
          batch = new Batch();
        }
        batch.add(record);
        // What is left of an array is listed as failed; what is left of an iterable is not even read.
        if (this.#ends.has('interrupted') || (this.#ends.has('hopeless') && !isArray)) break;
      }
    } catch (reason) {
      this.#end({ kind: this.#options.signal?.aborted ? 'interrupted' : 'unreadable', reason });
    }
    if (batch.items.length > 0) await this.#start(batch);
  }

  /** Sends a batch once there is a place for it. Never rejects. */
  async #start({ items, pointIds }: Batch<CheckedRecord>): Promise<void> {
    // Nothing is stored yet, so that what is wrong with the collection is an error of its own.
    if (this.#ids.length === 0 && !this.#ends.has('interrupted')) await this.#begin(items);
    await this.#waitForPlace(pointIds);
    if (this.#ends.has('interrupted')) return;
    this.#ids.push(...pointIds);
    const sending = this.#send(items).finally(() => this.#underWay.delete(sending));
    this.#underWay.set(sending, pointIds);
  }

  /**
   * Waits while the window is full, and while a request with one of these records is under way: the later one is to be
   * stored last.
   */
  async #waitForPlace(pointIds: ReadonlySet<string>): Promise<void> {
    const isTwin = (ids: ReadonlySet<string>): boolean => [...pointIds].some((id) => ids.has(id));
    while (this.#underWay.size >= concurrentRequests || [...this.#underWay.values()].some(isTwin)) {
      await Promise.race(this.#underWay.keys());
    }
  }

  /** Never rejects: what went wrong is kept for the end. */
  async #send(batch: readonly CheckedRecord[]): Promise<void> {
    try {
      const hopeless = this.#ends.get('hopeless');
      if (hopeless !== undefined) throw hopeless.reason;
      await this.#target.change({
        make: (collection, beforeRetry) => this.#upsert(collection, batch, beforeRetry),
        takeBack: (collection) => this.#takeBack(collection, batch),
      });
    } catch (error) {
      this.#noteFailure(batch, error);
      return;
    }
    this.#storedCount += batch.length;
    try {
      await this.#options.onProgress?.({ storedCount: this.#storedCount });
    } catch (reason) {
      this.#end({ kind: 'interrupted', reason });
    }
  }

  #noteFailure(batch: readonly CheckedRecord[], error: unknown): void {
    if (!isAiProviderError(error) || error.code === 'aborted_by_close' || this.#options.signal?.aborted) {
      this.#end({ kind: 'interrupted', reason: error });
      return;
    }
    if (!isAboutThisBatch(error)) this.#end({ kind: 'hopeless', reason: error });
    for (const { position, recordId } of batch) this.#failures.push({ position, recordId, error });
  }

  async #begin(batch: readonly CheckedRecord[]): Promise<void> {
    try {
      await this.#target.use(async (collection) => {
        this.#check(collection, batch);
        await restoreAfterBulkLoad(this.#connection, collection);
      });
    } catch (reason) {
      this.#end({ kind: 'interrupted', reason });
    }
  }

  #check(collection: Collection, batch: readonly CheckedRecord[]): void {
    requireWritable(collection);
    requireSpace(collection, this.#options.embeddingSpace);
    const { vector, position } = batch[0]!;
    requireDimension(collection, vector.length, position);
    if (batch.some(({ sparseVector }) => sparseVector !== undefined)) requireSparseSupport(collection);
  }

  async #upsert(
    collection: Collection,
    batch: readonly CheckedRecord[],
    beforeRetry: () => Promise<void>,
  ): Promise<void> {
    this.#check(collection, batch);
    const { scope } = collection;
    const options = { signal: this.#options.signal, beforeRetry };
    await this.#connection.change({ operation: 'upsert', scope, ...options }, (client, toWire) =>
      client.upsert(scope.collection, {
        wait: true,
        points: batch.map((record) => toPoint(scope, record, toWire)),
      }),
    );
    await deleteReplaced(this.#connection, collection, batch, options);
  }

  async #takeBack(collection: Collection, batch: readonly CheckedRecord[]): Promise<void> {
    const condition = { has_id: batch.map(({ pointId }) => pointId) };
    await deletePoints(this.#connection, collection, { condition }, { signal: this.#options.signal });
  }

  #toError(): PartialUpsertError {
    const failures = this.#failures.toSorted((a, b) => a.position - b.position);
    const { position, error: first } = failures[0]!;
    const unreadable = this.#ends.get('unreadable');
    const reading = unreadable === undefined ? '' : ' The records were not read to their end, see `cause`.';
    return new PartialUpsertError(
      `${failures.length} of ${this.#ids.length} records are not known to be stored, the first at position ${position}: ${first.message}${reading}`,
      {
        failures,
        upsertedCount: this.#storedCount,
        isRetryable: unreadable === undefined && failures.some(({ error }) => error.isRetryable),
        cause: unreadable === undefined ? first : unreadable.reason,
      },
    );
  }
}

/** A refused batch says nothing about the next one; a server that is gone, or a key that it does not take, does. */
function isAboutThisBatch(error: AiProviderError): boolean {
  return error.code === 'vector_store_failed' || error.code === 'invalid_response';
}

export function toPoint(
  scope: TenantScope,
  { pointId, recordId, vector, sparseVector, metadata, contentHash }: Omit<CheckedRecord, 'position' | 'byteCount'>,
  toWire: ToWireVector,
): Record<string, unknown> {
  const dense = toWire(vector);
  return {
    id: pointId,
    vector: sparseVector === undefined ? dense : { '': dense, [sparseVectorName]: sparseVector },
    payload: { ...metadata, ...ownershipPayload(scope, recordId, contentHash) },
  };
}
