import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vectorStoreContract } from '../../src/testing/vector-store-contract.js';
import { PulseQdrantClient } from '../../src/vector-stores/qdrant/pulse-qdrant-client.js';
import { qdrantServerUrl, removeTenants } from '../helpers/qdrant-server.js';

const testApi = { afterAll, beforeAll, describe, expect, it };

vectorStoreContract(testApi, {
  name: 'PulseQdrantClient in memory',
  open: async () => {
    const store = new PulseQdrantClient({ location: ':memory:' });
    return { store, close: () => store.close() };
  },
});

const url = qdrantServerUrl('the conformance suite of PulseQdrantClient');
if (url !== undefined) {
  vectorStoreContract(testApi, {
    name: `PulseQdrantClient on ${url}`,
    open: async () => {
      const store = new PulseQdrantClient({ url, apiKey: process.env.QDRANT_API_KEY || undefined });
      return {
        store,
        close: async (tenantIds) => {
          await store.close();
          await removeTenants(url, tenantIds);
        },
      };
    },
  });
}
