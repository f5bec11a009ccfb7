import { expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { sentenceTransformersKind } from '#src/providers/sentence-transformers/kind.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';

const gateway = new WexGatewayProvider({
  baseUrl: 'http://127.0.0.1:1/v1',
  apiKey: null,
  fetch: () => {
    throw new Error('There was a request.');
  },
});
const local = new SentenceTransformersProvider();
const repository = new MemoryIntegrationRepository({});
const manager = new HybridProviderManager({
  factory: new ProviderFactory({ repository, kinds: [sentenceTransformersKind()] }),
});

const calls: Record<string, (options: never) => unknown> = {
  'embeddings of the gateway': (options) => gateway.generateEmbeddings(['a'], options),
  'its text': (options) => gateway.generateText('a', options),
  'its stream': (options) => gateway.streamText('a', options).next(),
  'its space': (options) => gateway.embeddingSpace(options),
  'its health': (options) => gateway.health(options),
  'local embeddings': (options) => local.generateEmbeddings(['a'], options),
  'a local stream': (options) => local.embedStream(['a'], options).next(),
  'the local space': (options) => local.embeddingSpace(options),
  'local health': (options) => local.health(options),
  'embeddings of a tenant': (options) => manager.generateEmbeddings(['a'], options),
  'text of a tenant': (options) => manager.generateText('a', options),
  'a stream of a tenant': (options) => manager.streamText('a', options).next(),
  'health of a tenant': (options) => manager.health(7, options),
};

it.each(
  Object.entries(calls).flatMap(([name, call]) =>
    [null, 'options', [], 5, { signal: 'now', tenantId: 7 }, { signal: null, tenantId: 7 }].map(
      (options) => [name, options, call] as const,
    ),
  ),
)('%s: options of %j are an error that says so', async (_, options, call) => {
  await expect(async () => call(options as never)).rejects.toMatchObject({
    code: 'invalid_input',
    message: expect.stringMatching(/^Expected `options(\.signal)?` to be an/),
  });
});
