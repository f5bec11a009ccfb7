import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { MockEmbeddingModelV4 } from 'ai-7/test';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { aiSdkKind } from '#src/ai-sdk.js';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import { FakeGateway, type FakeGatewayOptions } from '#src/testing/fake-gateway.js';
import { integrationOf } from '../../helpers/fake-provider.js';

/** A real provider package of the AI SDK over a real HTTP server. */
async function setUp(options: FakeGatewayOptions = {}) {
  const gateway = await FakeGateway.start(options);
  const kind = aiSdkKind({
    name: 'mistral',
    credentialCipher: { decrypt: (token) => `key-of-${token}` },
    models: ({ integration, apiKey = '' }) => {
      const sdk = createOpenAICompatible({
        name: 'mistral',
        baseURL: integration.baseUrl ?? '',
        headers: { authorization: `Bearer ${apiKey}` },
      });
      return {
        embedding: sdk.embeddingModel('mistral-embed'),
        language: sdk.chatModel('mistral-small'),
      };
    },
  });
  const repository = new MemoryIntegrationRepository({
    integrations: [
      {
        tenantId: 1,
        provider: 'mistral',
        baseUrl: gateway.baseUrl,
        password: 'token',
        costConfig: { cost_per_1k_tokens: 1 },
      },
    ],
  });
  const factory = new ProviderFactory({ repository, kinds: [kind] });
  return { gateway, repository, factory, manager: new HybridProviderManager({ factory }) };
}

describe('models of the AI SDK as a kind of provider', () => {
  let host: Awaited<ReturnType<typeof setUp>>;
  afterEach(async () => {
    await host?.factory.close();
    await host?.gateway.close();
  });

  it('embeds with failover, prices and usage rows, with the key of the row', async () => {
    host = await setUp({ apiKey: 'key-of-token' });
    const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
    const result = await host.manager.generateEmbeddings(texts, { tenantId: 1 });
    expect(result.embeddings[19]).toEqual(fakeEmbedding('text 19', 8));
    expect(result.embeddingSpace).toMatchObject({ model: 'mistral-embed', dimension: 8 });
    const tokens = texts.join('').length;
    expect(result).toMatchObject({ provider: 'mistral', model: 'mistral-embed', usage: { inputTokens: tokens } });
    expect(Number(result.cost)).toBe(tokens / 1000);
    await host.factory.close();
    expect(host.repository.usage).toMatchObject([
      { provider: 'mistral', operation: 'embedding', modelName: 'mistral-embed', inputCount: 20, inputTokens: tokens },
    ]);
  });

  it('generates and streams text, with tools and JSON of a schema', async () => {
    host = await setUp({
      completion: ({ body }) =>
        body.tools === undefined
          ? body.response_format === undefined
            ? 'plain'
            : '{"title":"x"}'
          : { tool_calls: [{ id: 'call-1', type: 'function', function: { name: 'find', arguments: '{"id":3}' } }] },
    });
    const { manager } = host;
    expect(await manager.generateText('hello', { tenantId: 1 })).toMatchObject({
      text: 'plain',
      finishReason: 'stop',
      usage: { inputTokens: 5 },
    });
    const tools = [{ name: 'find', parameters: { type: 'object', properties: { id: { type: 'integer' } } } }];
    expect(await manager.generateText('hello', { tenantId: 1, tools, toolChoice: { name: 'find' } })).toMatchObject({
      finishReason: 'tool_calls',
      toolCalls: [{ id: 'call-1', name: 'find', arguments: { id: 3 } }],
    });
    const schema = z.object({ title: z.string() });
    const jsonSchema = z.toJSONSchema(schema) as Record<string, unknown>;
    expect(await manager.generateText('hello', { tenantId: 1, schema, jsonSchema })).toMatchObject({
      output: { title: 'x' },
    });
    let text = '';
    let end: unknown;
    for await (const chunk of manager.streamText('hello', { tenantId: 1 })) {
      if (chunk.type === 'text') text += chunk.text;
      else end = chunk.result;
    }
    expect(text).toBe('plain');
    expect(end).toMatchObject({ text: 'plain', provider: 'mistral', finishReason: 'stop' });
  });

  it.each([
    [401, 'authentication_failed', false],
    [404, 'model_unavailable', false],
    [429, 'rate_limited', true],
    [503, 'unavailable', true],
    [400, 'input_refused', false],
  ])('reads the status %i as %s', async (status, code, isRetryable) => {
    host = await setUp({ fault: () => ({ kind: 'status', status, headers: { 'retry-after': '7' } }) });
    const error = await host.manager.generateEmbeddings(['x'], { tenantId: 1 }).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code, status, isRetryable, retryAfterMs: 7_000 });
    expect(String(error)).not.toContain('key-of-token');
  });

  it('rethrows the abort of the caller, and one of its own when it is closed', async () => {
    host = await setUp({ latencyMs: 60_000 });
    const controller = new AbortController();
    const call = host.manager.generateEmbeddings(['x'], { tenantId: 1, signal: controller.signal });
    await expect.poll(() => host.gateway.requests.length).toBe(1);
    const reason = new Error('The user left.');
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    const other = host.manager.generateEmbeddings(['x'], { tenantId: 1 });
    const outcome = expect(other).rejects.toMatchObject({ code: 'aborted_by_close' });
    await expect.poll(() => host.gateway.requests.length).toBe(2);
    await host.factory.close();
    await outcome;
  });

  it('keeps what was paid for when a later batch fails, and takes models of the specification 4', async () => {
    const model = new MockEmbeddingModelV4({
      modelId: 'four',
      maxEmbeddingsPerCall: 2,
      doEmbed: async ({ values }) => {
        if (values.includes('bad')) throw new Error('out of memory');
        return { embeddings: values.map(() => [1, 0]), usage: { tokens: 3 }, warnings: [] };
      },
    });
    const kind = aiSdkKind({ name: 'four', models: () => ({ embedding: model }) });
    const provider = await kind.create({
      integration: integrationOf({ id: 5, provider: 'four' }),
      usageRecorder: { record: async () => {} },
    });
    await expect(provider.generateEmbeddings(['a', 'b', 'bad'])).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: [{ position: 2, error: { code: 'unavailable' } }],
      partialResult: { usage: { inputCount: 2, inputTokens: 3 } },
    });
    await expect(provider.generateEmbeddings(['a'], { model: 'other' })).rejects.toMatchObject({
      code: 'unsupported_operation',
    });
    await expect(provider.generateText?.('x')).rejects.toMatchObject({ code: 'unsupported_operation' });
  });

  it('refuses a row for which there is no model', async () => {
    const kind = aiSdkKind({ name: 'none', models: () => ({}) });
    await expect(
      Promise.resolve(
        kind.create({
          integration: integrationOf({ id: 5, provider: 'none' }),
          usageRecorder: { record: async () => {} },
        }),
      ),
    ).rejects.toMatchObject({ code: 'invalid_config' });
  });
});
