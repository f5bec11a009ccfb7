import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { VectorIndex } from '#src/core/index/vector-index.js';
import type { ProviderKind } from '#src/core/ports/provider-kind.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { wexGatewayKind } from '#src/providers/wex-gateway/kind.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { FakeGateway, type FakeGatewayOptions } from '#src/testing/fake-gateway.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';

/** A host with one gateway for the tenants 7 and 8 and a store in memory, for the adapters of other frameworks. */
export async function startAdapterHost(options: FakeGatewayOptions = {}, kinds: readonly ProviderKind[] = []) {
  const gateway = await FakeGateway.start(options);
  const row = {
    provider: 'wex_ai_gateway',
    baseUrl: gateway.baseUrl,
    password: 'token',
    aiModel: 'text-embedding-3-small',
    aiModelConfig: { text_model: 'gpt-4o-mini', max_retries: 0 },
    costConfig: { cost_per_1k_tokens: 0.02, models: { 'gpt-4o-mini': { cost_per_1k_tokens: 0.04 } } },
  };
  const repository = new MemoryIntegrationRepository({
    integrations: [
      { ...row, tenantId: 7 },
      { ...row, tenantId: 8 },
    ],
  });
  const credentialCipher = { decrypt: (token: string) => `key-of-${token}` };
  const factory = new ProviderFactory({ repository, kinds: [wexGatewayKind({ credentialCipher }), ...kinds] });
  const manager = new HybridProviderManager({ factory });
  const store = new PulseQdrantClient({ location: ':memory:' });
  return {
    gateway,
    repository,
    manager,
    store,
    index: new VectorIndex({ manager, store }),
    async close() {
      await factory.close();
      await store.close();
      await gateway.close();
    },
  };
}
