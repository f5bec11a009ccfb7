import { EventEmitter, getEventListeners, once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import type { TextChunk } from '#src/core/ports/text-provider.js';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { wexGatewayKind } from '#src/providers/wex-gateway/kind.js';
import type { WexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { FakeGateway, type FakeMessage, type GatewayFault } from '#src/testing/index.js';
import { integrationOf } from '../../helpers/fake-provider.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
let gateway: FakeGateway;
let completion: FakeMessage | string;
let events: UsageEvent[];
let provider: WexGatewayProvider;

beforeEach(async () => {
  completion = 'a longer text in pieces';
  events = [];
  gateway = await FakeGateway.start({ completion: () => completion });
  provider = makeProvider();
});
afterEach(async () => {
  await provider.close();
  await gateway.close();
});

function makeProvider(options: Partial<WexGatewayOptions> = {}): WexGatewayProvider {
  return new WexGatewayProvider({
    baseUrl: gateway.baseUrl,
    apiKey,
    retryDelayMs: 10,
    usageRecorder: { record: async (event) => void events.push(event) },
    ...options,
  });
}

async function read(stream: AsyncIterable<TextChunk>): Promise<TextChunk[]> {
  const chunks: TextChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function untilClosed(): Promise<void> {
  while (gateway.openRequestCount > 0) await turns(1);
}

async function untilRequested(): Promise<void> {
  while (gateway.requests.length === 0) await turns(1);
}

/** A stream of these events, sent as one piece. */
function streamOf(...sent: readonly object[]): GatewayFault {
  return {
    kind: 'status',
    status: 200,
    headers: { 'content-type': 'text/event-stream' },
    error: [...sent.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => `data: ${data}\n\n`).join(''),
  };
}
const delta = (fields: object, finishReason: string | null = null) => ({
  choices: [{ index: 0, delta: fields, finish_reason: finishReason }],
});

const weatherCall = {
  tool_calls: [
    { id: 'call_1', type: 'function' as const, function: { name: 'weather', arguments: '{"city":"Zürich"}' } },
    { id: 'call_2', type: 'function' as const, function: { name: 'weather', arguments: '{"city":"東京"}' } },
  ],
};
const tool = { name: 'weather', parameters: { type: 'object' } };

describe('streamText', () => {
  it('gives the text in pieces, and at the end the whole result', async () => {
    completion = 'a text in pieces';
    const chunks = await read(provider.streamText('go on'));
    const end = chunks.at(-1);
    expect(
      chunks
        .slice(0, -1)
        .map((chunk) => chunk.type === 'text' && chunk.text)
        .join('|'),
    ).toBe('a t|ext| in| pi|ece|s');
    expect(end).toMatchObject({
      type: 'end',
      result: { text: completion, finishReason: 'stop', model: 'azure-gpt-4o-mini', usage: { inputTokens: 5 } },
    });
    expect(events).toMatchObject([{ operation: 'text_generation', inputTokens: 5, outputTokens: expect.any(Number) }]);
  });

  it('makes no request before it is iterated', async () => {
    provider.streamText('a');
    await turns(5);
    expect(gateway.requests).toEqual([]);
  });

  it('puts calls of tools together', async () => {
    completion = weatherCall;
    const [end] = await read(provider.streamText('a', { tools: [tool] }));
    const whole = await provider.generateText('a', { tools: [tool] });
    expect(end).toMatchObject({ type: 'end', result: { toolCalls: whole.toolCalls, finishReason: 'tool_calls' } });
  });

  it('validates the schema at the end', async () => {
    completion = '{"a":1}';
    const chunks = await read(provider.streamText('a', { schema: z.object({ a: z.number() }) }));
    expect(chunks.at(-1)).toMatchObject({ result: { output: { a: 1 } } });
    await expect(read(provider.streamText('a', { schema: z.object({ a: z.string() }) }))).rejects.toMatchObject({
      code: 'invalid_response',
    });
  });

  it('closes the request when the iteration is left, and records it with an estimate of its tokens', async () => {
    completion = 'x'.repeat(3000);
    gateway.fault = () => ({ kind: 'stall_in_body' });
    for await (const chunk of provider.streamText('a')) {
      expect(chunk.type).toBe('text');
      break;
    }
    await untilClosed();
    expect(events).toMatchObject([{ inputTokens: 1, outputTokens: expect.any(Number), isEstimate: true }]);
  });

  it('tries again what fails before the first event, and only that', async () => {
    gateway.fault = ({ number }) => (number === 1 ? { kind: 'status', status: 503 } : undefined);
    expect((await read(provider.streamText('a'))).at(-1)?.type).toBe('end');
    gateway.fault = () => ({ kind: 'reset_in_body' });
    completion = 'a longer text in pieces';
    const texts: string[] = [];
    const reading = (async () => {
      for await (const chunk of provider.streamText('a')) if (chunk.type === 'text') texts.push(chunk.text);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'unavailable', isRetryable: true });
    expect(texts.length).toBeGreaterThan(0);
    expect(gateway.requests).toHaveLength(3);
  });

  it('does not take a stream that ends early for a whole answer', async () => {
    completion = 'a longer text in pieces';
    gateway.fault = () => ({ kind: 'truncated_json' });
    await expect(read(provider.streamText('a'))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each<GatewayFault>([
    { kind: 'reset' },
    { kind: 'stall' },
    { kind: 'reset_after_headers' },
    { kind: 'stall_after_headers' },
    { kind: 'status', status: 200, error: '', headers: { 'content-type': 'text/event-stream' } },
    { kind: 'status', status: 200, error: { code: 'rate_limit_exceeded' } },
    streamOf({ error: { type: 'server_error' } }),
  ])('is repaired by one more request if nothing came yet: %j', async (fault) => {
    gateway.fault = ({ number }) => (number === 1 ? fault : undefined);
    const timeoutMs = fault.kind.startsWith('stall') ? 1000 : 20_000;
    const chunks = await read(makeProvider({ timeoutMs, deadlineMs: 20_000 }).streamText('a'));
    expect(chunks.at(-1)).toMatchObject({ type: 'end', result: { text: completion } });
    expect(gateway.requests).toHaveLength(2);
    expect(events).toHaveLength(1);
    await untilClosed();
  });

  it.each([
    [{ code: 'insufficient_quota' }, 'quota_exceeded', 1],
    [{ type: 'invalid_request_error' }, 'invalid_config', 1],
    [{ code: 'context_length_exceeded' }, 'input_refused', 1],
    [{ code: 'content_filter' }, 'input_refused', 1],
    [{ code: 'rate_limit_exceeded' }, 'rate_limited', 4],
  ])('fails as the server says in its first event: %j', async (error, code, attempts) => {
    gateway.fault = () => streamOf({ error });
    const expected = { code, status: 200, requestId: `req-${attempts}`, attempts };
    await expect(read(provider.streamText('a'))).rejects.toMatchObject(expected);
    expect(gateway.requests).toHaveLength(attempts);
  });

  it('fails as the server says in the middle, without another request', async () => {
    gateway.fault = () => streamOf(delta({ content: 'once' }), { error: { code: 'rate_limit_exceeded' } });
    const texts: TextChunk[] = [];
    const reading = (async () => {
      for await (const chunk of provider.streamText('a')) texts.push(chunk);
    })();
    const expected = { code: 'rate_limited', isRetryable: true, status: 200, requestId: 'req-1', attempts: 1 };
    await expect(reading).rejects.toMatchObject(expected);
    expect(texts).toEqual([{ type: 'text', text: 'once' }]);
    expect(gateway.requests).toHaveLength(1);
    expect(events).toHaveLength(1);
  });

  it('says which request broke off', async () => {
    gateway.fault = ({ number }) => ({ kind: number === 1 ? 'reset' : 'reset_in_body' });
    const expected = { code: 'unavailable', status: 200, requestId: 'req-2', attempts: 2 };
    await expect(read(provider.streamText('a'))).rejects.toMatchObject(expected);
  });

  it('takes the answer of a server that does not stream', async () => {
    const message = { content: 'hi', tool_calls: [{ id: '1', function: { name: 'weather', arguments: '{}' } }] };
    const body = { choices: [{ message, finish_reason: 'tool_calls' }], usage: { prompt_tokens: 3 } };
    const headers = { 'content-type': 'application/json' };
    gateway.fault = () => ({ kind: 'status', status: 200, headers, error: JSON.stringify(body) });
    expect(await read(provider.streamText('a', { tools: [tool] }))).toMatchObject([
      { type: 'text', text: 'hi' },
      { type: 'end', result: { text: 'hi', toolCalls: [{ name: 'weather' }], usage: { inputTokens: 3 } } },
    ]);
  });

  it('tells a refusal from a text', async () => {
    const refused = streamOf(delta({ refusal: 'I can' }), delta({ refusal: 'not.' }), delta({}, 'stop'));
    gateway.fault = () => refused;
    const [end] = await read(provider.streamText('a'));
    expect(end).toMatchObject({ type: 'end', result: { text: '', refusal: 'I cannot.' } });
    await expect(read(provider.streamText('a', { schema: z.object({}) }))).rejects.toMatchObject({
      code: 'input_refused',
      requestId: 'req-2',
    });
  });

  it('is cut if the server falls silent in the middle', async () => {
    completion = 'a longer text in pieces';
    gateway.fault = () => ({ kind: 'stall_in_body' });
    await expect(read(makeProvider({ timeoutMs: 1000 }).streamText('a'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('said nothing for 1000 ms'),
    });
    await untilClosed();
  });

  it.each(['stall', 'stall_in_body'] as const)('ends at once with the reason of the caller: %s', async (kind) => {
    completion = 'a longer text in pieces';
    gateway.fault = () => ({ kind });
    const controller = new AbortController();
    let outcome: unknown;
    const reading = read(provider.streamText('a', { signal: controller.signal })).catch((reason: unknown) => {
      outcome = reason;
    });
    while (gateway.requests.length === 0) await turns(1);
    await turns(20);
    controller.abort('enough');
    await turns(1);
    expect(outcome).toBe('enough');
    await reading;
    await untilClosed();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });

  it('ends when the provider is closed', async () => {
    gateway.fault = () => ({ kind: 'stall' });
    const reading = read(provider.streamText('a')).catch((reason: unknown) => reason);
    while (gateway.requests.length === 0) await turns(1);
    await provider.close();
    expect(await reading).toMatchObject({ code: 'aborted_by_close' });
  });
});

/** Streams of a provider itself, and of one that a manager keeps. */
describe.each(['provider', 'manager'] as const)('a stream of the %s', (owner) => {
  let factory: ProviderFactory | undefined;

  afterEach(async () => {
    await factory?.close();
    factory = undefined;
  });

  function streamText(signal?: AbortSignal): AsyncGenerator<TextChunk, void, undefined> {
    if (owner === 'provider') return provider.streamText('a', { signal });
    const row = { id: 1, provider: 'wex_ai_gateway', baseUrl: gateway.baseUrl, password: 'token', aiModel: 'gpt' };
    const repository = new MemoryIntegrationRepository({ integrations: [integrationOf(row)] });
    const kinds = [wexGatewayKind({ credentialCipher: { decrypt: () => apiKey } })];
    factory = new ProviderFactory({ repository, kinds });
    return new HybridProviderManager({ factory }).streamText('a', { tenantId: 1, signal });
  }
  const close = () => (owner === 'provider' ? provider.close() : factory?.close());

  // None of these waits for `timeout`, which is two minutes.
  it.each(['stall', 'stall_after_headers', 'stall_in_body'] as const)(
    'ends at once if it is left while a chunk is awaited: %s',
    async (kind) => {
      gateway.fault = () => ({ kind });
      const controller = new AbortController();
      const stream = streamText(controller.signal);
      if (kind === 'stall_in_body') for (let i = 0; i < 3; i++) await stream.next();
      const pending = Array.from({ length: 5 }, () => stream.next());
      await untilRequested();
      await turns(20);
      expect(await stream.return()).toEqual({ done: true, value: undefined });
      expect((await Promise.all(pending)).at(-1)).toEqual({ done: true, value: undefined });
      await untilClosed();
      expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    },
  );

  it('ends at once if it is cancelled as a ReadableStream', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const reader = ReadableStream.from(streamText()).getReader();
    expect((await reader.read()).value).toMatchObject({ type: 'text' });
    let isRead = true;
    while (isRead) {
      const next = reader.read();
      isRead = await Promise.race([next.then(({ done }) => !done), turns(50).then(() => false)]);
    }
    await reader.cancel();
    await untilClosed();
  });

  it('ends at once if it is destroyed as a Readable', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const readable = Readable.from(streamText());
    await once(readable.resume(), 'data');
    await turns(20);
    readable.destroy();
    await once(readable, 'close');
    await untilClosed();
  });

  it('ends at once if it is left between two chunks', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    await using stream = streamText();
    await stream.next();
    await stream.return();
    await untilClosed();
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('ends at once if it is aborted while nobody waits for a chunk', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const controller = new AbortController();
    const stream = streamText(controller.signal);
    await stream.next();
    controller.abort('enough');
    await untilClosed();
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await expect(stream.next()).rejects.toBe('enough');
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  it('ends at once if the provider is closed while nobody waits for a chunk', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const stream = streamText();
    await stream.next();
    await close();
    await untilClosed();
    await expect(stream.next()).rejects.toMatchObject({ code: 'aborted_by_close' });
  });

  it('shares a signal with many others without a warning of Node', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const warnings: Error[] = [];
    const warn = (warning: Error) => warnings.push(warning);
    process.on('warning', warn);
    const controller = new AbortController();
    const streams = Array.from({ length: 12 }, () => streamText(controller.signal));
    await Promise.all(streams.map((stream) => stream.next()));
    controller.abort();
    await turns(1);
    process.off('warning', warn);
    expect(warnings).toEqual([]);
    await untilClosed();
  });

  it('leaves no listener behind', async () => {
    const controller = new AbortController();
    await read(streamText(controller.signal));
    for await (const _ of streamText(controller.signal)) break;
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await untilClosed();
  });
});

describe('the time that a stream may take', () => {
  it('is that of one request until its first event, retries included', async () => {
    gateway.fault = () => ({ kind: 'stall' });
    const startedAt = performance.now();
    const reading = read(makeProvider({ timeoutMs: 1000, maxRetries: 9 }).streamText('a'));
    await expect(reading).rejects.toMatchObject({ isRetryable: true });
    // Each of ten requests would take a second.
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });

  it('is not limited after it, if keep-alive comments break the silence', async () => {
    const responses = new EventEmitter();
    const server = createServer((_, response) => responses.emit('response', response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
      const responded = once(responses, 'response') as Promise<[ServerResponse]>;
      const reading = read(makeProvider({ baseUrl, timeoutMs: 1000 }).streamText('a'));
      const [response] = await responded;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify(delta({ content: 'ok' }))}\n\n`);
      // Twice as long as a silence may be.
      for (let i = 0; i < 40; i++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        response.write(': keep-alive\n\n');
      }
      response.end(`data: ${JSON.stringify(delta({}, 'stop'))}\n\n`);
      expect((await reading).at(-1)).toMatchObject({ type: 'end', result: { text: 'ok' } });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
