import type { UpsertVectorsOptions, VectorRecord } from '../../core/vector-store.js';
import { type AiProviderError, isAiProviderError, PartialUpsertError, type UpsertFailure } from '../../errors.js';
import { restoreAfterBulkLoad } from './bulk-load.js';
import { type Collection, requireDimension, requirePin, requireWritable } from './collection-catalog.js';
import { sparseVectorName } from './collection-request.js';
import type { QdrantConnection } from './connection.js';
import type { TenantScope } from './filter.js';
import { ownershipPayload } from './payload.js';
import { toBatches } from './record-batches.js';
import { type CheckedRecord, checkRecord, checkRecords, requireSameDimension } from './record-checks.js';
import type { ToWireVector } from './vectors.js';

/** More than four at once gain nothing: JSON.stringify on this side is what takes the time. */
const concurrentRequests = 4;

/** Runs work on the collection as it is now; a long upsert asks again for each of its requests. */
export type UseCollection = <Value>(work: (collection: Collection) => Promise<Value>) => Promise<Value>;

/** One call of `upsertVectorsBatch`: a window of requests, and what became of each record. */
export class Upsert {
  readonly #connection: QdrantConnection;
  readonly #useCollection: UseCollection;
  readonly #options: UpsertVectorsOptions;
  readonly #ids: string[] = [];
  readonly #failures: UpsertFailure[] = [];
  #storedCount = 0;
  /** Why nothing more is sent: it would fail in the same way. */
  #fatal: AiProviderError | undefined;
  /** The caller's abort, the end of the store, or an `onProgress` that threw. */
  #interruption: { readonly reason: unknown } | undefined;

  constructor(connection: QdrantConnection, useCollection: UseCollection, options: UpsertVectorsOptions) {
    this.#connection = connection;
    this.#useCollection = useCollection;
    this.#options = options;
  }

  /**
   * An array is checked as a whole before anything is sent; the records of an iterable as they come.
   *
   * @throws {@link PartialUpsertError} naming the records that are not known to be stored.
   */
  async run(
    scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
    records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
  ): Promise<string[]> {
    const checked = Array.isArray(records) ? checkRecords(scope, records) : checkAsTheyCome(scope, records);
    const underWay = new Map<Promise<void>, ReadonlySet<string>>();
    try {
      for await (const batch of toBatches(checked)) {
        // Nothing is stored yet, so that what is wrong with the collection is an error of its own.
        if (this.#ids.length === 0) await this.#useCollection((collection) => this.#begin(collection, batch));
        await this.#waitForPlace(underWay, batch);
        for (const { pointId } of batch) this.#ids.push(pointId);
        const sending = this.#send(batch).finally(() => underWay.delete(sending));
        underWay.set(sending, new Set(batch.map(({ pointId }) => pointId)));
        // What is left of an array is listed as failed; what is left of an iterable is not even read.
        if (this.#fatal !== undefined && !Array.isArray(records)) break;
        if (this.#interruption !== undefined) break;
      }
    } finally {
      await Promise.all(underWay.keys());
    }
    if (this.#interruption !== undefined) throw this.#interruption.reason;
    if (this.#failures.length > 0) throw this.#toError();
    return this.#ids;
  }

  /** Waits while the window is full, and while a request with one of these records is under way: the later one is to be stored last. */
  async #waitForPlace(
    underWay: Map<Promise<void>, ReadonlySet<string>>,
    batch: readonly CheckedRecord[],
  ): Promise<void> {
    const isTwin = (ids: ReadonlySet<string>): boolean => batch.some(({ pointId }) => ids.has(pointId));
    while (underWay.size >= concurrentRequests || [...underWay.values()].some(isTwin)) {
      await Promise.race(underWay.keys());
    }
  }

  /** Never rejects: what went wrong is kept for the end. */
  async #send(batch: readonly CheckedRecord[]): Promise<void> {
    try {
      if (this.#fatal !== undefined) throw this.#fatal;
      await this.#useCollection((collection) => this.#upsert(collection, batch));
      this.#storedCount += batch.length;
      this.#options.onProgress?.({ storedCount: this.#storedCount });
    } catch (error) {
      if (!isAiProviderError(error) || error.code === 'aborted_by_close') {
        this.#interruption ??= { reason: error };
        return;
      }
      if (!isAboutThisBatch(error)) this.#fatal ??= error;
      for (const { position, recordId } of batch) this.#failures.push({ position, recordId, error });
    }
  }

  async #begin(collection: Collection, batch: readonly CheckedRecord[]): Promise<void> {
    this.#check(collection, batch);
    await restoreAfterBulkLoad(this.#connection, collection);
  }

  #check(collection: Collection, batch: readonly CheckedRecord[]): void {
    requireWritable(collection);
    requirePin(collection, this.#options.embeddingSpace);
    const { vector, position } = batch[0]!;
    requireDimension(collection, vector.length, position);
  }

  async #upsert(collection: Collection, batch: readonly CheckedRecord[]): Promise<void> {
    this.#check(collection, batch);
    const { scope } = collection;
    const request = { operation: 'upsert', scope, signal: this.#options.signal };
    await this.#connection.change(request, (client, toWire) =>
      client.upsert(scope.collection, {
        wait: true,
        points: batch.map((record) => toPoint(scope, record, toWire)),
      }),
    );
  }

  #toError(): PartialUpsertError {
    const failures = this.#failures.toSorted((a, b) => a.position - b.position);
    const { position, error: cause } = failures[0]!;
    return new PartialUpsertError(
      `${failures.length} of ${this.#ids.length} records are not known to be stored, the first at position ${position}: ${cause.message}`,
      {
        failures,
        upsertedCount: this.#storedCount,
        isRetryable: failures.some(({ error }) => error.isRetryable),
        cause,
      },
    );
  }
}

async function* checkAsTheyCome(
  scope: Pick<TenantScope, 'tenantId' | 'tableName'>,
  records: Iterable<VectorRecord> | AsyncIterable<VectorRecord>,
): AsyncGenerator<CheckedRecord> {
  let position = 0;
  let dimension: number | undefined;
  for await (const record of records) {
    const checked = checkRecord(scope, record, position++);
    dimension ??= checked.vector.length;
    requireSameDimension(checked, dimension);
    yield checked;
  }
}

/** A refused batch says nothing about the next one; a server that is gone, or a key that it does not take, does. */
function isAboutThisBatch(error: AiProviderError): boolean {
  return error.code === 'vector_store_failed' || error.code === 'invalid_response';
}

export function toPoint(
  scope: TenantScope,
  { pointId, recordId, vector, sparseVector, metadata }: Omit<CheckedRecord, 'position' | 'byteCount'>,
  toWire: ToWireVector,
): Record<string, unknown> {
  const dense = toWire(vector);
  return {
    id: pointId,
    vector: sparseVector === undefined ? dense : { '': dense, [sparseVectorName]: sparseVector },
    payload: { ...metadata, ...ownershipPayload(scope, recordId) },
  };
}
