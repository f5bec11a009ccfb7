import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAiProviderError, type PartialEmbeddingError, type ProviderError } from '#src/errors.js';
import type { WexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding, type GatewayFault, slowStart } from '#src/testing/index.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
const texts = ['first', 'second', 'third'];
let gateway: FakeGateway;
let providers: WexGatewayProvider[] = [];

beforeEach(async () => {
  gateway = await FakeGateway.start({ apiKey });
});
afterEach(async () => {
  for (const provider of providers) await provider.close();
  providers = [];
  await gateway.close();
});

function makeProvider(options: Partial<WexGatewayOptions> = {}): WexGatewayProvider {
  const provider = new WexGatewayProvider({ baseUrl: gateway.baseUrl, apiKey, retryDelayMs: 10, ...options });
  providers.push(provider);
  return provider;
}

async function failureOf(promise: Promise<unknown>): Promise<ProviderError> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (reason: unknown) => reason,
  );
  if (!isAiProviderError(error)) throw new Error(`Expected an AiProviderError, got ${inspect(error)}`);
  return error as ProviderError;
}

const vectors = texts.map((text) => fakeEmbedding(text, 8));
const status = (code: number, error?: Record<string, unknown>, headers?: Record<string, string>): GatewayFault => ({
  kind: 'status',
  status: code,
  ...(error ? { error } : {}),
  ...(headers ? { headers } : {}),
});

/**
 * Each fault strikes the first request only. What a retry repairs, must be repaired; what it does not repair, must
 * not be retried.
 */
describe.each<[string, GatewayFault, 'mended' | 'harmless' | { code: string; failed?: readonly number[] }]>([
  ['latency', { kind: 'latency', delayMs: 60 }, 'harmless'],
  ['embeddings in another order', { kind: 'shuffled' }, 'harmless'],
  ['floats where base64 was asked for', { kind: 'float' }, 'harmless'],
  ['no usage', { kind: 'no_usage' }, 'harmless'],
  ['a reset before the answer', { kind: 'reset' }, 'mended'],
  ['a reset in the body', { kind: 'reset_in_body' }, 'mended'],
  ['half of the JSON', { kind: 'truncated_json' }, 'mended'],
  ['no answer', { kind: 'stall' }, 'mended'],
  ['a body that stalls', { kind: 'stall_in_body' }, 'mended'],
  ['HTTP 408', status(408), 'mended'],
  ['HTTP 409', status(409), 'mended'],
  ['HTTP 429', status(429), 'mended'],
  ['HTTP 429 with Retry-After in seconds', status(429, undefined, { 'retry-after': '0.1' }), 'mended'],
  ['HTTP 429 with retry-after-ms', status(429, undefined, { 'retry-after-ms': '100' }), 'mended'],
  ['HTTP 500', status(500), 'mended'],
  ['HTTP 502 with an HTML page', { kind: 'status', status: 502, error: '<h1>Bad Gateway</h1>' }, 'mended'],
  ['HTTP 503', status(503), 'mended'],
  ['HTTP 504', status(504), 'mended'],
  ['HTTP 529', status(529), 'mended'],
  ['HTTP 429 without quota', status(429, { code: 'insufficient_quota' }), { code: 'quota_exceeded' }],
  ['HTTP 402', status(402), { code: 'quota_exceeded' }],
  ['HTTP 401', status(401), { code: 'authentication_failed' }],
  ['HTTP 403', status(403), { code: 'authentication_failed' }],
  ['HTTP 404', status(404), { code: 'model_unavailable' }],
  ['HTTP 400 about a parameter', status(400, { param: 'dimensions' }), { code: 'invalid_config' }],
  ['an echoed key', { kind: 'echoed_key', status: 401 }, { code: 'authentication_failed' }],
  ['too few embeddings', { kind: 'wrong_count' }, { code: 'invalid_response' }],
  ['one index for all', { kind: 'repeated_index' }, { code: 'invalid_response' }],
  ['neither base64 nor floats', { kind: 'unknown_encoding' }, { code: 'invalid_response' }],
  ['NaN', { kind: 'nan' }, { code: 'embedding_partially_failed', failed: [0] }],
  ['a vector of zeros', { kind: 'zero_vector' }, { code: 'embedding_partially_failed', failed: [0] }],
])('%s', (_, fault, outcome) => {
  const call = () => {
    gateway.fault = ({ number }) => (number === 1 ? fault : undefined);
    const timeoutMs = fault.kind.startsWith('stall') ? 1500 : 20_000;
    return makeProvider({ timeoutMs, deadlineMs: 20_000 }).generateEmbeddings(texts);
  };

  if (typeof outcome === 'string') {
    it(`is ${outcome}`, async () => {
      expect((await call()).embeddings).toEqual(vectors);
      expect(gateway.requests).toHaveLength(outcome === 'mended' ? 2 : 1);
    });
    return;
  }

  it(`is an error ${outcome.code}, without another request`, async () => {
    const error = await failureOf(call());
    expect(error.code).toBe(outcome.code);
    expect(gateway.requests).toHaveLength(1);
    expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(apiKey);
    if (outcome.failed === undefined) return;
    const { failures, partialResult } = error as PartialEmbeddingError<{ embeddings: unknown[] }>;
    expect(failures).toMatchObject(
      outcome.failed.map((position) => ({ position, error: { code: 'invalid_response' } })),
    );
    expect(partialResult.embeddings.slice(1)).toEqual(vectors.slice(1));
  });
});

describe('a vector of another length', () => {
  it('is refused alone if the length is known, and never mixed in', async () => {
    const provider = makeProvider();
    await provider.generateEmbeddings(['before']);
    gateway.fault = () => ({ kind: 'wrong_dimension' });
    const error = await failureOf(provider.generateEmbeddings(texts));
    expect((error as PartialEmbeddingError).failures).toMatchObject([{ position: 0 }]);
  });
});

describe('a server that starts slowly', () => {
  it('is waited for', async () => {
    gateway.fault = slowStart(3);
    expect((await makeProvider().generateEmbeddings(texts)).embeddings).toEqual(vectors);
    expect(gateway.requests).toHaveLength(4);
  });
});

describe('Retry-After', () => {
  /** Gaps are only ever longer than asked for, so they can be checked without a race. */
  const gapMs = () => (gateway.requests[1]?.receivedAt ?? 0) - (gateway.requests[0]?.receivedAt ?? 0);

  it.each([
    ['seconds', () => ({ 'retry-after': '1' }), 1000],
    ['a date', () => ({ 'retry-after': new Date(Date.now() + 2000).toUTCString() }), 1000],
    ['milliseconds', () => ({ 'retry-after-ms': '300' }), 300],
  ])('is obeyed in %s', async (_, headers, leastMs) => {
    gateway.fault = ({ number }) => (number === 1 ? status(429, undefined, headers()) : undefined);
    await makeProvider().generateEmbeddings(texts);
    expect(gapMs()).toBeGreaterThanOrEqual(leastMs - 1);
  });

  it('fails at once, with the time in the error, if it is longer than the call may take', async () => {
    gateway.fault = () => status(429, undefined, { 'retry-after': '600' });
    const error = await failureOf(makeProvider({ deadlineMs: 20_000 }).generateEmbeddings(texts));
    expect(error).toMatchObject({ code: 'rate_limited', isRetryable: true, retryAfterMs: 600_000, attempts: 1 });
    expect(gateway.requests).toHaveLength(1);
  });
});

describe('the number of requests', () => {
  const many = Array.from({ length: 40 }, (_, i) => `text ${i}`);

  it('is at most a window and max_retries if nothing ever succeeds', async () => {
    gateway.fault = () => status(500);
    await failureOf(makeProvider({ batchSize: 1, concurrency: 3, maxRetries: 2 }).generateEmbeddings(many));
    expect(gateway.requests).toHaveLength(3 + 2);
  });

  it('is at most that also if every answer comes in full, and is not a JSON', async () => {
    gateway.fault = () => ({ kind: 'truncated_json' });
    const error = await failureOf(
      makeProvider({ batchSize: 1, concurrency: 3, maxRetries: 2 }).generateEmbeddings(many),
    );
    expect(gateway.requests).toHaveLength(3 + 2);
    expect(error).toMatchObject({ code: 'invalid_response', requestId: expect.stringMatching(/^req-\d$/) });
  });

  it('is at most max_retries more for each batch if some succeed', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 7') ? status(503) : undefined);
    const error = await failureOf(makeProvider({ batchSize: 4, maxRetries: 2 }).generateEmbeddings(many));
    expect((error as PartialEmbeddingError).failures.map(({ position }) => position)).toEqual([4, 5, 6, 7]);
    expect(gateway.requests).toHaveLength(10 + 2);
  });

  it('is a few more if a text breaks the server, which is found by halving', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 7') ? status(500) : undefined);
    const error = await failureOf(makeProvider({ batchSize: 4, maxRetries: 2 }).generateEmbeddings(many));
    const { failures } = error as PartialEmbeddingError;
    expect(failures).toMatchObject([{ position: 7, error: { code: 'input_refused', status: 500 } }]);
    expect(gateway.requests.length).toBeLessThanOrEqual(10 + 2 + 2 * 2 + 1 + 2);
  });

  it('is bounded if a server that is down answers 500 to everything', async () => {
    gateway.fault = () => status(500);
    const error = await failureOf(makeProvider({ batchSize: 10, maxRetries: 2 }).generateEmbeddings(many));
    expect(error).toMatchObject({ code: 'unavailable', isRetryable: true });
    expect(gateway.requests.length).toBeLessThanOrEqual(4 + 2 + 4 * 2);
  });

  it('is not multiplied by a limit of inputs that the server names: it is kept for all batches of the row', async () => {
    gateway.fault = ({ inputs }) =>
      inputs.length > 5 ? status(400, { message: 'batch size should not be larger than 5' }) : undefined;
    const provider = makeProvider({ batchSize: 20, concurrency: 1 });
    expect((await provider.generateEmbeddings(many)).embeddings).toHaveLength(40);
    expect(gateway.requests).toHaveLength(1 + 8);
    await provider.generateEmbeddings(many);
    expect(gateway.requests).toHaveLength(1 + 8 + 8);
  });

  it('nor by one that it does not name', async () => {
    gateway.fault = ({ inputs }) => (inputs.length > 10 ? status(400) : undefined);
    const provider = makeProvider({ batchSize: 20, concurrency: 1 });
    expect((await provider.generateEmbeddings(many)).embeddings).toHaveLength(40);
    expect(gateway.requests).toHaveLength(1 + 4);
  });

  it('lets a long job through an endpoint that fails now and then', async () => {
    const triesOf = new Map<string | undefined, number>();
    gateway.fault = ({ inputs: [text] }) => {
      const tries = (triesOf.get(text) ?? 0) + 1;
      triesOf.set(text, tries);
      return many.indexOf(text ?? '') % 4 === 0 && tries <= 3 ? status(503) : undefined;
    };
    const { embeddings } = await makeProvider({ batchSize: 1 }).generateEmbeddings(many);
    expect(embeddings).toEqual(many.map((text) => fakeEmbedding(text, 8)));
  });

  it('is two for each halving, and one for each further input that is refused', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 33') ? status(400) : undefined);
    await failureOf(makeProvider().generateEmbeddings(many));
    expect(gateway.requests.length).toBeLessThanOrEqual(1 + 2 * 6);
  });
});

describe('the deadline', () => {
  it('covers the call with all its batches, and keeps what was paid before it', async () => {
    gateway.fault = ({ inputs }) => (inputs[0] === 'first' ? undefined : { kind: 'stall' });
    const error = await failureOf(makeProvider({ batchSize: 1, deadlineMs: 1500 }).generateEmbeddings(texts));
    const { failures, partialResult } = error as PartialEmbeddingError<{ embeddings: unknown[] }>;
    expect(failures).toMatchObject([1, 2].map((position) => ({ position, error: { code: 'deadline_exceeded' } })));
    expect(partialResult.embeddings[0]).toEqual(vectors[0]);
  });

  it('also ends a `fetch` that does not obey its signal', async () => {
    const fetch = () => new Promise<Response>(() => {});
    const error = await failureOf(makeProvider({ fetch, timeoutMs: 50 }).generateEmbeddings(texts));
    expect(error.code).toBe('deadline_exceeded');
  });
});

describe('an abort', () => {
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await turns(1);
  };

  it.each<[string, (typeof gateway)['fault'], Partial<WexGatewayOptions>]>([
    ['while the server says nothing', () => ({ kind: 'stall' }), {}],
    ['while the body stalls', () => ({ kind: 'stall_in_body' }), {}],
    ['while it waits to try again', () => status(500), { retryDelayMs: 60_000 }],
    ['while it waits as the server asked', () => status(429, undefined, { 'retry-after': '60' }), {}],
    ['while many batches are under way', () => ({ kind: 'stall' }), { batchSize: 1, concurrency: 3 }],
    [
      'while the rate is limited',
      ({ number }) => (number === 1 ? undefined : { kind: 'stall' }),
      { batchSize: 1, requestsPerMinute: 1 },
    ],
  ])('settles at once and leaves nothing behind: %s', async (_, fault, options) => {
    gateway.fault = fault;
    const controller = new AbortController();
    const timersBefore = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    let outcome: unknown;
    const call = makeProvider(options)
      .generateEmbeddings(texts, { signal: controller.signal })
      .catch((error: unknown) => {
        outcome = error;
      });
    await until(() => gateway.requests.length > 0);
    await turns(20);
    controller.abort('enough');
    // Not a matter of milliseconds: it settles before any other event is handled.
    await turns(1);
    expect(outcome).toBe('enough');
    await call;
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await until(() => gateway.openRequestCount === 0);
    const timersAfter = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    expect(timersAfter).toBeLessThanOrEqual(timersBefore + 1);
  });
});

describe('the window of requests', () => {
  const many = Array.from({ length: 10 }, (_, i) => `text ${i}`);

  it('slides: a batch that hangs holds up nothing but its own place, and no more than `concurrency` are under way', async () => {
    const openCounts: number[] = [];
    gateway.fault = ({ inputs }) => {
      openCounts.push(gateway.openRequestCount);
      return inputs[0] === 'text 0' ? { kind: 'stall' } : undefined;
    };
    const controller = new AbortController();
    const call = makeProvider({ batchSize: 1, concurrency: 2 }).generateEmbeddings(many, { signal: controller.signal });
    while (gateway.requests.length < many.length) await new Promise((resolve) => setImmediate(resolve));
    controller.abort('seen enough');
    await expect(call).rejects.toBe('seen enough');
    expect(Math.max(...openCounts)).toBe(2);
  });
});

describe('onBatch', () => {
  const many = Array.from({ length: 10 }, (_, i) => `text ${i}`);

  it('reports every vector once, as it comes', async () => {
    const seen = new Map<number, Float32Array>();
    const done: number[] = [];
    const { embeddings } = await makeProvider({ batchSize: 3 }).generateEmbeddings([...many, 'text 0'], {
      onBatch: ({ positions, embeddings: vectorsOfBatch, doneCount, totalCount }) => {
        positions.forEach((position, i) => {
          expect(seen.has(position)).toBe(false);
          seen.set(position, vectorsOfBatch[i]!);
        });
        done.push(doneCount);
        expect(totalCount).toBe(11);
      },
    });
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual(embeddings.map((_, position) => position));
    for (const [position, vector] of seen) expect(vector).toBe(embeddings[position]);
    expect(done.at(-1)).toBe(11);
    expect(done).toEqual([...done].sort((a, b) => a - b));
  });

  it('fails the call with its own error, and ends what is under way', async () => {
    const failure = new Error('the disk is full');
    gateway.fault = ({ inputs }) => (inputs.includes('text 9') ? { kind: 'stall' } : undefined);
    const call = makeProvider({ batchSize: 1, concurrency: 10 }).generateEmbeddings(many, {
      onBatch: () => Promise.reject(failure),
    });
    await expect(call).rejects.toBe(failure);
  });
});

describe('rate limits', () => {
  it('are shared by all providers of one base URL and key', async () => {
    const controller = new AbortController();
    const limits = { requestsPerMinute: 2 };
    await makeProvider(limits).generateEmbeddings(['a']);
    await makeProvider(limits).generateEmbeddings(['b']);
    const third = makeProvider(limits).generateEmbeddings(['c'], { signal: controller.signal });
    const other = makeProvider({ ...limits, apiKey: `${apiKey}-other` });
    await failureOf(other.generateEmbeddings(['d']));
    controller.abort('enough');
    await expect(third).rejects.toBe('enough');
    expect(gateway.requests.map(({ inputs }) => inputs[0])).toEqual(['a', 'b', 'd']);
  });
});
