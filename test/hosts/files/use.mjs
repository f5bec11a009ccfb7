// A host: embeds through a gateway, stores, searches. Prints what it found.
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

export async function use() {
  const gateway = await FakeGateway.start();
  const credentialCipher = new FernetCipher(FernetCipher.generateKey());
  const password = credentialCipher.encrypt('key');
  const row = { tenantId: 1, provider: 'wex_ai_gateway', baseUrl: gateway.baseUrl, password };
  const repository = new MemoryIntegrationRepository({ integrations: [row] });
  const factory = new ProviderFactory({ repository, kinds: standardProviderKinds({ credentialCipher }) });
  const store = new PulseQdrantClient({ location: ':memory:' });
  const index = new VectorIndex({ manager: new HybridProviderManager({ factory }), store });
  const table = { tenantId: 1, tableName: 'notes' };
  await index.upsert(
    ['one', 'two'].map((text) => ({ recordId: text, text })),
    table,
  );
  const [hit] = await index.search('two', table);
  await store.close();
  await factory.close();
  await gateway.close();
  return `found ${hit.recordId}`;
}
