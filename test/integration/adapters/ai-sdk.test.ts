import * as ai6 from 'ai';
import * as ai7 from 'ai-7';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createAiSdkProvider } from '#src/ai-sdk.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import type { FakeGatewayOptions } from '#src/testing/fake-gateway.js';
import { startAdapterHost } from '../../helpers/adapter-host.js';

const versions = [
  { name: 'ai 6', ai: ai6, specificationVersion: 'v3' },
  { name: 'ai 7', ai: ai7 as unknown as typeof ai6, specificationVersion: 'v4' },
] as const;

describe.each(versions)('the provider for $name', ({ ai, specificationVersion }) => {
  let host: Awaited<ReturnType<typeof startAdapterHost>>;
  const setUp = async (options?: FakeGatewayOptions) => {
    host = await startAdapterHost(options);
    return createAiSdkProvider({
      manager: host.manager,
      tenantId: 7,
      specificationVersion: specificationVersion as 'v3',
    });
  };
  afterEach(() => host.close());

  it('embeds many texts in one call of the manager, in order, with the cost', async () => {
    const pulse = await setUp();
    const values = Array.from({ length: 250 }, (_, i) => `text ${i}`);
    const { embeddings, usage, providerMetadata } = await ai.embedMany({
      model: pulse.embeddingModel('auto'),
      values,
    });
    expect(embeddings).toHaveLength(250);
    expect(embeddings[249]).toEqual(Array.from(fakeEmbedding('text 249', 8)));
    const tokens = values.join('').length;
    expect(usage.tokens).toBe(tokens);
    const pulseData = providerMetadata?.pulse as Record<string, unknown>;
    expect(pulseData).toMatchObject({ provider: 'wex_ai_gateway', integrationId: 1, failedOver: [] });
    expect(Number(pulseData.cost)).toBeCloseTo((tokens / 1000) * 0.02, 12);
  });

  it('sends the model that was asked for, and takes its options from providerOptions', async () => {
    const pulse = await setUp();
    await ai.embed({
      model: pulse.embeddingModel('text-embedding-3-large'),
      value: 'x',
      providerOptions: { pulse: { inputType: 'query' } },
    });
    expect(host.gateway.billedRequests[0]?.body.model).toBe('text-embedding-3-large');
    await expect(
      ai.embed({
        model: pulse.embeddingModel('auto'),
        value: 'x',
        providerOptions: { pulse: { requiredSpace: 'other|rev=?|dim=8|pool=?|prompts=none|norm=?|dtype=?' } },
        maxRetries: 2,
      }),
    ).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
  });

  it('does not let the AI SDK retry what the manager has retried', async () => {
    const pulse = await setUp({ fault: () => ({ kind: 'status', status: 503 }) });
    const model = pulse.embeddingModel('auto');
    await expect(ai.embed({ model, value: 'x', maxRetries: 2 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(host.gateway.billedRequests).toHaveLength(1);
  });

  it('generates text, with usage, cost and the reason for the end', async () => {
    const pulse = await setUp();
    const { text, usage, finishReason, providerMetadata, response } = await ai.generateText({
      model: pulse.languageModel('auto'),
      system: 'Be loud.',
      prompt: 'hello',
    });
    expect(text).toBe('HELLO');
    expect(finishReason).toBe('stop');
    expect(usage.inputTokens).toBe(5);
    expect(response.modelId).toBe('gpt-4o-mini');
    expect(providerMetadata?.pulse).toMatchObject({ integrationId: 1 });
    const { messages } = host.gateway.billedRequests[0]!.body as { messages: unknown };
    expect(messages).toEqual([
      { role: 'system', content: 'Be loud.' },
      { role: 'user', content: 'hello' },
    ]);
  });

  it('streams text, and ends the request when the stream is left', async () => {
    const pulse = await setUp();
    const whole = ai.streamText({ model: pulse.languageModel('auto'), prompt: 'a longer prompt' });
    const pieces: string[] = [];
    for await (const piece of whole.textStream) pieces.push(piece);
    expect(pieces.join('')).toBe('A LONGER PROMPT');
    expect(pieces.length).toBeGreaterThan(1);
    expect((await whole.providerMetadata)?.pulse).toMatchObject({ provider: 'wex_ai_gateway' });

    const { stream } = await pulse.languageModel('auto').doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: 'a longer prompt' }] }],
    });
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
    await expect.poll(() => host.gateway.openRequestCount).toBe(0);
  });

  it('lets a model call tools, and answers with what they gave', async () => {
    const pulse = await setUp({
      completion: ({ body }) =>
        (body.messages as { role: string }[]).at(-1)?.role === 'tool'
          ? 'It is 21 degrees.'
          : {
              tool_calls: [
                { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '{"city":"Porto"}' } },
              ],
            },
    });
    const asked: unknown[] = [];
    const { text, steps } = await ai.generateText({
      model: pulse.languageModel('auto'),
      prompt: 'How warm is it in Porto?',
      tools: {
        weather: ai.tool({
          description: 'The weather of a city.',
          inputSchema: z.object({ city: z.string() }),
          execute: async (input) => {
            asked.push(input);
            return { degrees: 21 };
          },
        }),
      },
      stopWhen: ai.stepCountIs(3),
    });
    expect(asked).toEqual([{ city: 'Porto' }]);
    expect(text).toBe('It is 21 degrees.');
    expect(steps).toHaveLength(2);
    const { messages } = host.gateway.billedRequests[1]!.body as { messages: Record<string, unknown>[] };
    expect(messages.at(-1)).toMatchObject({ role: 'tool', tool_call_id: 'call-1', content: '{"degrees":21}' });
  });

  it('asks for JSON of a schema', async () => {
    const pulse = await setUp({ completion: () => '{"title":"Import stops"}' });
    const { output } = await ai.generateText({
      model: pulse.languageModel('auto'),
      prompt: 'x',
      output: ai.Output.object({ schema: z.object({ title: z.string() }) }),
    });
    expect(output).toEqual({ title: 'Import stops' });
    expect(host.gateway.billedRequests[0]?.body.response_format).toMatchObject({ type: 'json_schema' });
  });

  it('rethrows the abort of the caller', async () => {
    const pulse = await setUp({ latencyMs: 60_000 });
    const controller = new AbortController();
    const call = ai.embed({ model: pulse.embeddingModel('auto'), value: 'x', abortSignal: controller.signal });
    await expect.poll(() => host.gateway.requests.length).toBe(1);
    const reason = new Error('The user left.');
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
  });

  it('refuses images and warns about settings that have no effect', async () => {
    const pulse = await setUp();
    const model = pulse.languageModel('auto');
    const image = { role: 'user' as const, content: [{ type: 'file' }] };
    await expect(model.doGenerate({ prompt: [image] })).rejects.toMatchObject({ code: 'invalid_input', position: 0 });
    const { warnings } = await model.doGenerate({
      prompt: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }],
      topK: 3,
    });
    expect(warnings).toEqual([{ type: 'unsupported', feature: 'topK' }]);
    expect(() => pulse.imageModel('x')).toThrowError(expect.objectContaining({ code: 'unsupported_operation' }));
  });
});
