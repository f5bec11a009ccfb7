import { describe, expect, it } from 'vitest';
import * as root from '#src/index.js';
import { methodsOf } from '#src/testing/isolation-cases.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';

describe('what an operator does', () => {
  const harmless = ['constructor', 'close', 'health'];

  it('is not in reach of a handler that has a store: no method of one is in both, nor is the class at the root', () => {
    const store = new PulseQdrantClient({ location: ':memory:' });
    const operators = methodsOf(new QdrantAdmin(store)).filter((method) => !harmless.includes(method));
    expect(operators.length).toBeGreaterThanOrEqual(6);
    expect(methodsOf(store).filter((method) => operators.includes(method))).toEqual([]);
    expect(Object.keys(root).filter((name) => /Admin|copyVectorStore/.test(name))).toEqual([]);
  });

  it('works on an open store and leaves it open, or on a connection of its own and closes that', async () => {
    const store = new PulseQdrantClient({ location: ':memory:' });
    await store.createCollection(7, 'docs', { vectorSize: 2, mode: 'shared' });
    await store.upsertVectorsBatch(7, 'docs', [{ recordId: 1, vector: [1, 0] }]);
    const admin = new QdrantAdmin(store);
    expect(await admin.countByTenant('docs')).toEqual(new Map([[7, 1]]));
    expect(await admin.moveTenant(7, 'docs', 'collection')).toBe(1);
    await admin.close();
    expect(await store.describeCollection(7, 'docs')).toMatchObject({ mode: 'collection', pointCount: 1 });
    const own = new QdrantAdmin({ location: ':memory:' });
    await expect(own.countByTenant('docs')).rejects.toMatchObject({ code: 'collection_not_found' });
    await own.close();
    await expect(own.countByTenant('docs')).rejects.toMatchObject({ code: 'aborted_by_close' });
    await store.close();
  });

  it('is refused without a store or options', () => {
    expect(() => new QdrantAdmin(null as never)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => new QdrantAdmin({ location: '' })).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });
});
