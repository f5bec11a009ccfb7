import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { openAiKind, wexGatewayKind } from '#src/providers/wex-gateway/kind.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { FakeGateway, fakeEmbedding } from '#src/testing/index.js';
import { integrationOf } from '../../helpers/fake-provider.js';

/** Two rows that serve one model under two names: WEX first, OpenAI as its fallback. */
describe('the manager over two gateways', () => {
  let wex: FakeGateway;
  let openAi: FakeGateway;
  let factory: ProviderFactory;
  let manager: HybridProviderManager;

  beforeEach(async () => {
    wex = await FakeGateway.start();
    openAi = await FakeGateway.start();
    const aiModelConfig = { batch_size: 2, concurrency: 1, max_retries: 0, embedding_space: 'text-embedding-3-small' };
    const row = { password: 'token', tenantId: 1 };
    const integrations = [
      integrationOf({
        ...row,
        id: 1,
        provider: 'wex_ai_gateway',
        baseUrl: wex.baseUrl,
        aiModel: 'azure-text-embedding-3-small',
        aiModelConfig: { ...aiModelConfig, text_model: 'azure-gpt-4o-mini' },
        fallbackIntegrationId: 2,
      }),
      integrationOf({
        ...row,
        id: 2,
        provider: 'openai',
        baseUrl: openAi.baseUrl,
        aiModel: 'text-embedding-3-small',
        aiModelConfig,
      }),
    ];
    const repository = new MemoryIntegrationRepository({ integrations });
    const credentialCipher = { decrypt: (token: string) => `key-of-${token}` };
    factory = new ProviderFactory({
      repository,
      kinds: [wexGatewayKind({ credentialCipher }), openAiKind({ credentialCipher })],
    });
    manager = new HybridProviderManager({ factory });
  });
  afterEach(async () => {
    await factory.close();
    await wex.close();
    await openAi.close();
  });

  it('sends only the rest to the fallback, and tells onBatch of every vector once, by its position in the whole call', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `text ${i}`);
    wex.fault = ({ inputs }) => (inputs.includes('text 4') ? { kind: 'status', status: 503 } : undefined);
    const seen = new Map<number, Float32Array>();
    const done: number[] = [];
    const result = await manager.generateEmbeddings(texts, {
      tenantId: 1,
      preferredProvider: 'wex_ai_gateway',
      onBatch: ({ positions, embeddings, doneCount, totalCount }) => {
        positions.forEach((position, i) => {
          expect(seen.has(position)).toBe(false);
          seen.set(position, embeddings[i]!);
        });
        done.push(doneCount / totalCount);
      },
    });
    expect(result.embeddings).toEqual(texts.map((text) => fakeEmbedding(text, 8)));
    expect(result.failedOver).toMatchObject([{ code: 'embedding_partially_failed' }]);
    expect(openAi.requests.flatMap(({ inputs }) => inputs)).not.toContain('text 0');
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual(texts.map((_, position) => position));
    for (const [position, vector] of seen) expect(vector).toEqual(fakeEmbedding(texts[position]!, 8));
    expect(done.at(-1)).toBe(1);
  });

  it('does not take what a content filter refused to the next provider', async () => {
    const error = { code: 'content_filter', param: 'prompt' };
    wex.fault = () => ({ kind: 'status', status: 400, error });
    await expect(manager.generateText('a filtered prompt', { tenantId: 1 })).rejects.toMatchObject({
      code: 'input_refused',
    });
    expect(openAi.requests).toEqual([]);
  });

  it('passes a conversation, a schema and the choice of the model on', async () => {
    const result = await manager.generateText(
      [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'hello yourself' },
        { role: 'user', content: 'good bye' },
      ],
      { tenantId: 1 },
    );
    expect(result).toMatchObject({ text: 'GOOD BYE', provider: 'wex_ai_gateway' });
    expect(wex.requests[0]?.body.messages).toHaveLength(3);
    await expect(manager.generateText([], { tenantId: 1 })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
