import { beforeEach, describe, expect, it } from 'vitest';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { type Intercept, interceptedClient } from '../../helpers/intercepted-client.js';

const collection = 'client_7_docs';
const uuid4 = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

let intercept: Intercept;
let client: QdrantClientLike;
const open = (): PulseQdrantClient => new PulseQdrantClient({ client });

/** As the platform stores them: under random ids, and under another one each time. */
async function storePlatformPoints(tenantId: number, recordIds: readonly (string | number)[]): Promise<void> {
  const points = recordIds.map((record_id, i) => ({
    id: uuid4(tenantId * 100 + i),
    vector: [1, i],
    payload: { client_id: tenantId, table_name: 'docs', record_id, by: 'platform' },
  }));
  await client.upsert(collection, { wait: true, points });
}

beforeEach(async () => {
  intercept = (_method, _values, goOn) => goOn();
  client = await interceptedClient((...call) => intercept(...call));
  await client.createCollection(collection, { vectors: { size: 2, distance: 'Cosine' } });
});

describe.each(['not taken over yet', 'taken over'])('a collection of the platform that is %s', (state) => {
  beforeEach(async () => {
    await storePlatformPoints(7, [5, '5', 6, 6]);
    if (state === 'not taken over yet') return;
    await open().createCollection(7, 'docs', { vectorSize: 2 });
  });

  it('finds its points by record id, one for each', async () => {
    const found = await open().getRecords(7, 'docs', [5, 6, 'absent']);
    expect(found.map(({ recordId }) => recordId).toSorted()).toEqual([5, 6]);
  });

  it('deletes its points by record id, and no other tenant’s', async () => {
    await storePlatformPoints(8, [5]);
    await open().deleteRecords(7, 'docs', [5, 6]);
    expect(await open().getRecords(7, 'docs', [5, '5', 6])).toMatchObject([{ recordId: '5' }]);
    expect(await client.count(collection, { exact: true })).toEqual({ count: 2 });
  });

  it('replaces its points, of these records only', async () => {
    const records = [5, 6].map((recordId) => ({ recordId, vector: [0, 1], metadata: { by: 'us' } }));
    await open().upsertVectorsBatch(7, 'docs', records);
    const stored = await open().searchSimilar(7, 'docs', [0, 1], { scoreThreshold: -1 });
    expect(stored.map(({ recordId, metadata }) => [recordId, metadata.by])).toEqual([
      expect.arrayContaining(['us']),
      expect.arrayContaining(['us']),
      ['5', 'platform'],
    ]);
  });

  it('loses no record if the process dies between storing and replacing, and the next upsert replaces', async () => {
    const record = { recordId: 5, vector: [0, 1], metadata: { by: 'us' } };
    intercept = (method, _values, goOn) => {
      if (method === 'delete') throw new Error('dead');
      return goOn();
    };
    await expect(open().upsertVectorsBatch(7, 'docs', [record])).rejects.toMatchObject({
      code: 'upsert_partially_failed',
    });
    expect(await open().getRecords(7, 'docs', [5])).toMatchObject([{ metadata: { by: 'us' } }]);
    intercept = (_method, _values, goOn) => goOn();
    await open().upsertVectorsBatch(7, 'docs', [record]);
    expect(await open().countRecords(7, 'docs')).toBe(4);
  });

  it('takes its points for examples, and leaves them out of the hits', async () => {
    const hits = await open().recommend(7, 'docs', [5], { scoreThreshold: -1 });
    expect(hits.map(({ recordId }) => recordId)).not.toContain(5);
    expect(hits).toHaveLength(3);
  });
});

describe('a collection of ours', () => {
  it('is never searched for points of the platform, which would read every payload', async () => {
    await open().createCollection(7, 'notes', { vectorSize: 2 });
    await open().createCollection(7, 'shared_notes', { vectorSize: 2, mode: 'shared' });
    const filters: unknown[] = [];
    intercept = (method, [, body], goOn) => {
      if (['scroll', 'delete'].includes(method)) filters.push(body.filter);
      return goOn();
    };
    for (const table of ['notes', 'shared_notes']) {
      await open().upsertVectorsBatch(7, table, [{ recordId: 5, vector: [1, 0] }]);
      await open().getRecords(7, table, [5]);
      await open().deleteRecords(7, table, [5]);
    }
    expect(filters).toHaveLength(4);
    expect(JSON.stringify(filters)).not.toContain('record_id');
  });
});
