import { describe, expect, it } from 'vitest';
import type { VectorRecord } from '#src/core/ports/vector-store.js';
import { PartialUpsertError } from '#src/errors.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { type Intercept, interceptedClient, refusal } from '../../helpers/intercepted-client.js';

const goOn: Intercept = (_method, _values, goOn) => goOn();

async function openTable(intercept: Intercept): Promise<PulseQdrantClient> {
  const store = new PulseQdrantClient({ client: await interceptedClient(intercept) });
  await store.createCollection(7, 'docs', { vectorSize: 2 });
  return store;
}

/** Refuses the request whose first record has this id. */
function refusing(recordId: number, status: number): Intercept {
  return (method, [, body], goOn) => {
    if (method === 'upsert' && body.points[0].payload.record_id === recordId) throw refusal(status);
    return goOn();
  };
}

const record = (recordId: number): VectorRecord => ({ recordId, vector: [1, recordId] });
const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);

async function partialFailureOf(promise: Promise<unknown>): Promise<PartialUpsertError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PartialUpsertError);
  return error as PartialUpsertError;
}

describe('an upsert of an iterable that ends early', () => {
  it('stores what was read before a bad record', async () => {
    const store = await openTable(goOn);
    function* source(): Generator<VectorRecord> {
      for (let i = 0; i < 300; i++) yield record(i);
      yield { recordId: 'bad', vector: [0, 0] };
    }
    await expect(store.upsertVectorsBatch(7, 'docs', source())).rejects.toMatchObject({
      code: 'invalid_input',
      position: 300,
    });
    expect(await store.countRecords(7, 'docs')).toBe(300);
  });

  it('names the records that were refused before a bad one', async () => {
    const store = await openTable(refusing(0, 400));
    function* source(): Generator<VectorRecord> {
      for (let i = 0; i < 600; i++) yield record(i);
      yield { recordId: 'bad', vector: [0, 0] };
    }
    const error = await partialFailureOf(store.upsertVectorsBatch(7, 'docs', source()));
    expect(error.failures.map(({ position }) => position)).toEqual(range(0, 256));
    expect(error).toMatchObject({
      upsertedCount: 344,
      isRetryable: false,
      cause: { code: 'invalid_input', position: 600 },
    });
    expect(await store.countRecords(7, 'docs')).toBe(344);
  });

  it('names the records that were refused before the source failed', async () => {
    const store = await openTable(refusing(0, 400));
    const failure = new Error('the cursor is gone');
    async function* source(): AsyncGenerator<VectorRecord> {
      for (let i = 0; i < 300; i++) yield record(i);
      throw failure;
    }
    const error = await partialFailureOf(store.upsertVectorsBatch(7, 'docs', source()));
    expect(error.failures.map(({ recordId }) => recordId)).toEqual(range(0, 256));
    expect(error.upsertedCount).toBe(44);
    expect(error.cause).toBe(failure);
  });

  it('names every record that was read before the key was refused', async () => {
    const store = await openTable(refusing(256, 401));
    let readCount = 0;
    function* source(): Generator<VectorRecord> {
      for (; ; readCount++) yield record(readCount);
    }
    const error = await partialFailureOf(store.upsertVectorsBatch(7, 'docs', source()));
    // The generator is at the record that it gave last.
    const accounted = error.failures.length + error.upsertedCount;
    expect(accounted).toBe(readCount + 1);
    expect(error.failures.at(-1)!.recordId).toBe(readCount);
  });
});

describe('an upsert that is aborted', () => {
  it('reads no further than the next record, and ends the source', async () => {
    const store = await openTable(goOn);
    const controller = new AbortController();
    let readCount = 0;
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    async function* source(): AsyncGenerator<VectorRecord> {
      try {
        for (; ; readCount++) {
          if (readCount === 3) controller.abort(new Error('enough'));
          yield record(readCount);
        }
      } finally {
        end();
      }
    }
    const upsert = store.upsertVectorsBatch(7, 'docs', source(), { signal: controller.signal });
    await expect(upsert).rejects.toThrow('enough');
    await ended;
    expect(readCount).toBe(3);
    expect(await store.countRecords(7, 'docs')).toBe(0);
  });
});

describe('onProgress of an upsert', () => {
  it('is waited for', async () => {
    const store = await openTable(goOn);
    const written: number[] = [];
    const onProgress = async ({ storedCount }: { storedCount: number }): Promise<void> => {
      await new Promise(setImmediate);
      written.push(storedCount);
    };
    await store.upsertVectorsBatch(7, 'docs', [record(1)], { onProgress });
    expect(written).toEqual([1]);
  });

  it('fails the call if its promise is rejected', async () => {
    const store = await openTable(goOn);
    const failure = new Error('the checkpoint is gone');
    const onProgress = async (): Promise<void> => {
      throw failure;
    };
    await expect(store.upsertVectorsBatch(7, 'docs', [record(1)], { onProgress })).rejects.toBe(failure);
  });
});
