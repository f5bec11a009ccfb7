import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SyncOptions } from '#src/core/index/sync.js';
import type { SyncRecord } from '#src/core/index/sync-source.js';
import { VectorIndex } from '#src/core/index/vector-index.js';
import { MemorySyncStore } from '#src/repositories/memory/memory-sync-store.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { BillingManager, contentOf, Dying, dimension, dyingIndex, Killed, pagesOf } from '../../helpers/sync-world.js';

const table = { tenantId: 1, tableName: 'issues' };
const record = (id: number, text: SyncRecord['text'] = `text ${id}`): SyncRecord => ({
  recordId: id,
  text,
  metadata: { title: `title ${id}` },
});
const records = (count: number) => Array.from({ length: count }, (_, i) => record(i + 1));

let store: PulseQdrantClient;
let manager: BillingManager;
let syncStore: MemorySyncStore;
let index: VectorIndex;

beforeEach(() => {
  store = new PulseQdrantClient({ location: ':memory:' });
  manager = new BillingManager();
  syncStore = new MemorySyncStore();
  index = new VectorIndex({ manager, store });
});
afterEach(() => store.close());

async function expectContent(expected: readonly SyncRecord[]) {
  const content = await contentOf(store, 1, 'issues');
  const withText = expected.filter(({ text }) => text);
  expect([...content.keys()].toSorted()).toEqual(withText.map(({ recordId }) => recordId).toSorted());
  for (const { recordId, text, metadata } of withText) {
    const vector = fakeEmbedding(text!, dimension);
    const length = Math.hypot(...vector);
    const stored = content.get(recordId)!;
    expect(stored.metadata).toEqual(metadata ?? {});
    for (const [at, value] of stored.vector.entries()) expect(value).toBeCloseTo(vector[at]! / length, 5);
  }
}

describe('sync', () => {
  it('embeds what is new or changed, once, and counts the rest', async () => {
    const source = records(900);
    const first = await index.sync(source, table);
    expect(first).toMatchObject({ readCount: 900, embeddedCount: 900, skippedCount: 0, cost: '0.9', deadLetters: [] });
    source[3] = record(4, 'other text');
    source[5] = { ...record(6), metadata: { title: 'other title' } };
    source.push(record(901));
    const second = await index.sync(source, table);
    expect(second).toMatchObject({ readCount: 901, embeddedCount: 2, updatedCount: 1, skippedCount: 898 });
    expect(manager.paidTexts).toBe(902);
    await expectContent(source);
    manager.generateEmbeddings = () => Promise.reject(new Error('was asked'));
    expect(await index.sync(source, table)).toMatchObject({ skippedCount: 901, cost: '0', inputTokens: 0 });
  });

  it('takes pages, also empty ones, up to the one without a cursor', async () => {
    const pages: Record<string, { records: SyncRecord[]; nextCursor?: string }> = {
      start: { records: [record(1)], nextCursor: 'b' },
      b: { records: [], nextCursor: 'c' },
      c: { records: [record(2, ''), record(3, null), record(4, '  \n')], nextCursor: 'd' },
      d: { records: [record(5)] },
    };
    const progress: unknown[] = [];
    const result = await index.sync((cursor) => pages[cursor ?? 'start']!, {
      ...table,
      onProgress: ({ readCount, withoutTextCount, currentRecordId }) =>
        progress.push([readCount, withoutTextCount, currentRecordId]),
    });
    expect(result).toMatchObject({ readCount: 5, embeddedCount: 2, withoutTextCount: 3 });
    expect(progress).toEqual([
      [1, 0, 1],
      [1, 0, 1],
      [4, 3, 4],
      [5, 3, 5],
    ]);
    await expect(index.sync(() => ({ records: [], nextCursor: 'x' }), table)).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await expect(index.sync(() => [] as never, table)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('forgets the vector of a record that lost its text, and finds it again when it has one', async () => {
    await index.sync([record(1), record(2)], table);
    await index.sync([record(1), record(2, '')], { ...table, syncStore });
    await expectContent([record(1)]);
    expect(await syncStore.listDeadLetters(table)).toMatchObject([{ recordId: 2, code: 'no_text' }]);
    await index.sync([record(1), record(2)], { ...table, syncStore });
    await expectContent([record(1), record(2)]);
    expect(await syncStore.listDeadLetters(table)).toEqual([]);
  });

  it('deletes what the source lost, and only after a whole pass', async () => {
    const options = { ...table, deleteMissing: true, syncStore };
    await index.sync(
      pagesOf(() => records(10), 4),
      options,
    );
    await expectContent(records(10));

    async function* failing() {
      yield* records(3);
      throw new Error('The source broke.');
    }
    await expect(index.sync(failing(), options)).rejects.toThrow('The source broke.');
    expect(await index.sync(() => ({ records: records(3), total: 10 }), options)).toMatchObject({
      deletedCount: 0,
      deletionSkipped: 'source_ended_early',
    });
    expect(await index.sync([], options)).toMatchObject({ deletedCount: 0, deletionSkipped: 'source_was_empty' });
    const controller = new AbortController();
    const reason = new Error('Cancelled.');
    const cancelled = index.sync(
      pagesOf(() => records(8), 4),
      {
        ...options,
        signal: controller.signal,
        onProgress: () => controller.abort(reason),
      },
    );
    await expect(cancelled).rejects.toBe(reason);
    await expectContent(records(10));

    expect(
      await index.sync(
        pagesOf(() => records(7), 4),
        options,
      ),
    ).toMatchObject({ deletedCount: 3 });
    await expectContent(records(7));
    expect(await index.sync(() => ({ records: [], total: 0 }), options)).toMatchObject({ deletedCount: 7 });
    await expectContent([]);
  });

  it('leaves alone what another writer stores while it runs, and other tenants', async () => {
    await index.sync(records(3), { ...table, tenantId: 2 });
    await index.sync(records(3), table);
    async function* source() {
      yield record(1);
      await index.upsert([{ recordId: 'webhook', text: 'new' }], table);
      yield record(2);
    }
    expect(await index.sync(source(), { ...table, deleteMissing: true })).toMatchObject({ deletedCount: 1 });
    expect([...(await contentOf(store, 1, 'issues')).keys()].toSorted()).toEqual([1, 2, 'webhook']);
    expect((await contentOf(store, 2, 'issues')).size).toBe(3);
  });

  it('sets aside what is refused, does not send it again, and retries it when it changes or is asked to', async () => {
    const options = { ...table, syncStore };
    manager.refuse = (text) => (text === 'text 5' ? 'input_refused' : undefined);
    const result = await index.sync(records(10), options);
    expect(result).toMatchObject({
      embeddedCount: 9,
      deadLetterCount: 1,
      deadLetters: [{ recordId: 5, code: 'input_refused' }],
    });
    expect(JSON.stringify(await syncStore.listDeadLetters(table))).not.toContain('text 5');
    const { calls } = manager;
    expect(await index.sync(records(10), options)).toMatchObject({ skippedCount: 9, deadLetterCount: 1 });
    expect(manager.calls).toBe(calls);
    const changed = records(10).with(4, record(5, 'good text'));
    expect(await index.sync(changed, options)).toMatchObject({ embeddedCount: 1, deadLetterCount: 0 });
    expect(await syncStore.listDeadLetters(table)).toEqual([]);
    await index.sync(records(10), options);
    manager.refuse = () => undefined;
    expect(await index.sync(records(10), { ...options, retryDeadLetters: true })).toMatchObject({
      embeddedCount: 1,
      deadLetterCount: 0,
    });
    await expectContent(records(10));
  });

  it('sets aside what fails in three syncs while others succeed, and nothing when all fail', async () => {
    const options = { ...table, syncStore };
    const source = [...records(10), ...Array.from({ length: 400 }, (_, i) => record(i + 100))];
    manager.refuse = (text) => (text === 'text 5' ? 'unavailable' : undefined);
    await expect(index.sync(source, options)).rejects.toMatchObject({ code: 'embedding_partially_failed' });
    // The second time only the failed one is sent: whether the server works cannot be told, so nothing is counted
    // against the text.
    const fresh = (run: number) => [record(run * 1_000), ...source];
    await expect(index.sync(fresh(1), options)).rejects.toMatchObject({ code: 'embedding_partially_failed' });
    expect(await index.sync(fresh(2), options)).toMatchObject({ deadLetterCount: 1 });
    expect(await index.sync(source, options)).toMatchObject({ deadLetterCount: 1, skippedCount: 409 });

    manager.refuse = () => 'unavailable';
    await expect(index.sync([record(5_000), record(5_001)], options)).rejects.toMatchObject({
      code: 'embedding_partially_failed',
    });
    expect((await syncStore.listDeadLetters(table)).map(({ recordId }) => recordId)).toEqual([5]);
  });

  it('sets aside a record that cannot be stored, and takes the later of two with one id', async () => {
    const bad = { recordId: 2, text: 'x', metadata: { when: new Date() as never } };
    const result = await index.sync([record(1), bad, record(3, 'first'), record(3, 'second')], table);
    expect(result).toMatchObject({ embeddedCount: 2, deadLetters: [{ recordId: 2, code: 'invalid_input' }] });
    await expectContent([record(1), record(3, 'second')]);
  });

  it('tells which points it stored, for the table of a host', async () => {
    const stored: unknown[] = [];
    await index.sync([record(1), record(2)], { ...table, onStored: (batch) => stored.push(batch) });
    expect(stored).toEqual([
      {
        ...table,
        ids: [
          { recordId: 1, pointId: expect.any(String) },
          { recordId: 2, pointId: expect.any(String) },
        ],
        embeddingSpace: expect.stringMatching(/^model-a/),
        provider: 'wex_ai_gateway',
      },
    ]);
  });

  it('checks its arguments before any I/O', async () => {
    const bad: [unknown, object][] = [
      [undefined, table],
      [42, table],
      [[], { ...table, tenantId: 0 }],
      [[], { ...table, deleteMising: true }],
      [[], { ...table, syncStore: {} }],
    ];
    for (const [source, options] of bad) {
      await expect(index.sync(source as never, options as never)).rejects.toMatchObject({ code: 'invalid_input' });
    }
  });
});

describe('a sync that is killed', () => {
  const before = [...records(12), record(13, ''), record(14)];
  const after = [record(1), record(2, 'changed'), ...records(12).slice(3), record(13), record(14, null), record(15)];
  const pageLength = 4;

  /** Runs a sync that dies at a step, then whole ones. Returns how many steps there were. */
  async function killAt(step: number, afterEffect: boolean): Promise<number> {
    await store.close();
    store = new PulseQdrantClient({ location: ':memory:' });
    syncStore = new MemorySyncStore();
    manager = new BillingManager();
    const world = { manager, store, syncStore };
    const options: SyncOptions = { ...table, deleteMissing: true, syncStore };
    await new VectorIndex({ manager, store }).sync(
      pagesOf(() => before, pageLength),
      options,
    );
    const paidBefore = manager.paidTexts;
    const dying = new Dying(step, afterEffect);
    const process = dyingIndex(world, dying);
    const isKilled = await process.index
      .sync(
        pagesOf(() => after, pageLength),
        { ...options, syncStore: process.syncStore },
      )
      .then(
        () => false,
        (error: unknown) => {
          if (!(error instanceof Killed)) throw error;
          return true;
        },
      );
    const result = await new VectorIndex({ manager, store }).sync(
      pagesOf(() => after, pageLength),
      options,
    );
    expect(result.readCount).toBe(after.length);
    await expectContent(after);
    // A text is paid for twice only if the process died between the answer and the write of its vector.
    const lostAnswers = isKilled ? 1 : 0;
    expect(manager.paidTexts - paidBefore).toBeLessThanOrEqual(3 + lostAnswers);
    expect(await syncStore.loadCheckpoint(table)).toBeUndefined();
    return dying.steps;
  }

  it('goes on without a duplicate or a hole, wherever it was killed', { timeout: 60_000 }, async () => {
    const steps = await killAt(Number.POSITIVE_INFINITY, false);
    expect(steps).toBeGreaterThan(20);
    for (let step = 1; step <= steps; step++) {
      await killAt(step, false);
      await killAt(step, true);
    }
  });

  it('goes on at the page where it stopped, and still deletes only after it has seen every page', async () => {
    const options = { ...table, deleteMissing: true, syncStore };
    await index.sync(records(20), { ...options });
    const asked: (string | undefined)[] = [];
    const read = pagesOf(() => records(18), 4);
    const watched: typeof read = (cursor, readOptions) => {
      asked.push(cursor);
      return read(cursor, readOptions);
    };
    const stop = new Error('Killed.');
    await expect(
      index.sync(watched, {
        ...options,
        onProgress: ({ readCount }) => {
          if (readCount === 8) throw stop;
        },
      }),
    ).rejects.toBe(stop);
    expect(asked.splice(0)).toEqual([undefined, '4']);
    expect(await index.sync(watched, options)).toMatchObject({ readCount: 18, deletedCount: 2 });
    expect(asked).toEqual(['8', '12', '16', undefined, '4']);
    await expectContent(records(18));
  });
});
