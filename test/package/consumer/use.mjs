// An ESM host with none of the optional peers: gateway, routing, ledger and the local vector engine.
import {
  FernetCipher,
  HybridProviderManager,
  MemoryIntegrationRepository,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  VectorIndex,
} from '@pulse/ai-providers';
import { FakeGateway } from '@pulse/ai-providers/testing';

const gateway = await FakeGateway.start({ apiKey: 'key' });
const credentialCipher = new FernetCipher(Buffer.alloc(32, 7).toString('base64url').concat('='));
const repository = new MemoryIntegrationRepository({
  integrations: [
    {
      tenantId: 1,
      provider: 'wex_ai_gateway',
      baseUrl: gateway.baseUrl,
      password: credentialCipher.encrypt('key'),
      costConfig: { cost_per_1k_tokens: 0.00002 },
    },
  ],
});
const factory = new ProviderFactory({ repository, kinds: standardProviderKinds({ credentialCipher }) });
const store = new PulseQdrantClient({ location: ':memory:' });
const index = new VectorIndex({ manager: new HybridProviderManager({ factory }), store });
const table = { tenantId: 1, tableName: 'notes' };
await index.upsert(
  [
    { recordId: 1, text: 'one' },
    { recordId: 2, text: 'two' },
  ],
  table,
);
const [hit] = await index.search('two', table);
await store.close();
await factory.close();
await gateway.close();
console.log(JSON.stringify({ hit: hit.recordId, usage: repository.usage.length }));
