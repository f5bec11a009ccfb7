import type { CollectionDescription, SimilarRecord, VectorRecord, VectorStore } from '../core/ports/vector-store.js';
import { isAiProviderError } from '../errors.js';
import type { TestApi } from './test-api.js';

export interface VectorStoreFixture {
  readonly store: VectorStore;
  /** Removes the collections of the tenants that the suite used. */
  close(tenantIds: readonly number[]): Promise<void>;
}

export interface VectorStoreContractOptions {
  readonly name: string;
  open(): Promise<VectorStoreFixture>;
}

/** The most that two implementations may differ by in a score: float32 sums depend on their order. */
const scoreTolerance = 1e-6;
/** Every hit, however far away. */
const everything = { limit: 100, scoreThreshold: -1 };

/**
 * The conformance suite of {@link VectorStore}: what the library relies on, for an implementation of your own.
 *
 * @example
 * import { afterAll, beforeAll, describe, expect, it } from 'vitest';
 * vectorStoreContract({ afterAll, beforeAll, describe, expect, it }, { name: 'mine', open: openMyStore });
 */
export function vectorStoreContract(testApi: TestApi, options: VectorStoreContractOptions): void {
  const { describe, it, expect, beforeAll, afterAll } = testApi;

  describe(`VectorStore contract: ${options.name}`, () => {
    let fixture: VectorStoreFixture;
    // Tenants of its own for each test and run, so that a server needs no clean-up before it and tests may run in any
    // order.
    const firstTenant = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
    let tenantCount = 0;
    const newTenant = (): number => firstTenant + tenantCount++;

    beforeAll(async () => {
      fixture = await options.open();
    });
    afterAll(async () => {
      await fixture.close(Array.from({ length: tenantCount }, (_, i) => firstTenant + i));
    });

    const tenantWith = async (records: readonly VectorRecord[], vectorSize = 3): Promise<number> => {
      const tenantId = newTenant();
      await fixture.store.createCollection(tenantId, docsOf(tenantId), { vectorSize });
      await fixture.store.upsertVectorsBatch(tenantId, docsOf(tenantId), records);
      return tenantId;
    };
    const codeOf = async (promise: Promise<unknown>): Promise<unknown> => {
      const error = await errorOf(promise);
      return isAiProviderError(error) ? error.code : error;
    };

    describe('createCollection', () => {
      it('makes a collection that describes itself, and is idempotent', async () => {
        const { store } = fixture;
        const tenantId = newTenant();
        const asked = { vectorSize: 4, embeddingSpace: 'model|rev=1|dim=4' };
        expect(await store.describeCollection(tenantId, docsOf(tenantId))).toBe(undefined);
        await store.createCollection(tenantId, docsOf(tenantId), asked);
        await store.createCollection(tenantId, docsOf(tenantId), asked);
        expect(await describeDocs(store, tenantId)).toEqual({ ...asked, pointCount: 0 });
      });

      it('is made once by concurrent callers', async () => {
        const { store } = fixture;
        const tenantId = newTenant();
        const calls = Array.from({ length: 5 }, () =>
          store.createCollection(tenantId, docsOf(tenantId), { vectorSize: 4 }),
        );
        await Promise.all(calls);
        const description = await store.describeCollection(tenantId, docsOf(tenantId));
        expect(description?.vectorSize).toBe(4);
      });

      it('has 1536 dimensions unless told otherwise', async () => {
        const tenantId = newTenant();
        await fixture.store.createCollection(tenantId, docsOf(tenantId));
        const description = await describeDocs(fixture.store, tenantId);
        expect(description).toEqual({ vectorSize: 1536, embeddingSpace: null, pointCount: 0 });
      });

      it('refuses another vector size and another embedding space, also of equal dimension', async () => {
        const { store } = fixture;
        const tenantId = newTenant();
        await store.createCollection(tenantId, docsOf(tenantId), { vectorSize: 4, embeddingSpace: 'a' });
        expect(
          await codeOf(store.createCollection(tenantId, docsOf(tenantId), { vectorSize: 5, embeddingSpace: 'a' })),
        ).toBe('dimension_mismatch');
        expect(
          await codeOf(store.createCollection(tenantId, docsOf(tenantId), { vectorSize: 4, embeddingSpace: 'b' })),
        ).toBe('embedding_space_mismatch');
      });

      it('lets only one of two spaces win that are asked for at the same time', async () => {
        const { store } = fixture;
        const tenantId = newTenant();
        const spaces = ['a', 'b', 'c', 'd'];
        const outcomes = await Promise.all(
          spaces.map((embeddingSpace) =>
            codeOf(store.createCollection(tenantId, docsOf(tenantId), { vectorSize: 4, embeddingSpace })),
          ),
        );
        const won = spaces.filter((_, i) => outcomes[i] === undefined);
        expect(won.length).toBe(1);
        expect((await store.describeCollection(tenantId, docsOf(tenantId)))?.embeddingSpace).toBe(won[0]);
      });
    });

    describe('upsertVectorsBatch', () => {
      it('returns ids in order, the same for the same records, others for others', async () => {
        const { store } = fixture;
        const records = [7, '7', 'a', 'b'].map((recordId, i) => ({ recordId, vector: [1, i, 0] }));
        const tenantId = await tenantWith([]);
        const ids = await store.upsertVectorsBatch(tenantId, docsOf(tenantId), records);
        expect(new Set(ids).size).toBe(4);
        expect(await store.upsertVectorsBatch(tenantId, docsOf(tenantId), records.toReversed())).toEqual(
          ids.toReversed(),
        );
        expect((await store.describeCollection(tenantId, docsOf(tenantId)))?.pointCount).toBe(4);
      });

      it('replaces vector and metadata of a record that is stored', async () => {
        const tenantId = await tenantWith([{ recordId: 1, vector: [1, 0, 0], metadata: { old: true, same: 1 } }]);
        await fixture.store.upsertVectorsBatch(tenantId, docsOf(tenantId), [
          { recordId: 1, vector: [0, 1, 0], metadata: { same: 2 } },
        ]);
        const hits = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [0, 1, 0], everything);
        expect(hits.map(({ metadata }) => metadata)).toEqual([{ same: 2 }]);
        expect(near(hits[0]?.score, 1)).toBe(true);
      });

      it('stores many records, and any kind of number array', async () => {
        const { store } = fixture;
        const tenantId = await tenantWith([]);
        const records = Array.from({ length: 700 }, (_, recordId) => ({
          recordId,
          vector: Float32Array.of(1, recordId, 1),
        }));
        const ids = await store.upsertVectorsBatch(tenantId, docsOf(tenantId), records);
        expect(new Set(ids).size).toBe(700);
        await store.upsertVectorsBatch(tenantId, docsOf(tenantId), [
          { recordId: 'd', vector: Float64Array.of(1, 2, 3) },
        ]);
        expect((await store.describeCollection(tenantId, docsOf(tenantId)))?.pointCount).toBe(701);
      });

      it('keeps every JSON value', async () => {
        const metadata = {
          text: 'ünï 🙂 "quoted" \\ back\u0000\n',
          numbers: [0, -1.5, 1e21, Number.MAX_SAFE_INTEGER],
          nested: { 'dotted.key': { list: [null, true, { deep: [] }] } },
          empty: '',
        };
        const tenantId = await tenantWith([{ recordId: 1, vector: [1, 0, 0], metadata }]);
        const [hit] = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [1, 0, 0]);
        expect(hit?.metadata).toEqual(metadata);
      });

      it('keeps fractions, to the 15 digits that every JSON parser keeps', async () => {
        const fractions = [0.11302160990842669, 1 / 3, -2.2250738585072014e-308, 1.7976931348623157e308];
        const tenantId = await tenantWith([{ recordId: 1, vector: [1, 0, 0], metadata: { fractions } }]);
        const [hit] = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [1, 0, 0]);
        const kept = hit?.metadata.fractions as number[];
        expect(kept.map((value, i) => Math.abs(value / fractions[i]! - 1) < 1e-15)).toEqual([true, true, true, true]);
      });

      it('takes no records for an empty result, without a collection', async () => {
        expect(await fixture.store.upsertVectorsBatch(newTenant(), 'docs', [])).toEqual([]);
      });
    });

    describe('searchSimilar', () => {
      it('orders by cosine similarity, whatever the length of a vector', async () => {
        const tenantId = await tenantWith([
          { recordId: 'far', vector: [-1, 0.5, 0] },
          { recordId: 'near', vector: [10, 1, 0] },
          { recordId: 'middle', vector: [0.1, 0.1, 0] },
        ]);
        const hits = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [3, 0, 0], everything);
        expect(hits.map(({ recordId }) => recordId)).toEqual(['near', 'middle', 'far']);
        expect(near(hits[0]?.score, 10 / Math.hypot(10, 1))).toBe(true);
        expect(near(hits[1]?.score, Math.SQRT1_2)).toBe(true);
        expect(near(hits[2]?.score, -1 / Math.hypot(1, 0.5))).toBe(true);
        expect(hits.every(({ tableName }) => tableName === docsOf(tenantId))).toBe(true);
      });

      it('gives at most 10 hits of at least 0.7 unless told otherwise', async () => {
        const close = Array.from({ length: 12 }, (_, i) => ({ recordId: i, vector: [10, i / 10, 0] }));
        const tenantId = await tenantWith([...close, { recordId: 'far', vector: [1, 5, 0] }]);
        const search = (more: object): Promise<SimilarRecord[]> =>
          fixture.store.searchSimilar(tenantId, docsOf(tenantId), [1, 0, 0], more);
        expect((await search({})).length).toBe(10);
        expect((await search({ limit: 100 })).length).toBe(12);
        expect((await search({ limit: 100, scoreThreshold: 0 })).length).toBe(13);
        expect((await search({ limit: 2 })).map(({ recordId }) => recordId)).toEqual([0, 1]);
      });

      it('keeps a hit whose score is the threshold itself', async () => {
        const tenantId = await tenantWith([
          { recordId: 'same', vector: [0, 1, 0] },
          { recordId: 'across', vector: [0, 0, 1] },
          { recordId: 'opposite', vector: [0, -1, 0] },
        ]);
        const hits = async (scoreThreshold: number): Promise<unknown[]> => {
          const found = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [0, 1, 0], { scoreThreshold });
          return found.map(({ recordId }) => recordId);
        };
        expect(await hits(1)).toEqual(['same']);
        expect(await hits(0)).toEqual(['same', 'across']);
        expect(await hits(-1)).toEqual(['same', 'across', 'opposite']);
      });

      it('narrows by filters of every nesting', async () => {
        const tenantId = await tenantWith(
          ['red', 'green', 'blue', null].map((colour, size) => ({
            recordId: size,
            vector: [1, size, 1],
            metadata: { ...(colour === null ? {} : { colour }), size, tags: [`t${size}`, 'all'] },
          })),
        );
        const is = (key: string, value: unknown): object => ({ key, match: { value } });
        const cases: [object, number[]][] = [
          [{}, [0, 1, 2, 3]],
          [{ must: [is('colour', 'red')] }, [0]],
          [{ must: is('tags', 'all'), must_not: [is('tags', 't2')] }, [0, 1, 3]],
          [{ should: [is('colour', 'red'), is('colour', 'blue')] }, [0, 2]],
          [{ must_not: [{ should: [is('colour', 'red'), { key: 'size', range: { gte: 2 } }] }] }, [1]],
          [{ must: [{ key: 'colour', match: { any: ['red', 'green'] } }] }, [0, 1]],
          [{ must: [{ key: 'colour', match: { except: ['red', 'green'] } }] }, [2]],
          [{ must: [{ is_empty: { key: 'colour' } }] }, [3]],
          [{ must: [{ key: 'size', range: { gt: 0, lte: 2 } }] }, [1, 2]],
          [
            { min_should: { conditions: [is('tags', 'all'), is('size', 1), is('colour', 'green')], min_count: 3 } },
            [1],
          ],
          [{ must: [is('size', '1')] }, []],
          [{ must: [is('colour', 'red')], should: [is('colour', 'blue')] }, []],
        ];
        for (const [filter, expected] of cases) {
          const hits = await fixture.store.searchSimilar(tenantId, docsOf(tenantId), [1, 0, 1], {
            ...everything,
            filter: filter as Record<string, unknown>,
          });
          expect([filter, hits.map(({ recordId }) => Number(recordId)).toSorted()]).toEqual([filter, expected]);
        }
      });

      it('says that there is no such collection', async () => {
        expect(await codeOf(fixture.store.searchSimilar(newTenant(), 'docs', [1]))).toBe('collection_not_found');
      });
    });

    describe('deleteRecords', () => {
      it('deletes by record id; unknown ids and none at all are no error', async () => {
        const { store } = fixture;
        const tenantId = await tenantWith([1, '1', 2].map((recordId) => ({ recordId, vector: [1, 1, 1] })));
        await store.deleteRecords(tenantId, docsOf(tenantId), [1, 'unknown']);
        await store.deleteRecords(tenantId, docsOf(tenantId), []);
        const hits = await store.searchSimilar(tenantId, docsOf(tenantId), [1, 1, 1], everything);
        expect(hits.map(({ recordId }) => recordId).toSorted()).toEqual(['1', 2]);
      });
    });

    describe('tenants and tables', () => {
      it('are apart, also with equal record ids', async () => {
        const { store } = fixture;
        const [a, b] = [newTenant(), newTenant()];
        const table = docsOf(a);
        for (const [tenantId, of] of [
          [a, 'a'],
          [b, 'b'],
        ] as const) {
          await store.createCollection(tenantId, table, { vectorSize: 3 });
          await store.upsertVectorsBatch(tenantId, table, [{ recordId: 1, vector: [1, 0, 0], metadata: { of } }]);
        }
        await store.createCollection(a, `${table}_2`, { vectorSize: 3 });
        expect(await store.searchSimilar(a, `${table}_2`, [1, 0, 0], everything)).toEqual([]);
        await store.deleteRecords(a, table, [1]);
        expect(await store.searchSimilar(a, table, [1, 0, 0], everything)).toEqual([]);
        const hits = await store.searchSimilar(b, table, [1, 0, 0], everything);
        expect(hits.map(({ metadata }) => metadata)).toEqual([{ of: 'b' }]);
      });
    });

    describe('bad input', () => {
      const record = { recordId: 1, vector: [1, 2, 3] };
      const badRecords: [string, unknown, number][] = [
        ['NaN', [record, { recordId: 2, vector: [1, Number.NaN, 3] }], 1],
        ['Infinity', [{ recordId: 2, vector: [1, Number.POSITIVE_INFINITY, 3] }], 0],
        ['zeros', [record, { recordId: 2, vector: [0, 0, 0] }], 1],
        ['two dimensions in one batch', [record, { recordId: 2, vector: [1, 2] }], 1],
        ['no vector', [record, { recordId: 2 }], 1],
        ['a record id twice', [record, { recordId: 2, vector: [1, 2, 3] }, record], 2],
        ['no record id', [{ vector: [1, 2, 3] }], 0],
        ['an empty record id', [{ ...record, recordId: '' }], 0],
        ['a reserved key', [{ ...record, metadata: { client_id: 1 } }], 0],
        ['metadata that is not JSON', [{ ...record, metadata: { at: new Date() } }], 0],
        ['null', [null], 0],
      ];
      for (const [name, records, position] of badRecords) {
        it(`upsert refuses ${name}, says where, and stores nothing`, async () => {
          const tenantId = await tenantWith([]);
          const error = await errorOf(
            fixture.store.upsertVectorsBatch(tenantId, docsOf(tenantId), records as readonly VectorRecord[]),
          );
          expect([isAiProviderError(error) && error.code, (error as { position?: number }).position]).toEqual([
            'invalid_input',
            position,
          ]);
          expect((await fixture.store.describeCollection(tenantId, docsOf(tenantId)))?.pointCount).toBe(0);
        });
      }

      it('refuses vectors of another dimension than the collection has', async () => {
        const tenantId = await tenantWith([record]);
        const { store } = fixture;
        const upsert = store.upsertVectorsBatch(tenantId, docsOf(tenantId), [{ recordId: 2, vector: [1, 2] }]);
        expect(await codeOf(upsert)).toBe('dimension_mismatch');
        expect(await codeOf(store.searchSimilar(tenantId, docsOf(tenantId), [1, 2, 3, 4]))).toBe('dimension_mismatch');
      });

      const badSearches: [string, unknown, object][] = [
        ['a query of zeros', [0, 0, 0], {}],
        ['NaN', [1, Number.NaN, 3], {}],
        ['limit 0', [1, 2, 3], { limit: 0 }],
        ['a fractional limit', [1, 2, 3], { limit: 1.5 }],
        ['a threshold over 1', [1, 2, 3], { scoreThreshold: 1.1 }],
        ['a filter with an unknown key', [1, 2, 3], { filter: { and: [] } }],
        ['a filter that is invalid', [1, 2, 3], { filter: null }],
      ];
      for (const [name, vector, more] of badSearches) {
        it(`search refuses ${name}`, async () => {
          const tenantId = await tenantWith([record]);
          const search = fixture.store.searchSimilar(tenantId, docsOf(tenantId), vector as number[], more);
          expect(await codeOf(search)).toBe('invalid_input');
        });
      }

      const methods: [string, (tenantId: number, tableName: string, signal?: AbortSignal) => Promise<unknown>][] = [
        ['createCollection', (id, table, signal) => fixture.store.createCollection(id, table, { signal })],
        ['describeCollection', (id, table, signal) => fixture.store.describeCollection(id, table, { signal })],
        [
          'upsertVectorsBatch',
          (id, table, signal) => fixture.store.upsertVectorsBatch(id, table, [record], { signal }),
        ],
        ['searchSimilar', (id, table, signal) => fixture.store.searchSimilar(id, table, [1, 2, 3], { signal })],
        ['deleteRecords', (id, table, signal) => fixture.store.deleteRecords(id, table, [1], { signal })],
      ];
      for (const [name, call] of methods) {
        it(`${name} refuses what is not a tenant or a table`, async () => {
          for (const tenantId of [0, -1, 1.5, Number.NaN, 2 ** 53, '1', null, undefined, {}, [1]] as number[]) {
            expect(await codeOf(call(tenantId, docsOf(tenantId)))).toBe('invalid_input');
          }
          for (const tableName of ['', '2_x', 'Docs', 'a-b', '../x', 'a/b', 'x'.repeat(300), null, 1] as string[]) {
            expect(await codeOf(call(1, tableName))).toBe('invalid_input');
          }
        });

        it(`${name} rethrows the reason of an aborted signal untouched`, async () => {
          const reason = new Error('the caller went away');
          expect(await errorOf(call(newTenant(), 'docs', AbortSignal.abort(reason)))).toBe(reason);
        });
      }
    });
  });
}

/** Only what the port promises; a store may say more. */
async function describeDocs(store: VectorStore, tenantId: number): Promise<CollectionDescription | undefined> {
  const description = await store.describeCollection(tenantId, docsOf(tenantId));
  if (description === undefined) return undefined;
  const { vectorSize, embeddingSpace, pointCount } = description;
  return { vectorSize, embeddingSpace, pointCount };
}

/** A table for each tenant, since a store may keep one table of all tenants together, with one vector size. */
function docsOf(tenantId: number): string {
  return `docs_${tenantId}`;
}

function near(score: number | undefined, expected: number): boolean {
  return score !== undefined && Math.abs(score - expected) <= scoreTolerance;
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return undefined;
}
