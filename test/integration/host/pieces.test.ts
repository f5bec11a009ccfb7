import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VectorIndex } from '#src/core/index/vector-index.js';
import { openAiTokenCounter } from '#src/providers/wex-gateway/embeddings/open-ai-token-counter.js';
import { MemorySyncStore } from '#src/repositories/memory/memory-sync-store.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { BillingManager, contentOf, Dying, dimension, dyingIndex, Killed, pagesOf } from '../../helpers/sync-world.js';

const table = { tenantId: 1, tableName: 'handbook' };
const countTokens = (text: string) => (text.match(/\S+/g) ?? []).length;
const chunking = { countTokens, maxTokens: 4, overlapTokens: 0 };
/** As many pieces as given, all different. */
const long = (name: string, pieces: number) =>
  Array.from({ length: pieces }, (_, i) => `${name} has part ${i}.`).join(' ');

let store: PulseQdrantClient;
let manager: BillingManager;
let index: VectorIndex;
beforeEach(() => {
  store = new PulseQdrantClient({ location: ':memory:' });
  manager = new BillingManager();
  index = new VectorIndex({ manager, store });
});
afterEach(() => store.close());

/** What is stored is exactly the pieces of these texts, each with its own vector. */
async function expectPieces(texts: Record<string, number | string>) {
  const content = await contentOf(store, 1, 'handbook');
  const expected = new Map<string, string>();
  for (const [name, pieces] of Object.entries(texts)) {
    const parts = typeof pieces === 'string' ? [pieces] : long(name, pieces).split(/(?<=\. )/);
    for (const [at, part] of parts.entries()) {
      expected.set(at === 0 ? name : `pulse_piece:${at}:${JSON.stringify(name)}`, part);
    }
  }
  expect([...content.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
  for (const [id, part] of expected) {
    const vector = fakeEmbedding(part, dimension);
    const length = Math.hypot(...vector);
    for (const [at, value] of content.get(id)!.vector.entries()) expect(value).toBeCloseTo(vector[at]! / length, 5);
  }
}

describe('long texts', () => {
  it('are stored in pieces and found once, with the best piece as the excerpt', async () => {
    const text = long('leave', 6);
    const result = await index.upsert(
      [
        { recordId: 'leave', text, metadata: { section: 1 } },
        { recordId: 'short', text: 'A short text.' },
      ],
      { ...table, chunking },
    );
    expect(result).toMatchObject({ embeddedCount: 2, ids: [expect.any(String), expect.any(String)] });
    await expectPieces({ leave: 6, short: 'A short text.' });
    const hits = await index.search('leave has part 3. ', { ...table, limit: 2 });
    expect(hits.map(({ recordId }) => recordId)).toEqual(['leave', 'short']);
    expect(hits[0]).toMatchObject({
      metadata: { section: 1 },
      excerpt: { position: 3, count: 6, text: 'leave has part 3. ' },
    });
    expect(hits[0]!.metadata).not.toHaveProperty('pulse_piece');
    const { start, end } = hits[0]!.excerpt!;
    expect(text.slice(start, end)).toBe('leave has part 3. ');
    expect(hits[1]).not.toHaveProperty('excerpt');
  });

  it('pay only for the pieces that changed, and leave no piece behind', async () => {
    const upsert = (texts: Record<string, string>) =>
      index.upsert(
        Object.entries(texts).map(([recordId, text]) => ({ recordId, text })),
        { ...table, chunking },
      );
    await upsert({ a: long('a', 5), b: long('b', 3) });
    expect(manager.paidTexts).toBe(8);
    expect(await upsert({ a: long('a', 5), b: long('b', 3) })).toMatchObject({ skippedCount: 2, cost: '0' });
    // Longer: of the old pieces only the last one, which had no space at its end, is embedded again.
    expect(await upsert({ a: long('a', 7) })).toMatchObject({ embeddedCount: 1 });
    expect(manager.paidTexts).toBe(11);
    await expectPieces({ a: 7, b: 3 });
    await upsert({ a: long('a', 2) });
    await expectPieces({ a: 2, b: 3 });
    await upsert({ a: 'Now short.' });
    await expectPieces({ a: 'Now short.', b: 3 });
    await index.upsert([{ recordId: 'b', text: 'Whole.' }], table);
    await expectPieces({ a: 'Now short.', b: 'Whole.' });
    await upsert({ b: long('b', 4) });
    await index.deleteRecords(['b', 'unknown'], table);
    await expectPieces({ a: 'Now short.' });
  });

  it('count as one failure, and a first piece that is refused leaves none of the others', async () => {
    manager.refuse = (text) => (text.includes('part 0') ? 'input_refused' : undefined);
    const records = [
      { recordId: 'a', text: long('a', 3) },
      { recordId: 'b', text: 'Fine.' },
    ];
    await expect(index.upsert(records, { ...table, chunking })).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: [{ position: 0 }],
    });
    await expectPieces({ b: 'Fine.' });
  });

  it('are refused if they look like a piece', async () => {
    for (const bad of [
      { recordId: 'pulse_piece:1:"a"', text: 'x' },
      { recordId: 1, text: 'x', metadata: { pulse_piece: 1 } },
    ]) {
      await expect(index.upsert([bad], table)).rejects.toMatchObject({ code: 'invalid_input', position: 0 });
    }
  });

  it('are cut by the tokens of OpenAI models', async () => {
    const count = await openAiTokenCounter();
    expect(count('hello world')).toBe(2);
    await index.upsert([{ recordId: 1, text: long('text', 20) }], {
      ...table,
      chunking: { countTokens: count, maxTokens: 32 },
    });
    const content = [...(await contentOf(store, 1, 'handbook')).values()];
    expect(content.length).toBeGreaterThan(3);
    const texts = content.map(({ metadata }) => (metadata as { pulse_piece: { text: string } }).pulse_piece.text);
    for (const text of texts) expect(count(text)).toBeLessThanOrEqual(32);
  });

  it('outlive kills at every step of a sync', { timeout: 120_000 }, async () => {
    const before = { a: 3, b: 5, c: 2 };
    const after = { a: 5, b: 2, d: 4 };
    const source = (texts: Record<string, number>) =>
      pagesOf(() => Object.entries(texts).map(([recordId, count]) => ({ recordId, text: long(recordId, count) })), 2);
    const killAt = async (step: number, afterEffect: boolean) => {
      await store.close();
      store = new PulseQdrantClient({ location: ':memory:' });
      manager = new BillingManager();
      const syncStore = new MemorySyncStore();
      const options = { ...table, chunking, deleteMissing: true };
      const whole = () => new VectorIndex({ manager, store });
      await whole().sync(source(before), { ...options, syncStore });
      const dying = new Dying(step, afterEffect);
      const process = dyingIndex({ manager, store, syncStore }, dying);
      await process.index.sync(source(after), { ...options, syncStore: process.syncStore }).catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error;
      });
      await whole().sync(source(after), { ...options, syncStore });
      await expectPieces(after);
      return dying.steps;
    };
    const steps = await killAt(Number.POSITIVE_INFINITY, false);
    for (let step = 1; step <= steps; step++) {
      await killAt(step, false);
      await killAt(step, true);
    }
  });
});

describe('searchTables', () => {
  it('finds the best records of several tables with one embedding, and says of which table each is', async () => {
    for (const [tableName, texts] of Object.entries({ issues: ['alpha', 'beta'], comments: ['gamma', 'delta'] })) {
      await index.upsert(
        texts.map((text) => ({ recordId: text, text, metadata: { open: text !== 'beta' } })),
        { tenantId: 1, tableName },
      );
    }
    await index.upsert([{ recordId: 'other', text: 'gamma' }], { tenantId: 2, tableName: 'comments' });
    const { calls } = manager;
    const hits = await index.searchTables('gamma', {
      tenantId: 1,
      tables: ['issues', 'comments', 'not_yet'],
      limit: 3,
    });
    expect(manager.calls - calls).toBe(1);
    expect(hits).toHaveLength(3);
    expect(hits[0]).toMatchObject({ recordId: 'gamma', tableName: 'comments' });
    expect(hits.map(({ score }) => score)).toEqual(hits.map(({ score }) => score).toSorted((a, b) => b - a));
    const filtered = await index.searchTables('beta', {
      tenantId: 1,
      tables: [{ tableName: 'issues', filter: { must: [{ key: 'open', match: { value: true } }] } }],
    });
    expect(filtered.map(({ recordId }) => recordId)).toEqual(['alpha']);
    for (const tables of [[], ['issues', 'issues'], [5], undefined]) {
      await expect(index.searchTables('x', { tenantId: 1, tables: tables as never })).rejects.toMatchObject({
        code: 'invalid_input',
      });
    }
  });
});
