import type { IsolationFixture } from '#src/testing/vector-store-isolation.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import type { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';

export function isolationFixture(
  store: PulseQdrantClient,
  mode: 'collection' | 'shared',
  close: IsolationFixture['close'],
): IsolationFixture {
  return {
    store,
    admin: new QdrantAdmin(store),
    close,
    createTable: async (tenantId, tableName) => {
      // A tenant that was moved stays in its place.
      const exists = (await store.describeCollection(tenantId, tableName)) !== undefined;
      await store.createCollection(tenantId, tableName, {
        vectorSize: 3,
        hasSparseVectors: true,
        payloadIndexes: { secret: 'keyword', tags: 'keyword' },
        ...(exists ? {} : { mode }),
      });
    },
  };
}
