import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PartialEmbeddingError, ProviderError } from '#src/errors.js';
import type { WexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding, type GatewayFault } from '#src/testing/index.js';

let gateway: FakeGateway;
let providers: WexGatewayProvider[] = [];

beforeEach(async () => {
  gateway = await FakeGateway.start();
});
afterEach(async () => {
  for (const provider of providers) await provider.close();
  providers = [];
  await gateway.close();
});

function makeProvider(options: Partial<WexGatewayOptions> = {}): WexGatewayProvider {
  const provider = new WexGatewayProvider({ baseUrl: gateway.baseUrl, apiKey: 'key', retryDelayMs: 5, ...options });
  providers.push(provider);
  return provider;
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `text ${i}`);
const refused = (error: Record<string, unknown> = {}): GatewayFault => ({ kind: 'status', status: 400, error });
const failureOf = async (promise: Promise<unknown>): Promise<PartialEmbeddingError> => {
  const error = await promise.catch((reason: unknown) => reason);
  if (error instanceof ProviderError) return error as PartialEmbeddingError;
  throw new Error('Expected a ProviderError.');
};
const positionsOf = ({ failures }: PartialEmbeddingError) => failures.map(({ position }) => position);
const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};
const until = async (condition: () => boolean) => {
  while (!condition()) await turns(1);
};

describe('a poisoned input', () => {
  it.each([
    ['without a reason', {}],
    ["in LiteLLM's words, whose parameter is called None", { code: '400', type: 'None', param: 'None' }],
    ["in those of Azure's content filter", { code: 'content_filter', param: 'prompt' }],
  ])('is refused alone: %s', async (_, error) => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 9') ? refused(error) : undefined);
    const failure = await failureOf(makeProvider({ batchSize: 4 }).generateEmbeddings(numbered(24)));
    expect(positionsOf(failure)).toEqual([9]);
    expect(failure.failures[0]?.error.code).toBe('input_refused');
  });

  it.each([5, 20, 30, 45])('does not take good ones with it if it is first with %i more', async (count) => {
    const poisoned = numbered(count);
    gateway.fault = ({ inputs }) => (inputs.some((input) => poisoned.includes(input)) ? refused() : undefined);
    const failure = await failureOf(makeProvider().generateEmbeddings(numbered(100)));
    expect(positionsOf(failure)).toEqual(poisoned.map((_, position) => position));
    expect(gateway.requests.length).toBeLessThan(200);
  });

  it('becomes zeros if the host asked for them', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 1') ? refused() : undefined);
    const { embeddings, usage } = await makeProvider({ failedInputs: 'zero_vectors' }).generateEmbeddings(numbered(3));
    expect(embeddings).toEqual([fakeEmbedding('text 0', 8), new Float32Array(8), fakeEmbedding('text 2', 8)]);
    expect(usage.inputCount).toBe(2);
  });
});

describe('an outage', () => {
  const options = { failedInputs: 'zero_vectors', dimensions: 8, batchSize: 2, concurrency: 1, maxRetries: 0 } as const;

  it.each([401, 503])('is never taken for inputs without vectors: HTTP %i', async (status) => {
    gateway.fault = () => ({ kind: 'status', status });
    expect((await failureOf(makeProvider(options).generateEmbeddings(numbered(4)))).status).toBe(status);
  });

  it('that begins in the middle of a call leaves what was paid for in the error', async () => {
    gateway.fault = ({ number }) => (number > 1 ? { kind: 'status', status: 503 } : undefined);
    const failure = await failureOf(makeProvider(options).generateEmbeddings(numbered(6)));
    expect(failure).toMatchObject({ code: 'embedding_partially_failed', status: 503, attempts: 2, requestId: 'req-2' });
    expect(positionsOf(failure)).toEqual([2, 3, 4, 5]);
  });
});

describe('a server whose answers are all of no use', () => {
  it.each<[string, GatewayFault]>([
    ['the wrong number of vectors', { kind: 'wrong_count' }],
    ['vectors of zeros', { kind: 'zero_vector' }],
  ])('is not paid for more than a few of them: %s', async (_, fault) => {
    gateway.fault = () => fault;
    const failure = await failureOf(makeProvider({ batchSize: 1 }).generateEmbeddings(numbered(40)));
    expect(failure).toMatchObject({ code: 'invalid_response', status: 200, attempts: 1 });
    expect(gateway.requests.length).toBeLessThanOrEqual(4 + 3);
  });

  it('may report a failure in the body of a good answer', async () => {
    gateway.fault = () => ({ kind: 'status', status: 200, error: { code: 'insufficient_quota' } });
    expect((await failureOf(makeProvider().generateEmbeddings(['a']))).code).toBe('quota_exceeded');
    expect(gateway.requests).toHaveLength(1);
  });
});

describe('a partial failure', () => {
  it('does not show its vectors to whoever takes it apart', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 1') ? refused() : undefined);
    const failure = await failureOf(makeProvider().generateEmbeddings(numbered(50)));
    expect(failure.partialResult).toMatchObject({ usage: { inputCount: 49 } });
    expect(JSON.stringify({ ...failure }).length).toBeLessThan(1000);
  });
});

describe('onBatch', () => {
  it('that is slow holds the requests up', async () => {
    let open = 0;
    let mostOpen = 0;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const call = makeProvider({ batchSize: 1, concurrency: 2 }).generateEmbeddings(numbered(30), {
      onBatch: async () => {
        mostOpen = Math.max(mostOpen, ++open);
        await released;
        open--;
      },
    });
    await until(() => open === 2 && gateway.requests.length === 4 && gateway.openRequestCount === 0);
    await turns(50);
    expect(gateway.requests).toHaveLength(4);
    release();
    await call;
    expect(mostOpen).toBe(2);
    expect(gateway.requests).toHaveLength(30);
  });

  it('that is not a function is refused before any request', async () => {
    const onBatch = 'store' as never;
    await expect(makeProvider().generateEmbeddings(['a'], { onBatch })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    expect(gateway.requests).toEqual([]);
  });
});

describe('planning the batches of a large call', () => {
  const large = Array.from({ length: 300 }, (_, i) => `${i} ${'a sentence of some length, '.repeat(500)}`);

  it('leaves the event loop to others, and ends with an abort', async () => {
    const controller = new AbortController();
    let turnCount = 0;
    const count = setInterval(() => {
      if (++turnCount === 10) controller.abort('enough');
    }, 1);
    const call = makeProvider({ batchSize: 2048 }).generateEmbeddings(large, { signal: controller.signal });
    await expect(call).rejects.toBe('enough');
    clearInterval(count);
    // All of it takes a thousand turns.
    expect(turnCount).toBeLessThan(200);
    expect(gateway.requests).toEqual([]);
  });
});

describe('rate limits', () => {
  it('of a minute that is used up are an error at once if the deadline is the nearer', async () => {
    const limits = { requestsPerMinute: 1, deadlineMs: 5000 };
    await makeProvider(limits).generateEmbeddings(['a']);
    const slash = makeProvider({ ...limits, baseUrl: `${gateway.baseUrl}/` });
    const failure = await failureOf(slash.generateEmbeddings(['b']));
    expect(failure).toMatchObject({ code: 'rate_limited', isRetryable: true, attempts: 0 });
    expect(failure.retryAfterMs).toBeGreaterThan(50_000);
    expect(failure.message).toContain('requests_per_minute');
  });
});

describe('the encoding', () => {
  it('is not given up for a server that refuses floats as well', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('bad') ? refused({ message: 'no such encoding' }) : undefined);
    const provider = makeProvider();
    await failureOf(provider.generateEmbeddings(['bad']));
    await provider.generateEmbeddings(['good']);
    expect(gateway.requests.map(({ body }) => body.encoding_format)).toEqual(['base64', 'float', 'base64']);
  });
});

describe('a deployment under its own name', () => {
  it('has the limits of the model that its space names', async () => {
    const provider = makeProvider({ embeddingModel: 'our-deployment', embeddingSpace: 'text-embedding-3-small' });
    const long = 'word '.repeat(9000);
    await expect(provider.generateEmbeddings([long])).rejects.toMatchObject({ code: 'invalid_input', position: 0 });
    await provider.generateEmbeddings([long], { truncate: true });
    expect(gateway.requests[0]?.inputs[0]?.length).toBeLessThan(long.length);
  });
});
