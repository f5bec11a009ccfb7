import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { VectorStore } from '#src/core/ports/vector-store.js';
import { vectorStoreContract } from '#src/testing/vector-store-contract.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { openServerStore, qdrantServerUrl, removeTables } from '../helpers/qdrant-server.js';

const testApi = { afterAll, beforeAll, describe, expect, it };

/** The suite knows only the port, which has no modes. */
function inSharedMode(store: PulseQdrantClient): VectorStore {
  return {
    createCollection: (tenantId, tableName, options) =>
      store.createCollection(tenantId, tableName, { ...options, mode: 'shared' }),
    describeCollection: store.describeCollection.bind(store),
    upsertVectorsBatch: store.upsertVectorsBatch.bind(store),
    searchSimilar: store.searchSimilar.bind(store),
    deleteRecords: store.deleteRecords.bind(store),
    close: store.close.bind(store),
  };
}

vectorStoreContract(testApi, {
  name: 'PulseQdrantClient in memory',
  open: async () => {
    const store = new PulseQdrantClient({ location: ':memory:' });
    return { store, close: () => store.close() };
  },
});

vectorStoreContract(testApi, {
  name: 'PulseQdrantClient in memory, shared collections',
  open: async () => {
    const store = new PulseQdrantClient({ location: ':memory:' });
    return { store: inSharedMode(store), close: () => store.close() };
  },
});

vectorStoreContract(testApi, {
  name: 'PulseQdrantClient in a folder',
  open: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pulse-vectors-'));
    const store = new PulseQdrantClient({ location: folder });
    return {
      store,
      close: async () => {
        await store.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
});

const url = qdrantServerUrl('the conformance suite of PulseQdrantClient');
if (url !== undefined) {
  for (const mode of ['collection', 'shared'] as const) {
    vectorStoreContract(testApi, {
      name: `PulseQdrantClient on ${url}, mode ${mode}`,
      open: async () => {
        const store = openServerStore(url);
        return {
          store: mode === 'shared' ? inSharedMode(store) : store,
          close: async (tenantIds) => {
            await store.close();
            await removeTables(url, tenantIds);
          },
        };
      },
    });
  }
}
