import { describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { ProviderFactory, type ProviderFactoryOptions } from '#src/core/routing/provider-factory.js';
import { type AiProviderErrorCode, ProviderError } from '#src/errors.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { fakeKind, integrationOf } from '../../../helpers/fake-provider.js';

function setUp(
  rows: Parameters<typeof integrationOf>[0][],
  options: Partial<ProviderFactoryOptions> & { cooldownMs?: number } = {},
) {
  const { cooldownMs = 60_000, ...factoryOptions } = options;
  const gateway = fakeKind('wex_ai_gateway', { dimension: 8 });
  const local = fakeKind('sentence_transformers', { isLocal: true, dimension: 4 });
  const repository = new MemoryIntegrationRepository({ integrations: rows.map(integrationOf) });
  const logged: string[] = [];
  const log = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const logger = { debug: () => {}, info: log, warn: log, error: log };
  const factory = new ProviderFactory({ repository, kinds: [gateway, local], logger, ...factoryOptions });
  const manager = new HybridProviderManager({ factory, logger, circuitBreaker: { failureThreshold: 3, cooldownMs } });
  return { gateway, local, repository, factory, manager, logged };
}

const row = (id: number, more: object = {}) => ({ id, provider: 'wex_ai_gateway', aiModel: 'paid', ...more });
const priced = { costConfig: { cost_per_1k_tokens: 1 } };
const fail =
  (code: AiProviderErrorCode, more: object = {}) =>
  () =>
    Promise.reject(new ProviderError(`It is ${code}.`, { code, isRetryable: true, provider: 'p', ...more }));
const text = { tenantId: 1 };

describe('what a caller says of a call', () => {
  it('reaches the rows: tags, purpose, operation, and one id for all rows of the call', async () => {
    const { manager, factory, repository, gateway } = setUp([
      row(1, { fallbackIntegrationId: 2, ...priced }),
      row(2, priced),
    ]);
    await manager.initializeProviders(1);
    const first = gateway.provider(1);
    first.onText = async () => {
      await first.resultFor(['paid and useless']);
      throw new ProviderError('Useless.', { code: 'invalid_response', provider: 'p' });
    };
    const result = await manager.generateText('Hello', {
      ...text,
      operation: 'analysis',
      purpose: 'bulk',
      tags: { job: 'nightly-42', attempt: 3, dry: false },
    });
    await factory.flushUsage();
    const [useless, served] = repository.usage;
    expect(served).toMatchObject({
      operation: 'analysis',
      requestMetadata: { purpose: 'bulk', tags: { job: 'nightly-42', attempt: 3, dry: false }, cost_source: 'row' },
    });
    expect(useless?.requestMetadata.call_id).toBe(served?.requestMetadata.call_id);
    expect(result.cost).toBe('0.022');
    expect(gateway.provider(2).textCalls).toHaveLength(1);
  });

  it.each([
    [{ purpose: 'urgent' }, 'purpose'],
    [{ tags: ['a'] }, 'tags'],
    [{ tags: { 'a b': 1 } }, 'tags'],
    [{ tags: { a: 'x'.repeat(257) } }, 'tags.a'],
    [{ tags: { a: {} } }, 'tags.a'],
    [{ tags: Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`t${at}`, at])) }, '16'],
    [{ timeoutMs: 0 }, 'timeoutMs'],
    [{ timeoutMs: '5' }, 'timeoutMs'],
    [{ operation: 'embedding' }, 'operation'],
    [{ temprature: 0.5 }, 'temperature'],
  ])('is refused before any I/O if it is %j', async (options, name) => {
    const { manager, repository } = setUp([row(1)]);
    repository.listActiveIntegrations = () => Promise.reject(new Error('was asked'));
    const call = manager.generateText('Hello', { ...text, ...options } as never);
    await expect(call).rejects.toMatchObject({ code: 'invalid_input', message: expect.stringContaining(name) });
  });

  it('timeoutMs ends the call, failover included, whatever the provider does', async () => {
    const { manager, gateway } = setUp([row(1, { fallbackIntegrationId: 2 }), row(2)]);
    await manager.initializeProviders(1);
    gateway.provider(1).onText = () => new Promise(() => {});
    await expect(manager.generateText('Hello', { ...text, timeoutMs: 20 })).rejects.toMatchObject({
      code: 'deadline_exceeded',
      isRetryable: true,
    });
    expect(gateway.provider(2).textCalls).toEqual([]);
  });
});

describe('what a provider gets', () => {
  it('hasFallback is true only if an active row that is not left alone can serve', async () => {
    const seen: unknown[] = [];
    const watch = ({ gateway }: ReturnType<typeof setUp>) => {
      const provider = gateway.provider(1);
      const { generateEmbeddings } = provider;
      provider.generateEmbeddings = (texts, options) => {
        seen.push(options?.hasFallback);
        return generateEmbeddings.call(provider, texts, options);
      };
    };
    const ask = async (others: Parameters<typeof integrationOf>[0][], options: object = {}) => {
      const made = setUp([row(1, { fallbackIntegrationId: others[0]?.id ?? null }), ...others]);
      await made.manager.generateText('make the provider', text);
      watch(made);
      await made.manager.generateEmbeddings(Array(20).fill('a'), {
        ...text,
        preferredProvider: 'wex_ai_gateway',
        ...options,
      });
    };
    await ask([]);
    await ask([row(2)]);
    await ask([row(2, { active: false })]);
    const local = { id: 2, provider: 'sentence_transformers', aiModel: 'free' };
    await ask([local]);
    await ask([local], { allowOtherSpace: true });
    await ask([{ ...local, fallbackIntegrationId: 3 }, row(3)]);
    expect(seen).toEqual([false, true, false, false, true, true]);
  });

  it('a fallback uses its own model, unless the caller forbids it', async () => {
    const models: unknown[] = [];
    for (const allowOtherModel of [undefined, false]) {
      const { manager, gateway } = setUp([row(1, { fallbackIntegrationId: 2 }), row(2)]);
      await manager.initializeProviders(1);
      gateway.provider(1).onText = fail('model_unavailable');
      const second = gateway.provider(2);
      second.generateText = async (_prompt, options?: { model?: string }) => {
        models.push(options?.model);
        return { text: 'x', model: 'm', finishReason: 'stop', usage: { inputTokens: 1, outputTokens: 1 } };
      };
      await manager.generateText('Hello', { ...text, model: 'only-one-has-it', allowOtherModel });
    }
    expect(models).toEqual([undefined, 'only-one-has-it']);
  });
});

describe('the chain of fallbacks', () => {
  it('skips an inactive link, reports it, and goes on behind it', async () => {
    const { manager, gateway, logged } = setUp([
      row(1, { fallbackIntegrationId: 2 }),
      row(2, { active: false, fallbackIntegrationId: 3 }),
      row(3),
    ]);
    await manager.generateText('make the provider', text);
    gateway.provider(1).onText = fail('unavailable');
    expect((await manager.generateText('Hello', text)).integrationId).toBe(3);
    expect(logged.some((line) => line.includes('A link of a fallback chain was skipped'))).toBe(true);
  });

  it('refused content goes to the fallback only if the row says so', async () => {
    for (const [fallback_on_refusal, expected] of [
      [true, 2],
      [undefined, 'input_refused'],
    ] as const) {
      const { manager, gateway } = setUp([
        row(1, { fallbackIntegrationId: 2, aiModelConfig: { fallback_on_refusal } }),
        row(2),
      ]);
      await manager.initializeProviders(1);
      gateway.provider(1).onText = fail('input_refused', { isRetryable: false });
      const outcome = await manager.generateText('Hello', text).catch((error) => error);
      expect(outcome.integrationId ?? outcome.code).toBe(expected);
    }
  });
});

describe('the circuit', () => {
  it('opens for as long as a server asks, and health() shows it with the failure', async () => {
    const { manager, gateway } = setUp([row(1, { fallbackIntegrationId: 2 }), row(2)]);
    await manager.initializeProviders(1);
    gateway.provider(1).onText = fail('rate_limited', { retryAfterMs: 30_000, attempts: 1 });
    for (let call = 0; call < 5; call++) expect((await manager.generateText('Hello', text)).integrationId).toBe(2);
    expect(gateway.provider(1).textCalls).toHaveLength(1);
    expect(await manager.health(1)).toMatchObject([
      { integrationId: 1, circuit: 'open', lastError: { code: 'rate_limited' } },
      { integrationId: 2, circuit: 'closed', lastError: null },
    ]);
  });

  it('counts streams that break off, and a stream that was left is not a failure', async () => {
    const { manager, gateway } = setUp([row(1)]);
    await manager.initializeProviders(1);
    let breaksOff = false;
    gateway.provider(1).streamText = async function* () {
      yield { type: 'text', text: 'half' };
      if (breaksOff)
        throw new ProviderError('It broke off.', { code: 'unavailable', isRetryable: true, provider: 'p' });
    };
    for (let call = 0; call < 5; call++) for await (const _ of manager.streamText('Hello', text)) break;
    breaksOff = true;
    const read = async () => {
      for await (const _ of manager.streamText('Hello', text));
    };
    for (let call = 0; call < 3; call++) await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(read()).rejects.toMatchObject({ code: 'circuit_open' });
  });
});

describe('rows', () => {
  it('one that cannot be read serves nobody and keeps nobody from being served', async () => {
    const { manager, repository, logged } = setUp([row(1), row(2), { id: 3, provider: 'sentence_transformers' }]);
    repository.saveIntegration(integrationOf(row(1, { costConfig: { cost_per_1k_tokens: -1 } })));
    for (let call = 0; call < 3; call++) {
      expect((await manager.generateText('Hello', text)).integrationId).toBe(2);
      expect((await manager.generateEmbeddings(Array(20).fill('a'), text)).integrationId).toBe(2);
    }
    expect(await manager.health(1)).toMatchObject([
      { status: 'unhealthy' },
      { status: 'healthy' },
      { status: 'healthy' },
    ]);
    expect(logged.filter((line) => line.includes('cannot be used'))).toHaveLength(1);
    await expect(manager.initializeProviders(1)).rejects.toMatchObject({ code: 'invalid_config' });
  });

  it('unknown keys and prices in another unit are in a warning once, in health() and in initializeProviders', async () => {
    const costConfig = { cost_per_1m_tokens: 2.5, max_monthly_cost: 5, cost_per_1k_tokens: 150 };
    const { manager, logged } = setUp([row(1, { costConfig })]);
    for (let call = 0; call < 3; call++) await manager.generateText('Hello', text);
    const warnings = [
      expect.stringContaining('`cost_config.cost_per_1m_tokens` has no meaning'),
      expect.stringContaining('max_monthly_cost'),
      expect.stringContaining('over 100 US dollars'),
    ];
    expect(await manager.initializeProviders(1)).toMatchObject([{ warnings }]);
    expect(await manager.health(1)).toMatchObject([{ warnings }]);
    expect(logged.filter((line) => line.includes('cost_per_1m_tokens'))).toHaveLength(1);
  });

  it('providers of deactivated and of idle rows are closed', async () => {
    const { manager, repository, gateway, factory } = setUp([row(1), row(2)], { idleProviderMs: 40 });
    await manager.generateText('Hello', text);
    const [first] = gateway.made;
    repository.saveIntegration(integrationOf(row(1, { active: false })));
    await manager.generateText('Hello', text);
    await expect.poll(() => first!.closeCount).toBe(1);
    const second = gateway.provider(2);
    await expect.poll(() => second.closeCount).toBe(1);
    expect((await manager.generateText('Hello', text)).integrationId).toBe(2);
    await factory.close();
  });

  it('a model that only one row has is asked for there, and a chat row is asked for embeddings last', async () => {
    const local = { id: 2, provider: 'sentence_transformers', aiModel: 'free' };
    const { manager, local: localKind, gateway } = setUp([row(1, { aiModel: 'chat' }), local]);
    localKind.hasModel = ({ aiModel }, model) => aiModel === model;
    gateway.isMadeFor = ({ aiModel }, operation) => aiModel !== 'chat' || operation === 'text';
    const embed = (count: number, model?: string) =>
      manager.generateEmbeddings(Array(count).fill('a'), { ...text, model });
    expect((await embed(50)).integrationId).toBe(2);
    expect((await embed(1, 'large')).integrationId).toBe(1);
  });
});

describe('createDefaultLocal', () => {
  it.each([
    ['known', true, 'sentence_transformers'],
    ['known', false, 'integration_not_found'],
    ['always', false, 'sentence_transformers'],
    ['never', true, 'integration_not_found'],
  ] as const)('%s, and the tenant exists: %s: %s', async (createDefaultLocal, exists, expected) => {
    const { manager, repository } = setUp([], { createDefaultLocal });
    Object.assign(repository, { tenantExists: async () => exists });
    const outcome = await manager.generateEmbeddings(['a'], { tenantId: 9 }).catch((error) => error);
    expect(outcome.provider ?? outcome.code).toBe(expected);
    await expect(manager.generateText('Hello', { tenantId: 10 })).rejects.toMatchObject({
      code: 'integration_not_found',
    });
    expect(await repository.listActiveIntegrations(10)).toEqual([]);
  });
});
