import { QdrantClient as Client118 } from '@qdrant/js-client-rest';
import fc from 'fast-check';
import { QdrantClient as Client119 } from 'qdrant-client-1-19';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vectorStoreContract } from '#src/testing/vector-store-contract.js';
import { vectorStoreIsolation } from '#src/testing/vector-store-isolation.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { isolationFixture } from '../helpers/isolation-fixture.js';
import { RestServer } from '../helpers/rest-server.js';

const testApi = { afterAll, beforeAll, describe, expect, it };

/** Both lines of the real client, over real HTTP, to Qdrant's routes with the local engine behind them. */
for (const [line, Client] of [
  ['1.18', Client118],
  ['1.19', Client119],
] as const) {
  const open = async (): Promise<{ server: RestServer; store: PulseQdrantClient; close: () => Promise<void> }> => {
    const server = await RestServer.start();
    const client = new Client({ host: '127.0.0.1', port: server.port, checkCompatibility: false });
    const store = new PulseQdrantClient({ client });
    const close = async (): Promise<void> => {
      await store.close();
      await server.stop();
      expect(server.unwaited).toEqual([]);
    };
    return { server, store, close };
  };

  vectorStoreContract(testApi, { name: `the real client ${line} over HTTP`, open });

  vectorStoreIsolation(testApi, {
    name: `the real client ${line} over HTTP`,
    fastCheck: fc,
    attackCount: 150,
    open: async () => {
      const { store, close } = await open();
      return isolationFixture(store, 'shared', close);
    },
  });
}
