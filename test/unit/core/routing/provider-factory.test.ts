import { describe, expect, it } from 'vitest';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { fakeKind, integrationOf } from '../../../helpers/fake-provider.js';

function setUp(...rows: Parameters<typeof integrationOf>[0][]) {
  const gateway = fakeKind('wex_ai_gateway');
  const local = fakeKind('sentence_transformers', { isLocal: true });
  const repository = new MemoryIntegrationRepository({ integrations: rows.map(integrationOf) });
  const factory = new ProviderFactory({ repository, kinds: [gateway, local] });
  return { gateway, local, repository, factory };
}

const gatewayRow = { id: 1, provider: 'wex_ai_gateway' };
const localRow = { id: 2, provider: 'sentence_transformers' };

describe('ProviderFactory.getProvider', () => {
  it('auto prefers the gateway and falls back to the local model', async () => {
    expect((await setUp(gatewayRow, localRow).factory.getProvider(1)).id).toBe('wex_ai_gateway:1');
    expect((await setUp(localRow).factory.getProvider(1)).id).toBe('sentence_transformers:2');
    expect((await setUp({ ...gatewayRow, active: false }, localRow).factory.getProvider(1)).id).toBe(
      'sentence_transformers:2',
    );
  });

  it('makes the missing default local integration, once for many concurrent calls', async () => {
    const { factory, repository, local } = setUp();
    const providers = await Promise.all(
      Array.from({ length: 20 }, () => factory.getProvider(1, 'sentence_transformers')),
    );
    expect(new Set(providers).size).toBe(1);
    expect(local.made).toHaveLength(1);
    expect(await repository.listActiveIntegrations(1)).toMatchObject([
      {
        provider: 'sentence_transformers',
        aiModel: 'all-MiniLM-L6-v2',
        aiModelConfig: { batch_size: 32, normalize_embeddings: true },
        costConfig: { cost_per_1k_tokens: 0 },
      },
    ]);
  });

  it('does not overrule an administrator who switched the local model off', async () => {
    const { factory } = setUp({ ...localRow, active: false });
    await expect(factory.getProvider(1)).rejects.toMatchObject({
      code: 'integration_not_found',
      message: expect.stringContaining('integration 2 is inactive'),
    });
  });

  it('names what is missing', async () => {
    await expect(setUp(localRow).factory.getProvider(1, 'wex_ai_gateway')).rejects.toMatchObject({
      code: 'integration_not_found',
      message: expect.stringContaining('Tenant 1 has no active integration with the provider wex_ai_gateway'),
    });
  });

  it('lists the known kinds for an unknown one, before any I/O', async () => {
    const { factory, repository } = setUp();
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    await expect(factory.getProvider(1, 'bedrock')).rejects.toMatchObject({
      code: 'unknown_provider',
      message: 'Expected a known provider, got "bedrock". Known are auto, wex_ai_gateway, sentence_transformers.',
    });
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53, '1', null])('refuses the tenant id %j before any I/O', async (tenantId) => {
    const { factory, repository } = setUp();
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    await expect(factory.getProvider(tenantId as number)).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('leaves out rows of kinds it does not know', async () => {
    const { factory } = setUp({ id: 1, provider: 'bedrock' }, localRow);
    expect((await factory.getProvider(1)).id).toBe('sentence_transformers:2');
  });

  it('keeps tenants apart', async () => {
    const { factory } = setUp(gatewayRow, { ...gatewayRow, id: 5, tenantId: 2 });
    expect((await factory.getProvider(1)).id).toBe('wex_ai_gateway:1');
    expect((await factory.getProvider(2)).id).toBe('wex_ai_gateway:5');
  });
});

describe('ProviderFactory’s cache', () => {
  it('returns the same provider until the row changes, then a new one, and closes the old one once it is idle', async () => {
    const { factory, repository, gateway } = setUp(gatewayRow);
    const first = await factory.getProvider(1);
    expect(await factory.getProvider(1, 'wex_ai_gateway')).toBe(first);
    const [old] = gateway.made;
    let finish: (() => void) | undefined;
    old!.onEmbed = () => new Promise((resolve) => (finish = resolve));
    const underWay = first.generateEmbeddings(['a']);
    await new Promise(setImmediate);

    repository.saveIntegration(integrationOf({ ...gatewayRow, aiModel: 'other' }));
    const second = await factory.getProvider(1);
    expect(second).not.toBe(first);
    await new Promise(setImmediate);
    expect(old!.closeCount).toBe(0);
    finish!();
    expect((await underWay).embeddings).toHaveLength(1);
    await new Promise(setImmediate);
    expect(old!.closeCount).toBe(1);
    expect(gateway.made).toHaveLength(2);
  });

  it('makes one provider for concurrent first calls', async () => {
    const { factory, gateway } = setUp(gatewayRow);
    await Promise.all([factory.getProvider(1), factory.getProvider(1), factory.getProvider(1, 'wex_ai_gateway')]);
    expect(gateway.made).toHaveLength(1);
  });

  it('forgets a provider that could not be made', async () => {
    const { factory, gateway } = setUp(gatewayRow);
    const { create } = gateway;
    gateway.create = () => Promise.reject(new Error('no key'));
    await expect(factory.getProvider(1)).rejects.toThrow('no key');
    gateway.create = create;
    expect((await factory.getProvider(1)).id).toBe('wex_ai_gateway:1');
  });

  it('close() closes what it made, once, and refuses further work', async () => {
    const { factory, gateway } = setUp(gatewayRow);
    await factory.getProvider(1);
    await factory.close();
    await factory.close();
    expect(gateway.made[0]!.closeCount).toBe(1);
    await expect(factory.getProvider(1)).rejects.toMatchObject({ code: 'aborted_by_close' });
  });
});

describe('ProviderFactory and usage', () => {
  it('records each answered request with its exact cost', async () => {
    const { factory, repository } = setUp({ ...gatewayRow, aiModel: 'm', costConfig: { cost_per_1k_tokens: 0.00002 } });
    await (await factory.getProvider(1)).generateEmbeddings(['a']);
    await factory.flushUsage();
    expect(repository.usage).toMatchObject([
      {
        tenantId: 1,
        provider: 'wex_ai_gateway',
        operation: 'embedding',
        modelName: 'm',
        inputCount: 1,
        inputTokens: 7,
        cost: '0.0000',
        requestMetadata: { cost_usd: '0.00000014', integration_id: 1, usage_id: expect.any(String) },
      },
    ]);
  });

  it('keeps rows that the database refuses, and writes them later', async () => {
    const { factory, repository } = setUp(gatewayRow);
    const { recordUsage } = repository;
    repository.recordUsage = () => Promise.reject(new Error('connection lost'));
    const provider = await factory.getProvider(1);
    expect((await provider.generateEmbeddings(['a'])).embeddings).toHaveLength(1);
    await expect(factory.close()).rejects.toThrow('connection lost');
    repository.recordUsage = recordUsage;
    await factory.close();
    expect(repository.usage).toHaveLength(1);
    expect(repository.usage[0]).toMatchObject({ cost: null, requestMetadata: { cost_usd: null } });
  });
});
