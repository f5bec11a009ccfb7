// The same, shorter, from CommonJS.
const { WexGatewayProvider, PulseQdrantClient } = require('@pulse/ai-providers');
const { FakeGateway } = require('@pulse/ai-providers/testing');

async function main() {
  const gateway = await FakeGateway.start();
  const provider = new WexGatewayProvider({ baseUrl: gateway.baseUrl, apiKey: 'key' });
  const { embeddings } = await provider.generateEmbeddings(['one', 'two']);
  const store = new PulseQdrantClient({ location: ':memory:' });
  await store.createCollection(1, 'notes', { vectorSize: embeddings[0].length });
  await store.upsertVectorsBatch(1, 'notes', [
    { recordId: 1, vector: embeddings[0] },
    { recordId: 2, vector: embeddings[1] },
  ]);
  const [hit] = await store.searchSimilar(1, 'notes', embeddings[1]);
  await store.close();
  await provider.close();
  await gateway.close();
  console.log(JSON.stringify({ hit: hit.recordId }));
}

main();
