import { QdrantClient as QdrantClient18 } from '@qdrant/js-client-rest';
import { QdrantClient as QdrantClient19 } from 'qdrant-client-1-19';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vectorStoreContract } from '../../src/testing/vector-store-contract.js';
import { PulseQdrantClient } from '../../src/vector-stores/qdrant/pulse-qdrant-client.js';
import { startEngineServer } from '../helpers/engine-server.js';

const testApi = { afterAll, beforeAll, describe, expect, it };

// What PulseQdrantClient and the real client make of each other, over real HTTP. What a Qdrant server makes of it is tested on one: QDRANT_URL.
for (const [line, QdrantClient] of [
  ['1.18', QdrantClient18],
  ['1.19', QdrantClient19],
] as const) {
  vectorStoreContract(testApi, {
    name: `PulseQdrantClient through @qdrant/js-client-rest ${line} and HTTP`,
    open: async () => {
      const server = await startEngineServer();
      const client = new QdrantClient({ url: server.url, checkCompatibility: false });
      const store = new PulseQdrantClient({ client });
      return {
        store,
        close: async () => {
          await store.close();
          await server.close();
        },
      };
    },
  });
}
