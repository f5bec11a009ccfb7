import { describe, expect, it } from 'vitest';
import { shareOut } from '#src/core/calls/coalescing.js';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import type { HybridProviderManagerOptions } from '#src/core/calls/managed-options.js';
import { addCosts } from '#src/core/cost/cost.js';
import { embeddingSpaceId } from '#src/core/embedding-space.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { MemoryEmbeddingCache } from '#src/embedding-caches/memory/memory-embedding-cache.js';
import { PartialEmbeddingError, ProviderError } from '#src/errors.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { fakeKind, integrationOf, spaceOf } from '../../../helpers/fake-provider.js';

const gatewayRow = { id: 1, provider: 'wex_ai_gateway', aiModel: 'paid', costConfig: { cost_per_1k_tokens: 0.01 } };
const localRow = { id: 2, provider: 'sentence_transformers', aiModel: 'free' };

async function setUp(
  options: Partial<HybridProviderManagerOptions> = {},
  rows: Parameters<typeof integrationOf>[0][] = [gatewayRow],
) {
  const gateway = fakeKind('wex_ai_gateway', { dimension: 8, declaresDimension: false });
  const local = fakeKind('sentence_transformers', { isLocal: true, dimension: 4 });
  const repository = new MemoryIntegrationRepository({ integrations: rows.map(integrationOf) });
  const factory = new ProviderFactory({ repository, kinds: [gateway, local] });
  const manager = new HybridProviderManager({ factory, circuitBreaker: { failureThreshold: 1 }, ...options });
  await manager.initializeProviders(1);
  const embed = (texts: readonly string[], more = {}) => manager.generateEmbeddings(texts, { tenantId: 1, ...more });
  const asked = () => gateway.made.flatMap(({ embeddingCalls }) => embeddingCalls.map(({ texts }) => texts));
  return { gateway, local, repository, factory, manager, embed, asked, provider: gateway.provider(1) };
}

const down = () => Promise.reject(new ProviderError('away', { code: 'unavailable', isRetryable: true, provider: 'p' }));

describe('a manager with an embedding cache', () => {
  const withCache = () => ({ embeddingCache: { cache: new MemoryEmbeddingCache() } });

  it('asks for a text once; a hit costs nothing, is counted, and says what it saved', async () => {
    const { embed, asked, factory, repository } = await setUp(withCache());
    const first = await embed(['aaaa', 'bb']);
    const second = await embed(['bb', 'ccc', 'aaaa']);
    expect(asked()).toEqual([['aaaa', 'bb'], ['ccc']]);
    expect([first.cost, second.cost]).toEqual(['0.00014', '0.00007']);
    expect(second.embeddings.map((vector) => vector[0])).toEqual([2, 3, 4]);
    expect(embeddingSpaceId(second.embeddingSpace)).toBe(embeddingSpaceId(first.embeddingSpace));
    const third = await embed(['aaaa']);
    expect(third).toMatchObject({
      cost: '0',
      model: 'paid',
      provider: 'wex_ai_gateway',
      usage: { inputCount: 1, inputTokens: 0 },
    });
    await factory.close();
    const hits = repository.usage.filter(({ requestMetadata }) => requestMetadata.reuse === 'cache');
    expect(
      hits.map(({ inputCount, requestMetadata }) => [
        inputCount,
        requestMetadata.saved_tokens,
        requestMetadata.saved_cost_usd,
      ]),
    ).toEqual([
      [2, 2, '0.00002'],
      [1, 1, '0.00001'],
    ]);
    expect(addCosts(repository.usage.map(({ requestMetadata }) => requestMetadata.cost_usd as string))).toBe('0.00021');
  });

  it('serves hits while the provider is away', async () => {
    const { embed, provider, asked } = await setUp(withCache());
    await embed(['a']);
    provider.onEmbed = down;
    await expect(embed(['b'])).rejects.toMatchObject({ code: 'unavailable' });
    await expect(embed(['b'])).rejects.toMatchObject({ code: 'circuit_open' });
    expect((await embed(['a'])).embeddings).toHaveLength(1);
    expect(asked()).toHaveLength(2);
  });

  it('keeps what a call got before it failed', async () => {
    const { embed, provider, asked } = await setUp(withCache());
    provider.onEmbed = async (texts) => {
      const { embeddings, ...rest } = await provider.resultFor(texts);
      throw new PartialEmbeddingError('1 text failed.', {
        provider: 'p',
        failures: [{ position: 1, error: new ProviderError('No.', { code: 'input_refused', provider: 'p' }) }],
        partialResult: { ...rest, embeddings: [embeddings[0], undefined] },
      });
    };
    await expect(embed(['a', 'bad'])).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: [{ position: 1 }],
    });
    provider.onEmbed = undefined;
    await embed(['a', 'bad']);
    expect(asked()).toEqual([['a', 'bad'], ['bad']]);
  });

  it('does not mix spaces: another model, or another dimension under the same name, is no hit', async () => {
    const cache = new MemoryEmbeddingCache();
    const secret = 'a secret of the host';
    const one = await setUp({ embeddingCache: { cache, secret } });
    await one.embed(['a']);
    const other = await setUp({ embeddingCache: { cache, secret } }, [{ ...gatewayRow, aiModel: 'paid-v2' }]);
    await other.embed(['a']);
    expect(other.asked()).toEqual([['a']]);
    const same = await setUp({ embeddingCache: { cache, secret } });
    await same.embed(['a'], { requiredSpace: embeddingSpaceId(spaceOf('paid', 8)) });
    expect(same.asked()).toEqual([]);
    const shorter = embeddingSpaceId(spaceOf('paid', 4));
    await expect(same.embed(['a'], { requiredSpace: shorter })).rejects.toMatchObject({
      code: 'embedding_space_mismatch',
    });
  });

  it('reports hits as progress', async () => {
    const { embed } = await setUp(withCache());
    await embed(['a', 'b']);
    const batches: unknown[] = [];
    await embed(['b', 'a'], {
      onBatch: ({ positions, doneCount, totalCount }: never) => void batches.push([positions, doneCount, totalCount]),
    });
    expect(batches).toEqual([[[0, 1], 2, 2]]);
  });
});

describe('a manager that puts single-text calls together', () => {
  it('makes one request of them, each with its vector and its share of the cost', async () => {
    const { embed, asked, repository, factory } = await setUp({ coalesceMs: 5 });
    const texts = Array.from({ length: 30 }, (_, at) => 'x'.repeat(at + 1));
    const results = await Promise.all(texts.map((text) => embed([text], { tags: { job: 'a' } })));
    expect(asked()).toEqual([texts]);
    expect(results.map(({ embeddings }) => embeddings[0]![0])).toEqual(texts.map(({ length }) => length));
    expect(addCosts(results.map(({ cost }) => cost))).toBe('0.0021');
    expect(results.reduce((sum, { usage }) => sum + usage.inputTokens!, 0)).toBe(210);
    await factory.close();
    expect(repository.usage).toHaveLength(1);
    expect(repository.usage[0]?.requestMetadata).toMatchObject({ cost_usd: '0.0021', tags: { job: 'a' } });
  });

  it('keeps calls of other options, other tags and several texts apart', async () => {
    const { embed, asked } = await setUp({ coalesceMs: 5 });
    await Promise.all([
      embed(['a']),
      embed(['b'], { inputType: 'query' }),
      embed(['c'], { tags: { job: 'x' } }),
      embed(['d', 'e']),
    ]);
    expect(asked().toSorted()).toEqual([['a'], ['b'], ['c'], ['d', 'e']]);
  });

  it('gives each call its own abort and its own error', async () => {
    const { embed, provider, asked } = await setUp({ coalesceMs: 5 });
    provider.onEmbed = async (texts) => {
      const { embeddings, ...rest } = await provider.resultFor(texts);
      const error = new ProviderError('Refused.', { code: 'input_refused', provider: 'p' });
      throw new PartialEmbeddingError('1 text failed.', {
        provider: 'p',
        failures: [{ position: 1, error }],
        partialResult: { ...rest, embeddings: embeddings.map((vector, at) => (at === 1 ? undefined : vector)) },
      });
    };
    const controller = new AbortController();
    const reason = new Error('enough');
    const calls = [embed(['a']), embed(['bad']), embed(['ccc'], { signal: controller.signal }), embed(['dddd'])];
    controller.abort(reason);
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes).toMatchObject([
      { value: { embeddings: [expect.anything()] } },
      { reason: { code: 'input_refused' } },
      { reason },
      { value: { embeddings: [expect.anything()] } },
    ]);
    expect(asked()).toEqual([['a', 'bad', 'ccc', 'dddd']]);
  });

  it('ends the request if nobody waits any more', async () => {
    const { embed, asked } = await setUp({ coalesceMs: 5 });
    const controller = new AbortController();
    const calls = ['a', 'b'].map((text) => embed([text], { signal: controller.signal }));
    controller.abort(new Error('enough'));
    await expect(Promise.all(calls)).rejects.toThrow('enough');
    await embed(['c']);
    expect(asked()).toEqual([['c']]);
  });

  it('shares an amount out to the last digit', () => {
    expect(shareOut('1', [1, 1, 1])).toEqual(['0.333333333333333333', '0.333333333333333333', '0.333333333333333334']);
    expect(shareOut('0', [1, 2])).toEqual(['0', '0']);
    expect(shareOut('7', [1, 1], 0)).toEqual(['3', '4']);
    expect(shareOut('5', [0, 0])).toEqual(['0', '5']);
  });
});

describe('a manager with a budget', () => {
  const long = 'x'.repeat(4_000);
  const hard = { budget: { dailyUsd: 0.025, mode: 'hard' } } as const;

  it('refuses what would cost more than is left, with the time when it renews, and lets 100 calls at once not go over', async () => {
    const { embed, asked } = await setUp(hard);
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, at) => embed([long + at])));
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    // 1,001 tokens are estimated at about a cent.
    expect([asked().length, refused.length]).toEqual([2, 98]);
    expect(refused[0]?.reason).toMatchObject({
      code: 'budget_exceeded',
      isRetryable: true,
      renewsAt: expect.any(Date),
    });
  });

  it('goes to the free provider instead, and never blocks that one', async () => {
    const { embed, asked } = await setUp(hard, [gatewayRow, localRow]);
    const many = Array.from({ length: 40 }, () => long);
    for (let round = 0; round < 3; round++) {
      expect(await embed(many)).toMatchObject({ provider: 'sentence_transformers', cost: '0' });
    }
    expect(asked()).toEqual([]);
    const requiredSpace = embeddingSpaceId(spaceOf('paid', 8));
    await expect(embed(many, { requiredSpace })).rejects.toMatchObject({ code: 'budget_exceeded' });
  });

  it('takes the budget of a row before that of all tenants, and reports a row whose limit cannot be applied', async () => {
    const row = { ...gatewayRow, costConfig: { ...gatewayRow.costConfig, daily_budget_usd: 100, budget_mode: 'hard' } };
    const { embed, asked } = await setUp(hard, [row]);
    await embed(Array.from({ length: 40 }, () => long));
    expect(asked()).toHaveLength(1);
    const broken = { ...gatewayRow, costConfig: { daily_budget_usd: 'a lot' } };
    await expect(setUp({}, [broken])).rejects.toMatchObject({ code: 'invalid_config' });
  });

  it('counts what was used before, and text', async () => {
    const { manager } = await setUp({ budget: { dailyUsd: 0.03, mode: 'hard' } });
    const ask = () => manager.generateText('a prompt', { tenantId: 1, maxTokens: 2_000 });
    expect((await ask()).cost).toBe('0.00015');
    await expect(manager.generateText(long.repeat(3), { tenantId: 1 })).rejects.toMatchObject({
      code: 'budget_exceeded',
    });
    for await (const chunk of manager.streamText('a prompt', { tenantId: 1, maxTokens: 2_000 })) {
      if (chunk.type === 'end') expect(chunk.result.cost).toBe('0.00015');
    }
    expect((await ask()).choice).toEqual({ policy: 'document', reason: 'paid: text' });
  });
});

describe('the choice of a provider', () => {
  it('is the policy of the manager, with its reason', async () => {
    const { embed } = await setUp({ policy: 'lowest-cost' }, [gatewayRow, localRow]);
    const many = Array.from({ length: 50 }, (_, at) => `text ${at}`);
    expect(await embed(many)).toMatchObject({
      provider: 'sentence_transformers',
      choice: { policy: 'lowest-cost', reason: 'free' },
    });
  });

  it('may be a function that sees what is known', async () => {
    const seen: unknown[] = [];
    const policy: HybridProviderManagerOptions['policy'] = (request, candidates) => {
      seen.push(request, ...candidates);
      return candidates
        .filter(({ isLocal }) => !isLocal)
        .map(({ integrationId }) => ({ integrationId, reason: 'mine' }));
    };
    const { embed } = await setUp({ policy }, [gatewayRow, localRow]);
    await embed(['abcd']);
    expect((await embed(['abcd'], { purpose: 'bulk' })).choice).toEqual({ policy: 'policy', reason: 'mine' });
    expect(seen).toMatchObject([
      { operation: 'embedding', purpose: 'interactive', textCount: 1, inputTokens: 1, isNewTable: false },
      { integrationId: 1, isLocal: false, estimatedCost: 0.00001, circuit: 'closed', latencyMs: null, queuedTexts: 0 },
      { integrationId: 2, isLocal: true, estimatedCost: 0 },
      { purpose: 'bulk' },
      { integrationId: 1, latencyMs: expect.any(Number) },
      { integrationId: 2 },
    ]);
  });

  it.each([
    { policy: 'x' },
    { coalesceMs: -1 },
    { coalesceMs: 5_000 },
    { budget: { dailyUsd: -1 } },
    { budget: { weeklyUsd: 1 } },
  ])('refuses %j', async (options) => {
    await expect(setUp(options as never)).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
