import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding } from '#src/testing/index.js';
import { PortkeyGateway } from './portkey-gateway.js';

/** A real gateway in between: provider, Portkey on loopback, fake upstream. */
describe("through Portkey's gateway", () => {
  const apiKey = 'sk-test-4f9d8a7b6c5e';
  let upstream: FakeGateway;
  let portkey: PortkeyGateway;
  let provider: WexGatewayProvider;

  beforeAll(async () => {
    upstream = await FakeGateway.start({ apiKey });
    portkey = await PortkeyGateway.start();
    provider = new WexGatewayProvider({
      baseUrl: portkey.baseUrl,
      apiKey,
      retryDelayMs: 10,
      headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': upstream.baseUrl },
    });
  });
  afterAll(async () => {
    await provider?.close();
    await portkey?.close();
    await upstream?.close();
  });

  it('every text gets its vector, from base64', async () => {
    const texts = Array.from({ length: 250 }, (_, i) => `text ${i}`);
    const { embeddings, usage } = await provider.generateEmbeddings(texts);
    expect(embeddings).toEqual(texts.map((text) => fakeEmbedding(text, upstream.dimension)));
    expect(usage.inputTokens).toBe(texts.join('').length);
    expect(upstream.requests.map(({ body }) => body.encoding_format)).toEqual(['base64', 'base64', 'base64']);
  });

  it('text, JSON of a schema and streams come through', async () => {
    expect((await provider.generateText('hello')).text).toBe('HELLO');
    const { output } = await provider.generateText('{"A":1}', { schema: z.object({ A: z.number() }) });
    expect(output).toEqual({ A: 1 });
    let streamed = '';
    for await (const chunk of provider.streamText('a longer text')) {
      if (chunk.type === 'text') streamed += chunk.text;
      else expect(chunk.result).toMatchObject({ text: 'A LONGER TEXT', finishReason: 'stop' });
    }
    expect(streamed).toBe('A LONGER TEXT');
  });

  it('failures of the upstream are retried, and named', async () => {
    const before = upstream.requests.length;
    upstream.fault = ({ number }) => (number === before + 1 ? { kind: 'status', status: 503 } : undefined);
    expect((await provider.generateText('again')).text).toBe('AGAIN');
    upstream.fault = ({ inputs }) => (inputs.includes('bad') ? { kind: 'status', status: 400 } : undefined);
    await expect(provider.generateEmbeddings(['good', 'bad', 'fine'])).rejects.toMatchObject({
      code: 'embedding_partially_failed',
      failures: [{ position: 1, error: { code: 'input_refused', status: 400 } }],
    });
  });

  it('a gateway that is gone is an error that names it', async () => {
    await portkey.close();
    await expect(provider.generateText('hello')).rejects.toMatchObject({
      code: 'unavailable',
      isRetryable: true,
      message: expect.stringContaining(new URL(portkey.baseUrl).host),
    });
  });
});
