import { describe, expect, it } from 'vitest';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';

/** Whoever gets as far as a request fails the test with another error. */
// biome-ignore lint/suspicious/noExplicitAny: arguments that the compiler would refuse
const store: any = new PulseQdrantClient({ client: { query: () => {} } as never });
// biome-ignore lint/suspicious/noExplicitAny: arguments that the compiler would refuse
const admin: any = new QdrantAdmin(store);

describe('PulseQdrantClient refuses', () => {
  const vector = [1, 0];
  it.each<[string, () => Promise<unknown>]>([
    ['null for options', () => store.searchSimilar(1, 'docs', vector, null)],
    ['null for options of a hybrid search', () => store.searchHybrid(1, 'docs', vector, {}, null)],
    ['null for options of a collection', () => store.createCollection(1, 'docs', null)],
    ['null for options of a rebuild', () => admin.rebuildCollection(1, 'docs', null)],
    ['null for options of a description', () => store.describeCollection(1, 'docs', null)],
    ['null for options of a listing of tables', () => store.listCollections(1, null)],
    ['null for options of an upsert', () => store.upsertVectorsBatch(1, 'docs', [], null)],
    ['null for options of a read', () => store.getRecords(1, 'docs', [1], null)],
    ['null for options of a listing', () => store.listRecords(1, 'docs', null).next()],
    ['null for options of a count', () => store.countRecords(1, 'docs', null)],
    ['null for options of a facet', () => store.countValues(1, 'docs', 'a', null)],
    ['null for options of a recommendation', () => store.recommend(1, 'docs', [1], null)],
    ['null for options of a delete', () => store.deleteRecords(1, 'docs', [1], null)],
    ['null for options of a drop', () => store.dropCollection(1, 'docs', null)],
    ['null for options of a move', () => admin.moveTenant(1, 'docs', 'shared', null)],
    ['null for options of health', () => store.health(null)],
    ['a signal that is none', () => store.searchSimilar(1, 'docs', vector, { signal: {} })],
    ['groups without options', () => store.searchGroups(1, 'docs', vector)],
    ['groups by what is no key', () => store.searchGroups(1, 'docs', vector, { groupBy: 'a b' })],
    ['values of what is no key', () => store.countValues(1, 'docs', 'a b')],
    ['a search that is null', () => store.searchBatch(1, 'docs', [null])],
    ['a bulk load without a function', () => admin.bulkLoad(1, 'docs')],
    ['records that are null', () => store.upsertVectorsBatch(1, 'docs', null)],
    ['a constructor of null', async () => new PulseQdrantClient(null as never)],
  ])('%s', async (_, call) => {
    await expect(call()).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
