import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TextChunk, TextMessage, TextOptions, TextPrompt } from '../../src/core/text-provider.js';
import type { UsageEvent } from '../../src/core/usage-recorder.js';
import type { WexGatewayOptions } from '../../src/providers/wex-gateway/wex-gateway-options.js';
import { WexGatewayProvider } from '../../src/providers/wex-gateway/wex-gateway-provider.js';
import { FakeGateway, type FakeMessage, type GatewayFault } from '../../src/testing/index.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
let gateway: FakeGateway;
let completion: FakeMessage | string | undefined;
let events: UsageEvent[];
let provider: WexGatewayProvider;

beforeEach(async () => {
  completion = undefined;
  events = [];
  gateway = await FakeGateway.start({
    apiKey,
    completion: ({ body }) => completion ?? `echo ${JSON.stringify(body.messages)}`,
  });
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

const lastBody = () => gateway.requests.at(-1)?.body as Record<string, unknown>;
const tool = { name: 'weather', description: 'of a city', parameters: { type: 'object', properties: { city: {} } } };
const weatherCall = {
  tool_calls: [
    { id: 'call_1', type: 'function' as const, function: { name: 'weather', arguments: '{"city":"Zürich"}' } },
    { id: 'call_2', type: 'function' as const, function: { name: 'weather', arguments: '{"city":"東京"}' } },
  ],
};

describe('what is sent', () => {
  it('is a conversation, with the calls of tools and what they gave back', async () => {
    const messages: TextMessage[] = [
      { role: 'user', content: 'weather?' },
      { role: 'assistant', content: '', toolCalls: [{ id: 'call_1', name: 'weather', arguments: { city: 'Bern' } }] },
      { role: 'tool', toolCallId: 'call_1', content: 'rain' },
    ];
    await provider.generateText(messages, { system: 'be brief' });
    expect(lastBody().messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Bern"}' } }],
      },
      { role: 'tool', content: 'rain', tool_call_id: 'call_1' },
    ]);
  });

  it('is only what the API knows, and the options of the call before those of the row', async () => {
    await makeProvider({ temperature: 1, maxTokens: 5 }).generateText('a', {
      temperature: 0,
      stop: ['END'],
      tools: [tool],
      toolChoice: { name: 'weather' },
    });
    expect(lastBody()).toEqual({
      model: 'azure-gpt-4o-mini',
      messages: [{ role: 'user', content: 'a' }],
      temperature: 0,
      max_tokens: 5,
      stop: ['END'],
      tools: [{ type: 'function', function: tool }],
      tool_choice: { type: 'function', function: { name: 'weather' } },
    });
  });

  it.each(['o3-mini', 'azure-gpt-5', 'openai/o1'])(
    'is the parameter that %s knows for the number of tokens',
    async (model) => {
      await provider.generateText('a', { model, maxTokens: 7 });
      expect(lastBody()).toMatchObject({ max_completion_tokens: 7 });
      expect(lastBody()).not.toHaveProperty('max_tokens');
    },
  );

  it.each<[string, TextPrompt, TextOptions]>([
    ['prompt', '', {}],
    ['prompt', [], {}],
    ['prompt', undefined as unknown as string, {}],
    ['prompt[1]', [{ role: 'user', content: 'a' }, { role: 'robot', content: 'b' } as unknown as TextMessage], {}],
    ['prompt[0]', [{ role: 'user' } as unknown as TextMessage], {}],
    ['temperature', 'a', { temperature: 2.1 }],
    ['temperature', 'a', { temperature: Number.NaN }],
    ['maxTokens', 'a', { maxTokens: 0 }],
    ['stop', 'a', { stop: ['1', '2', '3', '4', '5'] }],
    ['tools[0].name', 'a', { tools: [{ name: 'no spaces', parameters: {} }] }],
    ['toolChoice.name', 'a', { toolChoice: { name: 'unknown' } }],
    ['jsonSchema', 'a', { schema: { '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value }) } } }],
  ])('is nothing where %s cannot be used', async (name, prompt, options) => {
    const expected = { code: 'invalid_input', message: expect.stringContaining(`\`${name}\``) };
    await expect(provider.generateText(prompt, options)).rejects.toMatchObject(expected);
    await expect(provider.streamText(prompt, options).next()).rejects.toMatchObject(expected);
    expect(gateway.requests).toEqual([]);
  });
});

describe('JSON of a schema', () => {
  const schema = z.object({ colour: z.string(), count: z.coerce.number() });

  it('is asked for as JSON Schema, validated and typed', async () => {
    completion = '{"colour":"red","count":"3"}';
    const { output } = await provider.generateText('a', { schema });
    const typed: { colour: string; count: number } = output;
    expect(typed).toEqual({ colour: 'red', count: 3 });
    expect(lastBody().response_format).toMatchObject({
      type: 'json_schema',
      json_schema: { schema: { type: 'object', properties: { colour: { type: 'string' } } } },
    });
  });

  it('may stand in a fence of Markdown', async () => {
    completion = '```json\n{"colour":"red","count":3}\n```';
    expect((await provider.generateText('a', { schema })).output).toEqual({ colour: 'red', count: 3 });
  });

  it('may come from any Standard Schema, with its JSON Schema beside it', async () => {
    completion = '"yes"';
    const isYes = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: async (value: unknown) => (value === 'yes' ? { value: true } : { issues: [{ message: 'not yes' }] }),
      },
    };
    const jsonSchema = { type: 'string' };
    expect((await provider.generateText('a', { schema: isYes, jsonSchema })).output).toBe(true);
    expect(lastBody().response_format).toMatchObject({ json_schema: { schema: jsonSchema } });
  });

  it.each([
    ['{"colour":7,"count":1}', 'at /colour'],
    ['a private sentence', 'not JSON'],
  ])('that is not one fails without showing it, and is on record: %s', async (text, part) => {
    completion = text;
    const error = await provider.generateText('a', { schema }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'invalid_response', message: expect.stringContaining(part) });
    expect(inspect(error, { depth: 9 })).not.toContain('private');
    expect(events).toHaveLength(1);
  });

  it('that is cut off says so', async () => {
    completion = { content: '{"colour":"r', finish_reason: 'length' };
    await expect(provider.generateText('a', { schema })).rejects.toThrow('cut off at the limit of tokens');
  });
});

describe('tools', () => {
  it('are called with parsed arguments', async () => {
    completion = weatherCall;
    const result = await provider.generateText('a', { tools: [tool] });
    expect(result).toMatchObject({
      text: '',
      finishReason: 'tool_calls',
      toolCalls: [
        { id: 'call_1', name: 'weather', arguments: { city: 'Zürich' } },
        { id: 'call_2', name: 'weather', arguments: { city: '東京' } },
      ],
    });
  });

  it('called with something else than JSON are an error', async () => {
    completion = { tool_calls: [{ id: '1', type: 'function', function: { name: 'weather', arguments: '{"city' } }] };
    await expect(provider.generateText('a', { tools: [tool] })).rejects.toMatchObject({ code: 'invalid_response' });
  });
});

describe('the model by tier', () => {
  const textModels = { simple: 'small', complex: 'large' };

  it.each<[TextPrompt, TextOptions, string, object | undefined]>([
    ['hello', {}, 'small', { tier: 'simple', reason: 'no sign of difficulty' }],
    ['Prove it step by step: a => b;', {}, 'large', { tier: 'complex', reason: 'estimated: reasoning words, code' }],
    ['hello', { tier: 'complex' }, 'large', { tier: 'complex', reason: 'asked for' }],
    ['hello', { tier: 'standard' }, 'large', { tier: 'standard', reason: 'asked for' }],
    ['hello', { model: 'mine', tier: 'complex' }, 'mine', undefined],
  ])('of %j with %j is %s', async (prompt, options, model, modelChoice) => {
    const result = await makeProvider({ textModels }).generateText(prompt, options);
    expect(result.model).toBe(model);
    expect(result.modelChoice).toEqual(modelChoice);
    expect(lastBody().model).toBe(model);
  });

  it('is left alone where the row names none', async () => {
    const result = await provider.generateText('hello', { tier: 'complex' });
    expect(result).toMatchObject({ model: 'azure-gpt-4o-mini' });
    expect(result.modelChoice).toBeUndefined();
  });
});

describe('a fault that may pass', () => {
  it.each<GatewayFault>([
    { kind: 'reset' },
    { kind: 'reset_in_body' },
    { kind: 'truncated_json' },
    { kind: 'stall' },
    { kind: 'stall_in_body' },
    { kind: 'status', status: 429, headers: { 'retry-after-ms': '20' } },
    { kind: 'status', status: 500, error: '<h1>Internal Server Error</h1>' },
  ])('is mended by one more request: %j', async (fault) => {
    gateway.fault = ({ number }) => (number === 1 ? fault : undefined);
    completion = 'an answer';
    const timeoutMs = fault.kind.startsWith('stall') ? 1500 : 20_000;
    const { text } = await makeProvider({ timeoutMs, deadlineMs: 20_000 }).generateText('a');
    expect(text).toBe('an answer');
    expect(gateway.requests).toHaveLength(2);
    expect(events).toHaveLength(1);
  });

  it('is an error without another request where it does not pass', async () => {
    gateway.fault = () => ({ kind: 'status', status: 429, error: { code: 'insufficient_quota' } });
    await expect(provider.generateText('a')).rejects.toMatchObject({ code: 'quota_exceeded', isRetryable: false });
    expect(gateway.requests).toHaveLength(1);
  });
});

describe('streamText', () => {
  const read = async (stream: AsyncIterable<TextChunk>) => {
    const chunks: TextChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return chunks;
  };
  const turns = async (count: number) => {
    for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const untilClosed = async () => {
    while (gateway.openRequestCount > 0) await turns(1);
  };

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

  it('closes the request when the iteration is left, and records it with unknown tokens', async () => {
    completion = 'x'.repeat(3000);
    gateway.fault = () => ({ kind: 'stall_in_body' });
    for await (const chunk of provider.streamText('a')) {
      expect(chunk.type).toBe('text');
      break;
    }
    await untilClosed();
    expect(events).toMatchObject([{ inputTokens: null, outputTokens: null }]);
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

  it('is cut where the server falls silent in the middle', async () => {
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
