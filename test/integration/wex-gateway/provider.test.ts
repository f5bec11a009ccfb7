import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import { isAiProviderError, PartialEmbeddingError, type ProviderError } from '#src/errors.js';
import type { WexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding, slowStart } from '#src/testing/index.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
const closers: (() => Promise<void>)[] = [];
let gateway: FakeGateway;
let events: UsageEvent[];

beforeEach(async () => {
  gateway = await FakeGateway.start({ apiKey });
  closers.push(() => gateway.close());
  events = [];
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function provider(options: Partial<WexGatewayOptions> = {}): WexGatewayProvider {
  const made = new WexGatewayProvider({
    baseUrl: gateway.baseUrl,
    apiKey,
    usageRecorder: { record: async (event) => void events.push(event) },
    ...options,
  });
  closers.push(() => made.close());
  return made;
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `text ${i}`);
const vectorOf = (text: string) => fakeEmbedding(text, gateway.dimension);
const failureOf = async (promise: Promise<unknown>): Promise<ProviderError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isAiProviderError(error)) throw new Error(`Expected an AiProviderError, got ${inspect(error)}`);
  return error as ProviderError;
};

describe('generateEmbeddings', () => {
  it('sends batches of 100 and returns each text its vector', async () => {
    const texts = numbered(250);
    const result = await provider().generateEmbeddings(texts);
    expect(result.embeddings).toEqual(texts.map(vectorOf));
    expect(result.embeddingSpace).toMatchObject({ model: 'azure-text-embedding-3-small', dimension: 8 });
    expect(gateway.requests.map(({ inputs }) => inputs.length).sort()).toEqual([100, 100, 50]);
    expect(result.usage).toEqual({ inputCount: 250, inputTokens: texts.join('').length });
  });

  it('sends only what the API knows', async () => {
    await provider({ dimensions: 4, temperature: 1 }).generateEmbeddings(['a']);
    expect(gateway.requests[0]?.body).toEqual({
      model: 'azure-text-embedding-3-small',
      input: ['a'],
      encoding_format: 'base64',
      dimensions: 4,
    });
  });

  it('sends identical texts once, and gives every position a vector of its own', async () => {
    const { embeddings } = await provider().generateEmbeddings(['a', 'b', 'a', 'a']);
    expect(gateway.requests[0]?.inputs).toEqual(['a', 'b']);
    expect(embeddings).toEqual(['a', 'b', 'a', 'a'].map(vectorOf));
    expect(new Set(embeddings.map(({ buffer }) => buffer)).size).toBe(4);
  });

  it('refuses an empty name of a model before any request', async () => {
    expect(await failureOf(provider().generateEmbeddings(['a'], { model: '' }))).toMatchObject({
      code: 'invalid_input',
    });
    expect(await failureOf(provider().generateText('a', { model: '' }))).toMatchObject({ code: 'invalid_input' });
    expect(gateway.requests).toEqual([]);
  });

  it('makes no request for no texts', async () => {
    expect((await provider().generateEmbeddings([])).embeddings).toEqual([]);
    expect(gateway.requests).toEqual([]);
  });

  it.each([
    [['a', ''], 1],
    [['a', 'b', 7 as unknown as string], 2],
    [[undefined as unknown as string], 0],
  ])('refuses %j before any request, naming position %i', async (texts, position) => {
    const error = await failureOf(provider().generateEmbeddings(texts));
    expect(error).toMatchObject({ code: 'invalid_input', position });
    expect(gateway.requests).toEqual([]);
  });

  it('records each answered request, also of a call that fails', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 3') ? { kind: 'status', status: 400 } : undefined);
    await failureOf(provider({ batchSize: 2 }).generateEmbeddings(numbered(4)));
    const recorded = events.reduce((sum, { inputCount }) => sum + inputCount, 0);
    expect(recorded).toBe(3);
    expect(events[0]).toMatchObject({
      operation: 'embedding',
      model: 'azure-text-embedding-3-small',
      inputTokens: 12,
      outputTokens: 0,
      metadata: { requestId: 'req-1', attempt: 1 },
    });
  });

  it('keeps what was paid if a batch fails, and says which inputs failed', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 2') ? { kind: 'status', status: 503 } : undefined);
    const error = await failureOf(provider({ batchSize: 2, maxRetries: 0 }).generateEmbeddings(numbered(6)));
    expect(error).toBeInstanceOf(PartialEmbeddingError);
    const { failures, partialResult, isRetryable } = error as PartialEmbeddingError<{ embeddings: unknown[] }>;
    expect(failures.map(({ position }) => position)).toEqual([2, 3]);
    expect(failures[0]?.error).toMatchObject({ code: 'unavailable', status: 503 });
    expect(isRetryable).toBe(true);
    expect(partialResult.embeddings).toEqual(
      numbered(6).map((text, i) => (i === 2 || i === 3 ? undefined : vectorOf(text))),
    );
  });

  it('halves a refused batch until the refused input is alone', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 57') ? { kind: 'status', status: 400 } : undefined);
    const error = await failureOf(provider().generateEmbeddings(numbered(100)));
    expect((error as PartialEmbeddingError).failures).toMatchObject([
      { position: 57, error: { code: 'input_refused', status: 400 } },
    ]);
    expect(gateway.requests.length).toBeLessThanOrEqual(1 + 2 * 7);
  });

  it('does not cut up a request that no input would make acceptable', async () => {
    gateway.fault = () => ({ kind: 'status', status: 400 });
    const error = await failureOf(provider().generateEmbeddings(numbered(100)));
    // Nobody knows whose fault it is, and another provider may well take the texts.
    expect(error).toMatchObject({ code: 'invalid_config', isRetryable: false });
    expect(gateway.requests.length).toBeLessThanOrEqual(8 + 2 * 7 + 7);
  });

  it('fills in zeros only if it was asked to', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('text 1') ? { kind: 'status', status: 400 } : undefined);
    const result = await provider({ failedInputs: 'zero_vectors' }).generateEmbeddings(numbered(3));
    expect(result.embeddings).toEqual([vectorOf('text 0'), new Float32Array(8), vectorOf('text 2')]);
    expect(result.usage.inputCount).toBe(2);
  });

  it('declares the embedding space under its canonical name, and its dimension once it is known', async () => {
    const gatewayProvider = provider({ embeddingSpace: 'text-embedding-3-small' });
    expect(await gatewayProvider.embeddingSpace()).toMatchObject({ model: 'text-embedding-3-small', dimension: null });
    await gatewayProvider.generateEmbeddings(['a']);
    expect(await gatewayProvider.embeddingSpace()).toMatchObject({ model: 'text-embedding-3-small', dimension: 8 });
    expect(await gatewayProvider.embeddingSpace({ model: 'other' })).toMatchObject({ model: 'other', dimension: null });
  });
});

describe('encodings', () => {
  it('takes floats if base64 was asked for, and asks for floats from then on', async () => {
    gateway.fault = () => ({ kind: 'float' });
    const { embeddings } = await provider().generateEmbeddings(['a']);
    await provider().generateEmbeddings(['b']);
    expect(embeddings).toEqual([vectorOf('a')]);
    expect(gateway.requests.map(({ body }) => body.encoding_format)).toEqual(['base64', 'float']);
  });

  it('goes on asking for base64 if only another provider asks for floats', async () => {
    await provider({ encodingFormat: 'float' }).generateEmbeddings(['a']);
    await provider().generateEmbeddings(['b']);
    expect(gateway.requests.map(({ body }) => body.encoding_format)).toEqual(['float', 'base64']);
  });

  it('asks for floats if base64 is refused', async () => {
    gateway.fault = ({ body }) =>
      body.encoding_format === 'base64'
        ? { kind: 'status', status: 400, error: { message: 'unsupported encoding', param: 'encoding_format' } }
        : undefined;
    const { embeddings } = await provider({ maxRetries: 0 }).generateEmbeddings(['a', 'b']);
    expect(embeddings).toEqual([vectorOf('a'), vectorOf('b')]);
    expect(gateway.requests).toHaveLength(2);
  });
});

describe('retries', () => {
  it('sends a request again after a failure that may pass', async () => {
    gateway.fault = slowStart(2);
    const { embeddings } = await provider().generateEmbeddings(['a']);
    expect(embeddings).toEqual([vectorOf('a')]);
    expect(gateway.requests).toHaveLength(3);
  });

  it.each([408, 409, 429, 500, 502, 503])('retries HTTP %i, max_retries times', async (status) => {
    gateway.fault = () => ({ kind: 'status', status });
    const error = await failureOf(provider({ maxRetries: 1 }).generateEmbeddings(['a']));
    expect(error).toMatchObject({ status, attempts: 2, isRetryable: true, requestId: 'req-2' });
    expect(gateway.requests).toHaveLength(2);
  });

  it.each([400, 401, 403, 404, 422])('never retries HTTP %i', async (status) => {
    gateway.fault = () => ({ kind: 'status', status });
    const error = await failureOf(provider().generateEmbeddings(['a']));
    expect(error).toMatchObject({ status, attempts: 1, isRetryable: false });
    expect(gateway.requests).toHaveLength(1);
  });

  it('gives an endpoint that is down one window of requests and max_retries more, whatever the number of batches', async () => {
    gateway.fault = () => ({ kind: 'status', status: 500 });
    await failureOf(provider({ batchSize: 1, maxRetries: 2 }).generateEmbeddings(numbered(50)));
    expect(gateway.requests).toHaveLength(4 + 2);
  });

  it('stops at once if the key is refused', async () => {
    const error = await failureOf(
      provider({ apiKey: 'sk-wrong', batchSize: 1, concurrency: 1 }).generateEmbeddings(numbered(20)),
    );
    expect(error).toMatchObject({ code: 'authentication_failed', status: 401 });
    expect(gateway.requests).toHaveLength(1);
  });
});

describe('time', () => {
  it('cuts a body that stalls', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const error = await failureOf(provider({ timeoutMs: 150 }).generateEmbeddings(['a']));
    expect(error).toMatchObject({ code: 'deadline_exceeded', isRetryable: true });
    expect(error.message).toContain(new URL(gateway.baseUrl).host);
  });

  it('tries again after a stalled body if the deadline allows it', async () => {
    gateway.fault = ({ number }) => (number === 1 ? { kind: 'stall_in_body' } : undefined);
    const { embeddings } = await provider({ timeoutMs: 1000, deadlineMs: 20_000 }).generateEmbeddings(['a']);
    expect(embeddings).toEqual([vectorOf('a')]);
  });

  it("rethrows the caller's own reason, whatever it is", async () => {
    gateway.fault = () => ({ kind: 'stall' });
    for (const reason of [new Error('mine'), 'a string', { any: 'thing' }]) {
      const controller = new AbortController();
      const call = provider().generateEmbeddings(['a'], { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 20);
      expect(await call.catch((error: unknown) => error)).toBe(reason);
    }
  });

  it('makes no request with a signal that is aborted already', async () => {
    await expect(provider().generateText('a', { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    expect(gateway.requests).toEqual([]);
  });

  it('names the host of a gateway that cannot be reached', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const error = await failureOf(
      provider({ baseUrl: `http://127.0.0.1:${port}/v1`, maxRetries: 1 }).generateEmbeddings(['a']),
    );
    expect(error).toMatchObject({ code: 'unavailable', isRetryable: true, attempts: 2 });
    expect(error.message).toContain(`127.0.0.1:${port} (ECONNREFUSED)`);
  });

  it('ends calls under way, and later ones, when it is closed', async () => {
    gateway.fault = () => ({ kind: 'stall' });
    const closing = provider();
    const call = failureOf(closing.generateEmbeddings(['a']));
    setTimeout(() => void closing.close(), 20);
    expect(await call).toMatchObject({ code: 'aborted_by_close' });
    expect(await failureOf(closing.generateText('a'))).toMatchObject({ code: 'aborted_by_close' });
    await closing.close();
    await closing[Symbol.asyncDispose]();
  });
});

describe('generateText', () => {
  it('returns the text, the reason for its end and the tokens', async () => {
    const result = await provider({ maxTokens: 50 }).generateText('say this', { system: 'shout', temperature: 0 });
    expect(result).toMatchObject({ text: 'SAY THIS', model: 'azure-gpt-4o-mini', finishReason: 'stop' });
    expect(result.usage.inputTokens).toBe(8);
    expect(gateway.requests[0]?.body).toEqual({
      model: 'azure-gpt-4o-mini',
      messages: [
        { role: 'system', content: 'shout' },
        { role: 'user', content: 'say this' },
      ],
      temperature: 0,
      max_tokens: 50,
    });
    expect(events).toMatchObject([{ operation: 'text_generation', inputCount: 1, inputTokens: 8 }]);
  });

  it('fails with the status and the attempts', async () => {
    gateway.fault = () => ({ kind: 'status', status: 503 });
    expect(await failureOf(provider({ maxRetries: 1 }).generateText('a'))).toMatchObject({ status: 503, attempts: 2 });
  });
});

describe('secrets', () => {
  it('never shows the key, nor a text, even if the server echoes them', async () => {
    const secret = 'a very private sentence';
    gateway.fault = ({ inputs }) =>
      inputs.length > 0
        ? { kind: 'status', status: 400, error: { message: `bad ${secret} ${apiKey}`, code: apiKey, param: secret } }
        : { kind: 'echoed_key' };
    const calls = [() => provider().generateEmbeddings([secret]), () => provider().generateText(secret)];
    for (const call of calls) {
      const error = await failureOf(call());
      const shown = `${inspect(error, { depth: 20, showHidden: true })} ${JSON.stringify(error)} ${error.stack}`;
      expect(shown).not.toContain(apiKey);
      expect(shown).not.toContain(secret);
      expect(error.requestId === undefined || error.requestId.startsWith('req-')).toBe(true);
    }
    expect(inspect(provider(), { depth: 20, showHidden: true })).not.toContain(apiKey);
  });

  it('never logs them either', async () => {
    const lines: unknown[] = [];
    const log = (fields: unknown, message: string) => lines.push(fields, message);
    const logger = { debug: log, info: log, warn: log, error: log };
    const secret = 'a very private sentence';
    const error = { message: `${secret} ${apiKey}`, code: apiKey, type: secret };
    gateway.fault = () => ({ kind: 'status', status: 500, error, headers: { 'x-request-id': apiKey } });
    const usageRecorder = { record: () => Promise.reject(new Error(secret)) };
    await failureOf(provider({ logger, maxRetries: 1 }).generateEmbeddings([secret]));
    gateway.fault = () => undefined;
    await provider({ logger, usageRecorder }).generateText(secret);
    const shown = inspect(lines, { depth: 20 });
    expect(shown).toContain('Retrying');
    expect(shown).toContain('Usage could not be recorded');
    expect(shown).not.toContain(apiKey);
    expect(shown).not.toContain(secret);
  });

  it('refuses a key that cannot be in a header without showing it', () => {
    const bad = `${apiKey}\n`;
    expect(() => provider({ apiKey: bad })).toThrow(/apiKey/);
    expect(() => provider({ apiKey: bad })).not.toThrow(new RegExp(apiKey));
  });
});

describe('health', () => {
  it('asks for the list of models, which costs nothing', async () => {
    expect(await provider().health()).toMatchObject({ status: 'healthy' });
    expect(gateway.billedRequests).toEqual([]);
  });

  it('reports a refused key and an unreachable host', async () => {
    expect(await provider({ apiKey: 'sk-wrong' }).health()).toMatchObject({ status: 'unhealthy' });
    await gateway.close();
    expect((await provider().health()).detail).toContain('ECONNREFUSED');
  });

  it.each([403, 404])('judges a server that gives no list of models (HTTP %i) by the latest call', async (status) => {
    gateway.fault = ({ path }) => (path.endsWith('/models') ? { kind: 'status', status } : undefined);
    const made = provider();
    expect(await made.health()).toMatchObject({ status: 'unknown' });
    await made.generateEmbeddings(['a']);
    expect(await made.health()).toMatchObject({ status: 'healthy' });
  });
});
