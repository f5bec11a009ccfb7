import Big from 'big.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import type { ManagedTextResult } from '#src/core/calls/managed-options.js';
import { addCosts } from '#src/core/cost/cost.js';
import type { TextChunk } from '#src/core/ports/text-provider.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { isAiProviderError } from '#src/errors.js';
import { openAiKind } from '#src/providers/wex-gateway/kind.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';

/** What one gateway answers to its next requests; the last answer is repeated. */
type Answer = 'good' | 'short' | 'empty' | 'refused' | 'limited' | 'down' | 'denied' | 'unreachable' | 'no money';

const answers = fc.constantFrom<Answer>(
  'good',
  'good',
  'short',
  'empty',
  'refused',
  'limited',
  'down',
  'denied',
  'unreachable',
  'no money',
);
const statuses: Partial<Record<Answer, number>> = {
  refused: 400,
  limited: 429,
  down: 503,
  denied: 401,
  'no money': 402,
};

interface Script {
  readonly answers: readonly Answer[];
  /** Dollars for a million tokens of input and of output. */
  readonly inputPrice: number;
  readonly outputPrice: number;
}

const scripts = fc.array(
  fc.record({
    answers: fc.array(answers, { minLength: 1, maxLength: 4 }),
    inputPrice: fc.integer({ min: 0, max: 30_000 }),
    outputPrice: fc.integer({ min: 0, max: 90_000 }),
  }),
  { minLength: 1, maxLength: 4 },
);
const works = fc.record({
  kind: fc.constantFrom('embeddings' as const, 'text' as const, 'stream' as const),
  textCount: fc.integer({ min: 1, max: 6 }),
  batchSize: fc.integer({ min: 1, max: 3 }),
});

/** Gateways behind one `fetch`, by their host. Each writes down what it charges, which the rows are compared with. */
class Gateways {
  bill = new Big(0);
  readonly #requestCounts = new Map<number, number>();

  constructor(readonly scripts: readonly Script[]) {}

  readonly fetch = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const at = Number(/gateway-(\d+)/.exec(String(url instanceof Request ? url.url : url))?.[1]);
    const { answers: told } = this.scripts[at]!;
    const count = this.#requestCounts.get(at) ?? 0;
    this.#requestCounts.set(at, count + 1);
    const answer = told[Math.min(count, told.length - 1)]!;
    if (answer === 'unreachable')
      throw Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNREFUSED' } });
    const status = statuses[answer];
    if (status !== undefined) return json({ error: { message: 'no', code: null } }, status);
    const body = JSON.parse(String(init?.body)) as { input?: string[]; stream?: boolean };
    const inputTokens = 3 + count * 7 + (body.input?.length ?? 0);
    return body.input === undefined
      ? this.#text(at, answer, inputTokens, body.stream === true)
      : this.#embeddings(at, answer, inputTokens, body.input.length);
  };

  #charge(at: number, inputTokens: number, outputTokens: number): void {
    const { inputPrice, outputPrice } = this.scripts[at]!;
    const cost = new Big(inputPrice)
      .times(inputTokens)
      .plus(new Big(outputPrice).times(outputTokens))
      .times('0.000001');
    this.bill = this.bill.plus(cost);
  }

  #embeddings(at: number, answer: Answer, inputTokens: number, length: number): Response {
    this.#charge(at, inputTokens, 0);
    const data = Array.from({ length: answer === 'good' ? length : length - 1 }, (_, index) => ({
      index,
      embedding: [1, 0.5, 0.25],
    }));
    return json({ data, usage: { prompt_tokens: inputTokens, total_tokens: inputTokens } });
  }

  #text(at: number, answer: Answer, inputTokens: number, isStream: boolean): Response {
    const outputTokens = 5;
    this.#charge(at, inputTokens, outputTokens);
    const usage = {
      prompt_tokens: inputTokens,
      completion_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
    };
    if (!isStream) {
      const message = { role: 'assistant', content: 'an answer' };
      return json({ choices: answer === 'good' ? [{ index: 0, message, finish_reason: 'stop' }] : [], usage });
    }
    const chunk = (delta: object, finish_reason: string | null) => ({ choices: [{ index: 0, delta, finish_reason }] });
    const events = [
      chunk({ role: 'assistant', content: 'an ' }, null),
      chunk({ content: 'answer' }, null),
      chunk({}, answer === 'good' ? 'stop' : null),
      { choices: [], usage },
    ];
    const text = `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`;
    return new Response(text, { headers: { 'content-type': 'text/event-stream' } });
  }
}

function json(body: object, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
}

function setUp(gateways: Gateways, batchSize: number) {
  const repository = new MemoryIntegrationRepository({
    integrations: gateways.scripts.map(({ inputPrice, outputPrice }, at) => ({
      id: at + 1,
      tenantId: 1,
      provider: 'openai',
      baseUrl: `http://gateway-${at}.test/v1`,
      aiModelConfig: {
        embedding_model: 'm',
        text_model: 'm',
        max_retries: 1,
        retry_delay: 0.0001,
        batch_size: batchSize,
        encoding_format: 'float',
      },
      costConfig: {
        models: {
          m: {
            cost_per_1k_input_tokens: new Big(inputPrice).times('0.001').toFixed(),
            cost_per_1k_output_tokens: new Big(outputPrice).times('0.001').toFixed(),
          },
        },
      },
      fallbackIntegrationId: at + 1 < gateways.scripts.length ? at + 2 : null,
    })),
  });
  const credentialCipher = { decrypt: (token: string) => token };
  const factory = new ProviderFactory({ repository, kinds: [openAiKind({ credentialCipher, fetch: gateways.fetch })] });
  return { repository, factory, manager: new HybridProviderManager({ factory }) };
}

/** @returns The cost in the result, or in the error that carries vectors; undefined if there is neither. */
async function ask(manager: HybridProviderManager, kind: 'embeddings' | 'text' | 'stream', textCount: number) {
  try {
    if (kind === 'text') return (await manager.generateText('Hello', { tenantId: 1 })).cost;
    if (kind === 'embeddings') {
      const texts = Array.from({ length: textCount }, (_, at) => `text ${at}`);
      return (await manager.generateEmbeddings(texts, { tenantId: 1 })).cost;
    }
    let end: TextChunk<ManagedTextResult> | undefined;
    for await (const chunk of manager.streamText('Hello', { tenantId: 1 })) end = chunk;
    return end?.type === 'end' ? end.result.cost : undefined;
  } catch (error) {
    if (!isAiProviderError(error)) throw error;
    if (!isAiProviderError(error, 'embedding_partially_failed')) return undefined;
    return (error.partialResult as { readonly cost: string | null }).cost;
  }
}

// 10,000 take minutes: `SEQUENCES=10000 npx vitest run --project integration manager`.
const sequences = Number(process.env.SEQUENCES ?? 1000);

describe('the account of a call', () => {
  it(`is what the gateways charged, over ${sequences} random failures, in the rows and in the result`, async () => {
    await fc.assert(
      fc.asyncProperty(scripts, works, async (told, { kind, textCount, batchSize }) => {
        const gateways = new Gateways(told);
        const { repository, factory, manager } = setUp(gateways, batchSize);
        const cost = await ask(manager, kind, textCount);
        await factory.close();
        const rows = repository.usage;
        expect(addCosts(rows.map(({ requestMetadata }) => requestMetadata.cost_usd as string))).toBe(
          gateways.bill.toFixed(),
        );
        if (cost !== undefined) expect(cost).toBe(gateways.bill.toFixed());
        // The column, which is what the platform sums, is short by less than its last digit.
        const column = rows.reduce((sum, row) => sum.plus(row.cost ?? 0), new Big(0));
        expect(gateways.bill.minus(column).lt('0.0001')).toBe(true);
        expect(gateways.bill.minus(column).gte(0)).toBe(true);
      }),
      { numRuns: sequences },
    );
  });
});
