import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { interceptedClient } from '../../helpers/intercepted-client.js';

const timeoutMs = 500;
let client: QdrantClientLike;
/** How long each request takes: less than the deadline, and two of them more. */
let requestMs: number;
/** The same for lookups, several of which are asked at once. */
let lookupMs: number;

/** It knows nothing of the collection yet, so that each call asks for it first. */
const open = (): PulseQdrantClient => new PulseQdrantClient({ client, timeoutMs });

beforeEach(async () => {
  requestMs = lookupMs = 0;
  client = await interceptedClient(async (method, _values, goOn) => {
    const ms = method === 'getCollection' ? lookupMs : requestMs;
    if (ms > 0) await vi.advanceTimersByTimeAsync(ms);
    return goOn();
  });
  await open().createCollection(7, 'docs', { vectorSize: 2, payloadIndexes: { lang: 'keyword' } });
  await open().upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0], metadata: { lang: 'de' } }]);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  requestMs = lookupMs = 300;
});
afterEach(() => {
  vi.useRealTimers();
});

const filter = { must: [{ key: 'lang', match: { value: 'de' } }] };
const calls: Record<string, (store: PulseQdrantClient) => Promise<unknown>> = {
  searchSimilar: (store) => store.searchSimilar(7, 'docs', [1, 0]),
  searchBatch: (store) => store.searchBatch(7, 'docs', [{ vector: [1, 0] }]),
  searchGroups: (store) => store.searchGroups(7, 'docs', [1, 0], { groupBy: 'lang' }),
  recommend: (store) => store.recommend(7, 'docs', [1]),
  getRecords: (store) => store.getRecords(7, 'docs', [1]),
  countRecords: (store) => store.countRecords(7, 'docs'),
  countValues: (store) => store.countValues(7, 'docs', 'lang'),
  deleteRecords: (store) => store.deleteRecords(7, 'docs', [1]),
  deleteByFilter: (store) => store.deleteByFilter(7, 'docs', filter),
  describeCollection: (store) => store.describeCollection(7, 'docs'),
  listCollections: (store) => store.listCollections(7),
};

describe('timeoutMs', () => {
  it.each(Object.keys(calls))('is for all that %s does', async (name) => {
    await expect(calls[name]!(open())).rejects.toMatchObject({
      name: 'VectorStoreError',
      code: 'deadline_exceeded',
      isRetryable: true,
      message: expect.stringContaining('within 500 ms'),
    });
  });

  it('is for all that health does', async () => {
    expect(await open().health()).toMatchObject({ status: 'unhealthy', detail: expect.stringContaining('500 ms') });
  });

  it('is for each request of an upsert', async () => {
    lookupMs = 0;
    const ids = await open().upsertVectorsBatch(7, 'docs', [{ recordId: 2, vector: [1, 0] }]);
    expect(ids).toHaveLength(1);
  });

  it('is for each page of a listing', async () => {
    requestMs = lookupMs = 0;
    const records = Array.from({ length: 600 }, (_, i) => ({ recordId: i, vector: [1, i] }));
    await open().upsertVectorsBatch(7, 'docs', records);
    // The description and the first page, then two more pages.
    requestMs = 200;
    let listedCount = 0;
    for await (const _ of open().listRecords(7, 'docs')) listedCount++;
    expect(listedCount).toBe(600);
  });
});
