import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { TextMessage, TextOptions, TextPrompt } from '#src/core/ports/text-provider.js';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import type { WexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, type FakeMessage, type GatewayFault } from '#src/testing/index.js';

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

/** What only a caller in JavaScript can hand in. */
const js = <Value>(value: unknown) => value as Value;
/** An answer with this text as its whole body. */
const answerOf = (body: string, contentType = 'application/json'): GatewayFault => ({
  kind: 'status',
  status: 200,
  headers: { 'content-type': contentType },
  error: body,
});
const messageOf = (message: object, finishReason = 'stop') =>
  JSON.stringify({
    choices: [{ index: 0, message: { role: 'assistant', content: null, ...message }, finish_reason: finishReason }],
    usage: { prompt_tokens: 3, completion_tokens: 2 },
  });
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
        content: null,
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
    ['stop', 'a', js({ stop: 'END' })],
    ['model', 'a', js({ model: '' })],
    ['tier', 'a', js({ tier: 'hard' })],
    ['system', 'a', js({ system: 7 })],
    ['temperature', 'a', js({ temperature: '0.5' })],
    ['schema', 'a', js({ schema: { type: 'object' } })],
    ['schema', 'a', { jsonSchema: { type: 'object' } }],
    ['jsonSchema', 'a', js({ schema: z.string(), jsonSchema: 'object' })],
    ['jsonSchema', 'a', { schema: z.object({ day: z.date() }) }],
    ['tools', 'a', js({ tools: { weather: tool } })],
    ['tools[0].name', 'a', { tools: [{ name: 'no spaces', parameters: {} }] }],
    ['tools[1].name', 'a', js({ tools: [tool, null] })],
    ['tools[0].description', 'a', js({ tools: [{ ...tool, description: 7 }] })],
    ['tools[0].parameters', 'a', js({ tools: [{ name: 'weather' }] })],
    ['tools[0].parameters', 'a', js({ tools: [{ name: 'weather', parameters: null }] })],
    ['tools', 'a', { toolChoice: 'required' }],
    ['toolChoice', 'a', js({ tools: [tool], toolChoice: 'weather' })],
    ['prompt[0].toolCallId', js([{ role: 'tool', content: 'rain' }]), {}],
    ['prompt[0].toolCalls', js([{ role: 'assistant', content: '', toolCalls: [{ name: 'weather' }] }]), {}],
    ['toolChoice.name', 'a', { toolChoice: { name: 'unknown' } }],
    ['jsonSchema', 'a', { schema: { '~standard': { version: 1, vendor: 'x', validate: (value) => ({ value }) } } }],
  ])('is nothing if %s cannot be used', async (name, prompt, options) => {
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

  it('may be in a fence of Markdown', async () => {
    completion = '```json\n{"colour":"red","count":3}\n```';
    expect((await provider.generateText('a', { schema })).output).toEqual({ colour: 'red', count: 3 });
  });

  it('is looked for in no more than linear time, whatever the model repeats', async () => {
    completion = `\`\`\`json${'\n'.repeat(10_000)}x`;
    const startedAt = performance.now();
    await expect(provider.generateText('a', { schema })).rejects.toMatchObject({ code: 'invalid_response' });
    // A regular expression that tries every line as the end takes minutes.
    expect(performance.now() - startedAt).toBeLessThan(10_000);
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

  it('may be called with arguments that are parsed already, or none', async () => {
    const calls = [{ function: { name: 'weather', arguments: { city: 'Bern' } } }, { function: { name: 'weather' } }];
    gateway.fault = () => answerOf(messageOf({ tool_calls: calls }, 'tool_calls'));
    const { toolCalls } = await provider.generateText('a', { tools: [tool] });
    expect(toolCalls?.map((call) => call.arguments)).toEqual([{ city: 'Bern' }, {}]);
  });

  it('called without a name are an error', async () => {
    gateway.fault = () => answerOf(messageOf({ tool_calls: [{ id: '1', function: { arguments: '{}' } }] }));
    const expected = { code: 'invalid_response', message: expect.stringContaining('without a name') };
    await expect(provider.generateText('a', { tools: [tool] })).rejects.toMatchObject(expected);
  });

  it('called with something else than JSON are an error', async () => {
    completion = { tool_calls: [{ id: '1', type: 'function', function: { name: 'weather', arguments: '{"city' } }] };
    await expect(provider.generateText('a', { tools: [tool] })).rejects.toMatchObject({ code: 'invalid_response' });
  });
});

describe('an answer', () => {
  it.each(['text/plain', 'application/octet-stream'])('is read whatever its content type: %s', async (contentType) => {
    gateway.fault = () => answerOf(messageOf({ content: 'hi' }), contentType);
    expect(await provider.generateText('a')).toMatchObject({ text: 'hi', usage: { inputTokens: 3, outputTokens: 2 } });
  });

  it('may come in parts', async () => {
    const content = [
      { type: 'text', text: 'hel' },
      { type: 'thinking', thinking: 'hm' },
      { type: 'text', text: 'lo' },
    ];
    gateway.fault = () => answerOf(messageOf({ content }));
    expect((await provider.generateText('a')).text).toBe('hello');
  });

  it('that is a page of HTML is the fault of the base URL, and not asked for again', async () => {
    gateway.fault = () => answerOf('<html>please log in</html>', 'text/html');
    await expect(provider.generateText('a')).rejects.toMatchObject({ code: 'invalid_config', isRetryable: false });
    expect(gateway.requests).toHaveLength(1);
  });

  it('that came in full and cannot be read was paid for, and is not asked for again', async () => {
    gateway.fault = () => answerOf('{"choices":[{"message":{"content":"a\u0001"}}]}');
    await expect(provider.generateText('a')).rejects.toMatchObject({ code: 'invalid_response', isRetryable: false });
    expect(gateway.requests).toHaveLength(1);
  });

  it.each([
    ['cut off', '{"choices":[', 'application/json'],
    ['nothing', '', 'application/json'],
  ])('that is %s is asked for again', async (_, body, contentType) => {
    gateway.fault = ({ number }) => (number === 1 ? answerOf(body, contentType) : undefined);
    completion = 'an answer';
    expect((await provider.generateText('a')).text).toBe('an answer');
    gateway.fault = () => answerOf(body, contentType);
    const expected = { code: 'invalid_response', isRetryable: true, attempts: 4 };
    await expect(provider.generateText('a')).rejects.toMatchObject(expected);
  });

  it.each([
    [{ code: 'rate_limit_exceeded' }, 'rate_limited', 4],
    [{ code: 'insufficient_quota' }, 'quota_exceeded', 1],
    [{ type: 'invalid_request_error' }, 'invalid_config', 1],
    [{ type: 'server_error' }, 'unavailable', 4],
  ])('that reports a failure is that failure: %j', async (error, code, attempts) => {
    gateway.fault = () => ({ kind: 'status', status: 200, error });
    const expected = { code, status: 200, requestId: expect.stringMatching(/^req-/), attempts };
    await expect(provider.generateText('a')).rejects.toMatchObject(expected);
    expect(gateway.requests).toHaveLength(attempts);
  });

  it('that is of no use is on record, and says which request it was', async () => {
    gateway.fault = () => answerOf(JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 0 } }));
    const expected = { code: 'invalid_response', status: 200, requestId: 'req-1', attempts: 1 };
    await expect(provider.generateText('a')).rejects.toMatchObject(expected);
    expect(events).toMatchObject([{ inputTokens: 3, outputTokens: 0 }]);
  });
});

describe('a refusal', () => {
  const refusal = 'I cannot help with a private sentence.';

  it('differs from a text', async () => {
    gateway.fault = () => answerOf(messageOf({ refusal }));
    expect(await provider.generateText('a')).toMatchObject({ text: '', refusal, finishReason: 'stop' });
    gateway.fault = () => answerOf(messageOf({ content: 'hi', refusal: null }));
    expect(await provider.generateText('a')).not.toHaveProperty('refusal');
  });

  it.each([
    ["the model's refusal", messageOf({ refusal })],
    ['a content filter', messageOf({ content: '{"a":' }, 'content_filter')],
  ])('in place of JSON is an error that says so and does not show it: %s', async (part, body) => {
    gateway.fault = () => answerOf(body);
    const error = await provider.generateText('a', { schema: z.object({}) }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'input_refused',
      isRetryable: false,
      message: expect.stringContaining(part),
      status: 200,
      requestId: 'req-1',
      attempts: 1,
    });
    expect(inspect(error, { depth: 9 })).not.toContain('private');
    expect(events).toMatchObject([{ inputTokens: 3, outputTokens: 2 }]);
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

  it('is left alone if the row names none', async () => {
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
  ])('is repaired by one more request: %j', async (fault) => {
    gateway.fault = ({ number }) => (number === 1 ? fault : undefined);
    completion = 'an answer';
    const timeoutMs = fault.kind.startsWith('stall') ? 1500 : 20_000;
    const { text } = await makeProvider({ timeoutMs, deadlineMs: 20_000 }).generateText('a');
    expect(text).toBe('an answer');
    expect(gateway.requests).toHaveLength(2);
    expect(events).toHaveLength(1);
  });

  it('names the last request if no answer is JSON', async () => {
    gateway.fault = () => ({ kind: 'truncated_json' });
    await expect(makeProvider({ maxRetries: 1 }).generateText('a')).rejects.toMatchObject({
      code: 'invalid_response',
      requestId: 'req-2',
      attempts: 2,
    });
  });

  it('is an error without another request if it does not pass', async () => {
    gateway.fault = () => ({ kind: 'status', status: 429, error: { code: 'insufficient_quota' } });
    await expect(provider.generateText('a')).rejects.toMatchObject({ code: 'quota_exceeded', isRetryable: false });
    expect(gateway.requests).toHaveLength(1);
  });
});
