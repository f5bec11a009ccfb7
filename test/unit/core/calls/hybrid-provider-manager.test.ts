import { describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { embeddingSpaceId } from '#src/core/embedding-space.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { type AiProviderErrorCode, PartialEmbeddingError, ProviderError } from '#src/errors.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { fakeKind, integrationOf, spaceOf } from '../../../helpers/fake-provider.js';

function setUp(...rows: Parameters<typeof integrationOf>[0][]) {
  const gateway = fakeKind('wex_ai_gateway', { dimension: 8, declaresDimension: false });
  const local = fakeKind('sentence_transformers', { isLocal: true, dimension: 4 });
  const repository = new MemoryIntegrationRepository({ integrations: rows.map(integrationOf) });
  const factory = new ProviderFactory({ repository, kinds: [gateway, local] });
  const manager = new HybridProviderManager({ factory, circuitBreaker: { failureThreshold: 3 } });
  return { gateway, local, repository, factory, manager };
}

const gatewayRow = { id: 1, provider: 'wex_ai_gateway', aiModel: 'paid', costConfig: { cost_per_1k_tokens: 0.00002 } };
const localRow = { id: 2, provider: 'sentence_transformers', aiModel: 'free', costConfig: { cost_per_1k_tokens: 0 } };
const texts = (count: number) => Array.from({ length: count }, (_, index) => 'x'.repeat(index + 1));
const down =
  (code: AiProviderErrorCode = 'unavailable') =>
  () =>
    Promise.reject(new ProviderError(`It is ${code}.`, { code, isRetryable: true, provider: 'p' }));

describe('HybridProviderManager.generateEmbeddings', () => {
  it.each([
    [1, 'sentence_transformers', 4, '0'],
    [10, 'sentence_transformers', 4, '0'],
    [11, 'wex_ai_gateway', 8, '0.00000154'],
  ])('auto sends %i texts to %s', async (count, provider, dimension, cost) => {
    const { manager } = setUp(gatewayRow, localRow);
    const result = await manager.generateEmbeddings(texts(count), { tenantId: 1 });
    expect(result).toMatchObject({
      provider,
      cost,
      failedOver: [],
      usage: { inputCount: count, inputTokens: 7 * count },
    });
    expect(result.embeddingSpace.dimension).toBe(dimension);
    expect(result.embeddings.map((vector) => vector[0])).toEqual(texts(count).map((text) => text.length));
  });

  it('uses the gateway for few texts if there is no local provider, and the reverse', async () => {
    expect((await setUp(gatewayRow).manager.generateEmbeddings(['a'], { tenantId: 1 })).provider).toBe(
      'wex_ai_gateway',
    );
    expect((await setUp(localRow).manager.generateEmbeddings(texts(50), { tenantId: 1 })).provider).toBe(
      'sentence_transformers',
    );
  });

  it('makes the default local integration for a tenant that has none', async () => {
    const { manager } = setUp();
    expect((await manager.generateEmbeddings(['a'], { tenantId: 3 })).provider).toBe('sentence_transformers');
  });

  it('obeys preferredProvider, and refuses an unknown one', async () => {
    const { manager } = setUp(gatewayRow, localRow);
    const ask = (preferredProvider: string) => manager.generateEmbeddings(['a'], { tenantId: 1, preferredProvider });
    expect((await ask('wex_ai_gateway')).provider).toBe('wex_ai_gateway');
    await expect(ask('bedrock')).rejects.toMatchObject({ code: 'unknown_provider' });
  });

  it.each([
    ['an empty text', ['a', ''], 1],
    ['no string', ['a', 'b', 7], 2],
    ['no array', 'a', undefined],
  ])('refuses %s before any I/O', async (_, input, position) => {
    const { manager, repository } = setUp(gatewayRow);
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    await expect(manager.generateEmbeddings(input as string[], { tenantId: 1 })).rejects.toMatchObject({
      code: 'invalid_input',
      position,
    });
  });

  it('rethrows the caller’s abort untouched and asks nobody else', async () => {
    const { manager, gateway, local } = setUp({ ...gatewayRow, fallbackIntegrationId: 2 }, localRow);
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    await manager.initializeProviders(1);
    gateway.provider(1).onEmbed = async () => {
      controller.abort(reason);
      controller.signal.throwIfAborted();
    };
    const call = manager.generateEmbeddings(texts(20), {
      tenantId: 1,
      allowOtherSpace: true,
      signal: controller.signal,
    });
    await expect(call).rejects.toBe(reason);
    expect(local.provider(2).embeddingCalls).toHaveLength(0);
  });
});

describe('HybridProviderManager and embedding spaces', () => {
  it('never fails over into another space by itself', async () => {
    const { manager, gateway, local } = setUp({ ...gatewayRow, fallbackIntegrationId: 2 }, localRow);
    await manager.initializeProviders(1);
    gateway.provider(1).onEmbed = down();
    await expect(manager.generateEmbeddings(texts(20), { tenantId: 1 })).rejects.toMatchObject({
      code: 'providers_exhausted',
      errors: [{ code: 'unavailable' }, { code: 'embedding_space_mismatch' }],
    });
    expect(local.provider(2).embeddingCalls).toHaveLength(0);
  });

  it('embeds the whole call in the other space if the caller allows it', async () => {
    const { manager, gateway } = setUp({ ...gatewayRow, fallbackIntegrationId: 2 }, localRow);
    await manager.initializeProviders(1);
    gateway.provider(1).onEmbed = down();
    const result = await manager.generateEmbeddings(texts(20), { tenantId: 1, allowOtherSpace: true });
    expect(result).toMatchObject({ provider: 'sentence_transformers', failedOver: [{ code: 'unavailable' }] });
    expect(result.embeddings.every((vector) => vector.length === 4)).toBe(true);
  });

  it('fails over inside a space, keeping the vectors that were paid for', async () => {
    const { manager, gateway } = setUp({ ...gatewayRow, fallbackIntegrationId: 7 }, { ...gatewayRow, id: 7 });
    await manager.initializeProviders(1);
    const first = gateway.provider(1);
    first.onEmbed = async (all) => {
      const paid = await first.resultFor(all.slice(0, 12));
      const error = new ProviderError('The second batch failed.', {
        code: 'unavailable',
        isRetryable: true,
        provider: 'p',
      });
      throw new PartialEmbeddingError('8 of 20 texts failed.', {
        provider: 'p',
        isRetryable: true,
        failures: all.slice(12).map((_, index) => ({ position: 12 + index, error })),
        partialResult: { ...paid, embeddings: [...paid.embeddings, ...new Array(8).fill(undefined)] },
      });
    };
    const result = await manager.generateEmbeddings(texts(20), { tenantId: 1 });
    expect(gateway.provider(7).embeddingCalls.map((call) => call.texts.length)).toEqual([8]);
    expect(result.embeddings.map((vector) => vector[0])).toEqual(texts(20).map((text) => text.length));
    expect(result).toMatchObject({ integrationId: 7, cost: '0.0000028', usage: { inputCount: 20, inputTokens: 140 } });

    gateway.provider(7).onEmbed = down();
    await expect(manager.generateEmbeddings(texts(20), { tenantId: 1 })).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: texts(8).map((_, index) => ({ position: 12 + index, error: { code: 'unavailable' } })),
      partialResult: { usage: { inputCount: 12 } },
    });
  });

  it('serves a required space by whoever makes it, whatever auto would choose', async () => {
    const { manager } = setUp(gatewayRow, localRow);
    const ask = (count: number, requiredSpace: string) =>
      manager.generateEmbeddings(texts(count), { tenantId: 1, requiredSpace });
    expect((await ask(1, embeddingSpaceId(spaceOf('paid', 8)))).provider).toBe('wex_ai_gateway');
    expect((await ask(50, embeddingSpaceId(spaceOf('free', 4)))).provider).toBe('sentence_transformers');
    await expect(ask(1, embeddingSpaceId(spaceOf('gone', 4)))).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
      message: expect.stringContaining('integration 1 (wex_ai_gateway) makes paid'),
    });
  });

  it('a required space is required also if others are allowed', async () => {
    const { manager, gateway } = setUp({ ...gatewayRow, fallbackIntegrationId: 2 }, localRow);
    await manager.initializeProviders(1);
    gateway.provider(1).onEmbed = down();
    const requiredSpace = embeddingSpaceId(spaceOf('paid', 8));
    await expect(
      manager.generateEmbeddings(texts(20), { tenantId: 1, requiredSpace, allowOtherSpace: true }),
    ).rejects.toMatchObject({ errors: [{ code: 'unavailable' }, { code: 'embedding_space_mismatch' }] });
  });

  it('refuses vectors whose dimension turns out to be another', async () => {
    const { manager } = setUp(gatewayRow);
    const requiredSpace = embeddingSpaceId(spaceOf('paid', 1536));
    await expect(manager.generateEmbeddings(['a'], { tenantId: 1, requiredSpace })).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
    });
  });
});

describe('HybridProviderManager.generateText', () => {
  it('says who answered and what it cost', async () => {
    const { manager } = setUp(gatewayRow, localRow);
    expect(await manager.generateText('Hello', { tenantId: 1 })).toMatchObject({
      text: 'answer of wex_ai_gateway:1',
      provider: 'wex_ai_gateway',
      integrationId: 1,
      cost: '0.0000003',
      failedOver: [],
    });
  });

  it('fails over along the chain, past those that generate no text', async () => {
    const { manager, gateway } = setUp(
      { ...gatewayRow, fallbackIntegrationId: 2 },
      { ...localRow, fallbackIntegrationId: 5 },
      { ...gatewayRow, id: 5, active: true },
    );
    await manager.initializeProviders(1);
    gateway.provider(1).onText = down('authentication_failed');
    expect(await manager.generateText('Hello', { tenantId: 1 })).toMatchObject({
      integrationId: 5,
      failedOver: [{ code: 'authentication_failed' }, { code: 'unsupported_operation' }],
    });
  });

  it.each([
    ['a cycle', 1, {}],
    ['an inactive row', 5, { active: false }],
    ['another tenant’s row', 5, { tenantId: 2 }],
  ])('%s in the chain is an error that says so', async (_, fallbackIntegrationId, other) => {
    const { manager, gateway } = setUp({ ...gatewayRow, fallbackIntegrationId }, { ...gatewayRow, id: 5, ...other });
    await expect(manager.initializeProviders(1)).rejects.toMatchObject({ code: 'fallback_invalid' });
    gateway.provider(1).onText = down();
    await expect(manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({
      code: 'fallback_invalid',
      cause: { code: 'unavailable' },
    });
  });

  it('does not fail over what is wrong everywhere, nor a tenant without a text provider', async () => {
    const { manager, gateway } = setUp({ ...gatewayRow, fallbackIntegrationId: 5 }, { ...gatewayRow, id: 5 });
    await manager.initializeProviders(1);
    gateway.provider(1).onText = down('input_refused');
    await expect(manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({ code: 'input_refused' });
    await expect(setUp(localRow).manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({
      code: 'integration_not_found',
    });
    await expect(manager.generateText('', { tenantId: 1 })).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('leaves a provider alone after failures in a row', async () => {
    const { manager, gateway } = setUp(gatewayRow);
    await manager.initializeProviders(1);
    const provider = gateway.provider(1);
    provider.onText = down();
    for (let count = 0; count < 3; count++) {
      await expect(manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    }
    await expect(manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({
      code: 'circuit_open',
      isRetryable: true,
      retryAfterMs: expect.any(Number),
    });
    expect(provider.textCalls).toHaveLength(3);
  });

  it('counts only failures in a row', async () => {
    const { manager, gateway } = setUp(gatewayRow);
    await manager.initializeProviders(1);
    for (let round = 0; round < 2; round++) {
      for (let count = 0; count < 2; count++) {
        gateway.provider(1).onText = down();
        await expect(manager.generateText('Hello', { tenantId: 1 })).rejects.toMatchObject({ code: 'unavailable' });
      }
      gateway.provider(1).onText = undefined;
      expect((await manager.generateText('Hello', { tenantId: 1 })).failedOver).toEqual([]);
    }
  });
});

describe('HybridProviderManager.streamText', () => {
  async function collect<Chunk>(chunks: AsyncIterable<Chunk>): Promise<Chunk[]> {
    const all: Chunk[] = [];
    for await (const chunk of chunks) all.push(chunk);
    return all;
  }

  it('ends with the result, who made it and what it cost', async () => {
    const { manager } = setUp(gatewayRow, localRow);
    const chunks = await collect(manager.streamText('Hello', { tenantId: 1 }));
    expect(chunks.slice(0, -1)).toEqual(['answer', 'of', 'wex_ai_gateway:1'].map((text) => ({ type: 'text', text })));
    expect(chunks.at(-1)).toMatchObject({
      type: 'end',
      result: { text: 'answer of wex_ai_gateway:1', provider: 'wex_ai_gateway', cost: '0.0000003', failedOver: [] },
    });
  });

  it('fails over before the first chunk, past those that stream no text', async () => {
    const { manager, gateway } = setUp(
      { ...gatewayRow, fallbackIntegrationId: 2 },
      { ...localRow, fallbackIntegrationId: 5 },
      { ...gatewayRow, id: 5 },
    );
    await manager.initializeProviders(1);
    gateway.provider(1).onText = down();
    const chunks = await collect(manager.streamText('Hello', { tenantId: 1 }));
    expect(chunks.at(-1)).toMatchObject({
      result: { integrationId: 5, failedOver: [{ code: 'unavailable' }, { code: 'unsupported_operation' }] },
    });
  });

  it('closes a replaced provider only after its streams have ended', async () => {
    const { manager, repository, gateway } = setUp(gatewayRow);
    const stream = manager.streamText('Hello', { tenantId: 1 });
    await stream.next();
    const [old] = gateway.made;
    repository.saveIntegration(integrationOf({ ...gatewayRow, aiModel: 'other' }));
    await manager.generateText('Hello', { tenantId: 1 });
    await new Promise(setImmediate);
    expect(old!.closeCount).toBe(0);
    await stream.return(undefined);
    await new Promise(setImmediate);
    expect(old!.closeCount).toBe(1);
  });
});

describe('HybridProviderManager.health and initializeProviders', () => {
  it('reports every provider, a broken row included, without a call that costs', async () => {
    const { manager, gateway, local } = setUp(gatewayRow, localRow);
    local.create = () => {
      throw new ProviderError('The row cannot work.', { code: 'invalid_config', provider: 'sentence_transformers:2' });
    };
    expect(await manager.health(1)).toMatchObject([
      { integrationId: 1, provider: 'wex_ai_gateway', model: 'paid', status: 'healthy', detail: 'It is a fake.' },
      {
        integrationId: 2,
        provider: 'sentence_transformers',
        model: 'free',
        status: 'unhealthy',
        detail: 'The row cannot work.',
      },
    ]);
    expect(gateway.provider(1).embeddingCalls).toEqual([]);
  });

  it('initializeProviders names the integrations that are ready', async () => {
    expect(await setUp(gatewayRow, localRow).manager.initializeProviders(1)).toEqual([
      { integrationId: 1, provider: 'wex_ai_gateway', model: 'paid' },
      { integrationId: 2, provider: 'sentence_transformers', model: 'free' },
    ]);
  });
});
