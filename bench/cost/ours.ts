import {
  HybridProviderManager,
  MemoryEmbeddingCache,
  MemoryIntegrationRepository,
  type Policy,
  type PolicyName,
  ProviderError,
  ProviderFactory,
  type ProviderKind,
  PulseQdrantClient,
  VectorIndex,
} from '../../src/index.js';
import {
  isOutage,
  localDimension,
  month,
  type Outcome,
  paidDimension,
  replayMonth,
  tokensOf,
  vectorOf,
} from './month.js';

const table = { tenantId: 1, tableName: 'work_items' };

/** The gateway's primary deployment is away during the outage; a second deployment of the same model is its fallback. */
export async function runOurs(policy: PolicyName | Policy): Promise<Outcome> {
  const now = { day: 0, hour: 0 };
  const tokens = { paid: 0, free: 0 };
  const kind = (name: string, isLocal: boolean, dimension: number): ProviderKind => ({
    name,
    isLocal,
    operations: ['embedding'],
    create: ({ integration, usageRecorder }) => {
      const id = `${name}:${integration.id}`;
      const model = integration.aiModel!;
      const space = { model, revision: null, dimension, pooling: null, prompts: null, normalized: true, dtype: null };
      return {
        id,
        embeddingSpace: async () => space,
        generateEmbeddings: async (texts, options) => {
          if (integration.id === 1 && isOutage(now.day, now.hour)) {
            throw new ProviderError('The gateway is away.', { code: 'unavailable', isRetryable: true, provider: id });
          }
          const inputTokens = texts.reduce((sum, text) => sum + tokensOf(text), 0);
          tokens[isLocal ? 'free' : 'paid'] += inputTokens;
          const usage = { inputCount: texts.length, inputTokens };
          const recorder = options?.usageRecorder ?? usageRecorder;
          await recorder.record({ operation: 'embedding', model, ...usage, outputTokens: 0 });
          return { embeddings: texts.map((text) => vectorOf(text, dimension)), embeddingSpace: space, model, usage };
        },
        health: async () => ({ status: 'healthy', detail: 'A stand-in.' }),
        close: async () => {},
      };
    },
  });
  const deployment = {
    tenantId: 1,
    provider: 'wex_ai_gateway',
    aiModel: 'azure-text-embedding-3-small',
    costConfig: { cost_per_1k_tokens: month.pricePer1k },
  };
  const repository = new MemoryIntegrationRepository({
    integrations: [
      { ...deployment, id: 1, fallbackIntegrationId: 2 },
      { ...deployment, id: 2 },
      { tenantId: 1, id: 3, provider: 'sentence_transformers', aiModel: 'all-MiniLM-L6-v2' },
    ],
  });
  const kinds = [kind('wex_ai_gateway', false, paidDimension), kind('sentence_transformers', true, localDimension)];
  await using factory = new ProviderFactory({ repository, kinds });
  const cache = new MemoryEmbeddingCache({ maxBytes: 256 * 1024 * 1024 });
  const manager = new HybridProviderManager({ factory, policy, embeddingCache: { cache } });
  await using store = new PulseQdrantClient({ location: ':memory:' });
  const index = new VectorIndex({ manager, store });
  let [calls, answered] = [0, 0];
  const attempt = async (call: () => Promise<unknown>) => {
    calls++;
    answered += await call().then(
      () => 1,
      () => 0,
    );
  };
  let last: readonly { readonly id: number; readonly text: string }[] = [];
  for (const { day, items, queries } of replayMonth()) {
    Object.assign(now, { day, hour: month.ingestHour });
    await attempt(() =>
      index.upsert(
        items.map(({ id, text }) => ({ recordId: id, text })),
        table,
      ),
    );
    for (const { hour, text } of queries) {
      now.hour = hour;
      await attempt(() => index.search(text, { ...table, limit: 3 }));
    }
    last = items;
  }
  const { embeddingSpace } = (await store.describeCollection(1, 'work_items'))!;
  const dimension = embeddingSpace?.includes('MiniLM') ? localDimension : paidDimension;
  const texts = new Map(last.map(({ id, text }) => [id, text]));
  let [mixedVectors, right] = [0, 0];
  for await (const { recordId, vector } of store.listRecords(1, 'work_items', { withVectors: true })) {
    if (vector?.length !== dimension) mixedVectors++;
    else if (isSame(vector, vectorOf(texts.get(recordId as number)!, dimension))) right++;
  }
  const name = `@pulse/ai-providers, \`${typeof policy === 'string' ? policy : policy.name}\``;
  const lostRecords = texts.size - right;
  return { name, paidTokens: tokens.paid, freeTokens: tokens.free, calls, answered, mixedVectors, lostRecords };
}

export function isSame(left: ArrayLike<number>, right: ArrayLike<number>): boolean {
  return left.length === right.length && Array.from(left).every((value, at) => Math.abs(value - right[at]!) < 1e-5);
}
