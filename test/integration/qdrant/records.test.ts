import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VectorRecord } from '#src/core/ports/vector-store.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import type { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { storesUnderTest, tenantSequence } from '../../helpers/qdrant-server.js';

const words = ['red', 'green', 'blue'];
/** 30 records on a quarter circle: the higher the number, the farther from [1, 0, 0]. */
const records: VectorRecord[] = Array.from({ length: 30 }, (_, i) => ({
  recordId: i,
  vector: [Math.cos(i / 20), Math.sin(i / 20), 0],
  sparseVector: { indices: [i % 3, 10 + i], values: [1, 2] },
  metadata: { number: i, colour: words[i % 3]!, document: Math.floor(i / 5) },
}));
const query = [1, 0, 0];

for (const { name, open, clean } of storesUnderTest('records of PulseQdrantClient')) {
  describe.each(['collection', 'shared'] as const)(`records ${name}, mode %s`, (mode) => {
    const tenants = tenantSequence();
    const [tenantId, other] = [tenants.next(), tenants.next()];
    const table = `docs_${tenantId}`;
    let store: PulseQdrantClient;

    beforeAll(async () => {
      store = await open();
      for (const tenant of [tenantId, other]) {
        await store.createCollection(tenant, table, {
          vectorSize: 3,
          mode,
          hasSparseVectors: true,
          payloadIndexes: { colour: 'keyword', document: 'integer', number: 'integer' },
        });
        await store.upsertVectorsBatch(tenant, table, records);
      }
    });
    afterAll(async () => {
      await store.close();
      await clean(tenants.used);
    });

    it('pages through hits without gap or overlap', async () => {
      const search = { limit: 7, scoreThreshold: -1 };
      const found: unknown[] = [];
      for (let offset = 0; offset < 30; offset += 7) {
        const hits = await store.searchSimilar(tenantId, table, query, { ...search, offset });
        found.push(...hits.map(({ recordId }) => recordId));
      }
      expect(found).toEqual(records.map(({ recordId }) => recordId));
    });

    it('gives vectors if they are asked for', async () => {
      const [bare] = await store.searchSimilar(tenantId, table, query);
      expect(bare).not.toHaveProperty('vector');
      const [hit] = await store.searchSimilar(tenantId, table, query, { withVectors: true });
      expect(hit!.vector).toBeInstanceOf(Float32Array);
      expect(Array.from(hit!.vector!)).toEqual([1, 0, 0]);
    });

    it('answers several searches in their order', async () => {
      const filter = { must: [{ key: 'colour', match: { value: 'blue' } }] };
      const results = await store.searchBatch(tenantId, table, [
        { vector: query, limit: 2 },
        { vector: [0, 1, 0], limit: 1 },
        { vector: query, limit: 2, filter },
      ]);
      expect(results.map((hits) => hits.map(({ recordId }) => recordId))).toEqual([[0, 1], [29], [2, 5]]);
      expect(await store.searchBatch(tenantId, table, [])).toEqual([]);
    });

    it('groups hits by a field', async () => {
      const groups = await store.searchGroups(tenantId, table, query, {
        groupBy: 'document',
        groupSize: 2,
        limit: 3,
        scoreThreshold: -1,
      });
      expect(groups.map(({ id, hits }) => [id, hits.map(({ recordId }) => recordId)])).toEqual([
        [0, [0, 1]],
        [1, [5, 6]],
        [2, [10, 11]],
      ]);
    });

    it('fuses meaning and keywords', async () => {
      const sparse = { indices: [10 + 29], values: [1] };
      const hits = await store.searchHybrid(tenantId, table, query, sparse, { limit: 3 });
      expect(hits).toHaveLength(3);
      // First in one list each: the nearest vector, and the only record with the keyword.
      expect(
        hits
          .slice(0, 2)
          .map(({ recordId }) => recordId)
          .toSorted(),
      ).toEqual([0, 29]);
      const filter = { must_not: [{ key: 'number', match: { any: [0, 29] } }] };
      const narrowed = await store.searchHybrid(tenantId, table, query, sparse, { limit: 1, filter });
      expect(narrowed.map(({ recordId }) => recordId)).toEqual([1]);
    });

    it('pages through fused hits without gap or overlap', async () => {
      const fused = `fused_${tenantId}`;
      await store.createCollection(tenantId, fused, { vectorSize: 3, mode, hasSparseVectors: true });
      // By keyword they come in an order in which no two fused ranks are the same: a server puts those in any order.
      const ranked = records.map(({ recordId, vector }, i) => ({
        recordId,
        vector,
        sparseVector: { indices: [1], values: [30 - ((11 * i + 11) % 30)] },
      }));
      await store.upsertVectorsBatch(tenantId, fused, ranked);
      const search = async (limit: number, offset: number): Promise<unknown[]> => {
        const hits = await store.searchHybrid(tenantId, fused, query, { indices: [1], values: [1] }, { limit, offset });
        return hits.map(({ recordId }) => recordId);
      };
      const pages = [];
      for (let offset = 0; offset < 30; offset += 7) pages.push(...(await search(7, offset)));
      expect(new Set(pages).size).toBe(30);
      expect(pages).toEqual(await search(1000, 0));
      await expect(search(1000, 1)).rejects.toMatchObject({ code: 'invalid_input' });
      await store.dropCollection(tenantId, fused);
    });

    it('recommends records like some and unlike others', async () => {
      const like = await store.recommend(tenantId, table, [0], { limit: 2 });
      expect(like.map(({ recordId }) => recordId)).toEqual([1, 2]);
      const unlike = await store.recommend(tenantId, table, [15], { unlike: [0], limit: 1, scoreThreshold: -1 });
      expect(unlike.map(({ recordId }) => recordId)).toEqual([25]);
      await expect(store.recommend(tenantId, table, ['absent'])).rejects.toMatchObject({ code: 'invalid_input' });
    });

    it('refuses examples that cancel each other out', async () => {
      const opposites = `opposites_${tenantId}`;
      await store.createCollection(tenantId, opposites, { vectorSize: 3, mode });
      const vectors = [
        [1, 0, 0],
        [-1, 0, 0],
        [0, 1, 0],
      ];
      await store.upsertVectorsBatch(
        tenantId,
        opposites,
        vectors.map((vector, recordId) => ({ recordId, vector })),
      );
      await expect(store.recommend(tenantId, opposites, [0, 1])).rejects.toThrow(/cancel each other out/);
      await store.dropCollection(tenantId, opposites);
    });

    it('refuses sparse vectors if the collection has none', async () => {
      const dense = `dense_${tenantId}`;
      await store.createCollection(tenantId, dense, { vectorSize: 3, mode });
      const code = 'unsupported_operation';
      await expect(store.upsertVectorsBatch(tenantId, dense, records)).rejects.toMatchObject({ code });
      const sparse = { indices: [1], values: [1] };
      await expect(store.searchHybrid(tenantId, dense, query, sparse)).rejects.toMatchObject({ code });
      await store.dropCollection(tenantId, dense);
    });

    it('reads records by id, with those that are stored', async () => {
      const found = await store.getRecords(tenantId, table, [3, 4, '3', 'absent'], { withVectors: true });
      expect(found.map(({ recordId }) => recordId).toSorted()).toEqual([3, 4]);
      expect(found.find(({ recordId }) => recordId === 3)).toMatchObject({ metadata: records[3]!.metadata });
      expect(found[0]!.vector).toHaveLength(3);
    });

    it('lists all records page by page', async () => {
      const filter = { must: [{ key: 'colour', match: { value: 'red' } }] };
      const listed: unknown[] = [];
      for await (const { recordId } of store.listRecords(tenantId, table, { filter })) listed.push(recordId);
      expect(listed.map(Number).toSorted((a, b) => a - b)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    });

    it('counts records and values', async () => {
      expect(await store.countRecords(tenantId, table)).toBe(30);
      const filter = { must: [{ key: 'number', range: { lt: 10 } }] };
      expect(await store.countRecords(tenantId, table, { filter })).toBe(10);
      const values = await store.countValues(tenantId, table, 'colour', { filter });
      expect(values.toSorted((a, b) => String(a.value).localeCompare(String(b.value)))).toEqual([
        { value: 'blue', count: 3 },
        { value: 'green', count: 3 },
        { value: 'red', count: 4 },
      ]);
    });

    it('finds words and phrases if a field has a text index', async () => {
      const texts = ['Import stopped at record 1,337', 'Record an import', 'at stopped'];
      const titles = `titles_${tenantId}`;
      await store.createCollection(tenantId, titles, { vectorSize: 3, mode, payloadIndexes: { title: 'text' } });
      const titled = texts.map((title, recordId) => ({ recordId, vector: query, metadata: { title } }));
      await store.upsertVectorsBatch(tenantId, titles, titled);
      const idsOf = async (match: object): Promise<unknown[]> => {
        const filter = { must: [{ key: 'title', match }] };
        const hits = await store.searchSimilar(tenantId, titles, query, { filter });
        return hits.map(({ recordId }) => recordId).toSorted();
      };
      expect(await idsOf({ text: 'RECORD import' })).toEqual([0, 1]);
      expect(await idsOf({ phrase: 'stopped at' })).toEqual([0]);
      expect(await idsOf({ text_any: 'at an' })).toEqual([0, 1, 2]);
      await store.dropCollection(tenantId, titles);
    });

    it('deletes by filter, and refuses one that says nothing', async () => {
      const nothings = [{ must: [] }, { should: [{}] }, { must: [{ must_not: [] }, { should: { must: [] } }] }];
      for (const filter of [{}, undefined, null, ...nothings]) {
        await expect(store.deleteByFilter(tenantId, table, filter as never)).rejects.toMatchObject({
          code: 'invalid_input',
        });
      }
      await store.deleteByFilter(tenantId, table, { must: [{ key: 'number', range: { gte: 20 } }] });
      expect(await store.countRecords(tenantId, table)).toBe(20);
      expect(await store.countRecords(other, table)).toBe(30);
    });

    it('describes, lists and drops', async () => {
      const described = await store.describeCollection(tenantId, table);
      expect(described).toMatchObject({
        tableName: table,
        mode,
        collection: mode === 'shared' ? `shared_${table}` : `client_${tenantId}_${table}`,
        vectorSize: 3,
        embeddingSpace: null,
        payloadIndexes: { colour: 'keyword', document: 'integer', number: 'integer' },
      });
      expect(await store.listCollections(tenantId)).toEqual([described]);
      await store.dropCollection(tenantId, table);
      await store.dropCollection(tenantId, table);
      expect(await store.listCollections(tenantId)).toEqual([]);
      expect(await store.countRecords(other, table)).toBe(30);
    });
  });

  describe(`upsertVectorsBatch ${name}`, () => {
    const tenants = tenantSequence();
    let store: PulseQdrantClient;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store.close();
      await clean(tenants.used);
    });
    const newTable = async (): Promise<number> => {
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3 });
      return tenantId;
    };

    it('takes an async iterable, tells how far it is, and gives the ids in order', async () => {
      const tenantId = await newTable();
      async function* source(): AsyncGenerator<VectorRecord> {
        for (let i = 0; i < 1000; i++) yield { recordId: i, vector: [1, i, 0] };
      }
      const progress: number[] = [];
      const ids = await store.upsertVectorsBatch(tenantId, 'docs', source(), {
        onProgress: ({ storedCount }) => progress.push(storedCount),
      });
      expect(progress).toHaveLength(4);
      expect(progress.at(-1)).toBe(1000);
      expect(ids).toHaveLength(1000);
      const [last] = await store.getRecords(tenantId, 'docs', [999]);
      expect(last!.id).toBe(ids[999]);
    });

    it('stores the last of two records with one id, however near they come', async () => {
      const tenantId = await newTable();
      function* source(): Generator<VectorRecord> {
        for (let i = 0; i < 2000; i++) yield { recordId: i % 7, vector: [1, i, 0], metadata: { i } };
      }
      await store.upsertVectorsBatch(tenantId, 'docs', source());
      const stored = await store.getRecords(tenantId, 'docs', [0, 1, 2, 3, 4, 5, 6]);
      expect(stored.map(({ metadata }) => Number(metadata.i)).toSorted((a, b) => a - b)).toEqual([
        1993, 1994, 1995, 1996, 1997, 1998, 1999,
      ]);
    });

    it('reads no faster than it stores', async () => {
      const tenantId = await newTable();
      let storedCount = 0;
      let farthest = 0;
      function* source(): Generator<VectorRecord> {
        for (let i = 0; i < 5000; i++) {
          farthest = Math.max(farthest, i - storedCount);
          yield { recordId: i, vector: [1, i, 0] };
        }
      }
      await store.upsertVectorsBatch(tenantId, 'docs', source(), {
        onProgress: (progress) => {
          storedCount = progress.storedCount;
        },
      });
      // Four requests under way, and one being filled.
      expect(farthest).toBeLessThanOrEqual(5 * 256 + 1);
    });

    it('names the position of a bad record in an iterable, and ends', async () => {
      const tenantId = await newTable();
      function* source(): Generator<VectorRecord> {
        for (let i = 0; i < 300; i++) yield { recordId: i, vector: [1, i, 0] };
        yield { recordId: 300, vector: [Number.NaN, 1, 1] };
        throw new Error('read too far');
      }
      await expect(store.upsertVectorsBatch(tenantId, 'docs', source())).rejects.toMatchObject({
        code: 'invalid_input',
        position: 300,
      });
    });

    it('ends with the caller’s reason while the source is waited for', async () => {
      const tenantId = await newTable();
      const controller = new AbortController();
      const reason = new Error('enough');
      async function* source(): AsyncGenerator<VectorRecord> {
        yield { recordId: 1, vector: [1, 1, 1] };
        controller.abort(reason);
        await new Promise(() => {});
      }
      const upsert = store.upsertVectorsBatch(tenantId, 'docs', source(), { signal: controller.signal });
      await expect(upsert).rejects.toBe(reason);
    });

    it('passes on the failure of onProgress', async () => {
      const tenantId = await newTable();
      const failure = new Error('the bar is gone');
      const source = Array.from({ length: 3000 }, (_, i) => ({ recordId: i, vector: [1, i, 0] }));
      const onProgress = (): void => {
        throw failure;
      };
      await expect(store.upsertVectorsBatch(tenantId, 'docs', source, { onProgress })).rejects.toBe(failure);
    });

    it('passes on the failure of the source', async () => {
      const tenantId = await newTable();
      const failure = new Error('the cursor is gone');
      async function* source(): AsyncGenerator<VectorRecord> {
        yield { recordId: 1, vector: [1, 1, 1] };
        throw failure;
      }
      await expect(store.upsertVectorsBatch(tenantId, 'docs', source())).rejects.toBe(failure);
    });

    it('refuses vectors and queries of another space than the collection is pinned to', async () => {
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
      const record = { recordId: 1, vector: [1, 1, 1] };
      await store.upsertVectorsBatch(tenantId, 'docs', [record], { embeddingSpace: 'a' });
      const code = 'embedding_space_mismatch';
      await expect(store.upsertVectorsBatch(tenantId, 'docs', [record], { embeddingSpace: 'b' })).rejects.toMatchObject(
        { code },
      );
      await expect(store.searchSimilar(tenantId, 'docs', [1, 1, 1], { embeddingSpace: 'b' })).rejects.toMatchObject({
        code,
      });
    });

    it('is healthy', async () => {
      expect(await store.health()).toMatchObject({ status: 'healthy' });
    });
  });
  describe(`collections ${name}`, () => {
    const tenants = tenantSequence();
    let store: PulseQdrantClient;
    beforeAll(async () => {
      store = await open();
    });
    afterAll(async () => {
      await store.close();
      await clean(tenants.used);
    });

    it('are rebuilt for another model, twice, while the old one serves', async () => {
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
      await store.upsertVectorsBatch(tenantId, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
      for (const embeddingSpace of ['b', 'c']) {
        const rebuild = await new QdrantAdmin(store).rebuildCollection(tenantId, 'docs', {
          vectorSize: 2,
          embeddingSpace,
        });
        await rebuild.upsertVectorsBatch(tenantId, [{ recordId: 1, vector: [0, 1] }]);
        expect(await store.describeCollection(tenantId, 'docs')).not.toMatchObject({ embeddingSpace });
        await rebuild.commit();
        expect(await store.describeCollection(tenantId, 'docs')).toMatchObject({ embeddingSpace, pointCount: 1 });
        expect(await store.searchSimilar(tenantId, 'docs', [0, 1], { embeddingSpace })).toHaveLength(1);
      }
      await store.dropCollection(tenantId, 'docs');
      expect(await store.describeCollection(tenantId, 'docs')).toBeUndefined();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, embeddingSpace: 'a' });
    });

    it('change their mode with all their records', async () => {
      const tenantId = tenants.next();
      const table = `moved_${tenantId}`;
      await store.createCollection(tenantId, table, { vectorSize: 3, payloadIndexes: { colour: 'keyword' } });
      await store.upsertVectorsBatch(
        tenantId,
        table,
        records.map(({ sparseVector: _, ...record }) => record),
      );
      for (const to of ['shared', 'collection'] as const) {
        expect(await new QdrantAdmin(store).moveTenant(tenantId, table, to)).toBe(30);
        expect(await store.describeCollection(tenantId, table)).toMatchObject({
          mode: to,
          pointCount: 30,
          payloadIndexes: { colour: 'keyword' },
        });
        const hits = await store.searchSimilar(tenantId, table, query, { limit: 3 });
        expect(hits.map(({ recordId }) => recordId)).toEqual([0, 1, 2]);
      }
    });

    it('put off their index while much is loaded', async () => {
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3 });
      const load = (): Promise<string[]> =>
        store.upsertVectorsBatch(tenantId, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
      expect(await new QdrantAdmin(store).bulkLoad(tenantId, 'docs', load)).toHaveLength(1);
      expect(await store.countRecords(tenantId, 'docs')).toBe(1);
    });

    it.each(['small', 'standard', 'large'] as const)('are made with the preset %s', async (preset) => {
      const tenantId = tenants.next();
      await store.createCollection(tenantId, 'docs', { vectorSize: 3, preset });
      await store.upsertVectorsBatch(tenantId, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
      expect(await store.searchSimilar(tenantId, 'docs', [1, 0, 0])).toHaveLength(1);
    });
  });
}
