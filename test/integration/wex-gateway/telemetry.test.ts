import { metrics, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway } from '#src/testing/index.js';

const apiKey = 'sk-test-4f9d8a7b6c5e';
const spanExporter = new InMemorySpanExporter();
const metricExporter = new InMemoryMetricExporter(AggregationTemporality.DELTA);
const metricReader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 3_600_000 });
const meterProvider = new MeterProvider({ readers: [metricReader] });
let gateway: FakeGateway;
let provider: WexGatewayProvider;

beforeAll(() => {
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] }));
  metrics.setGlobalMeterProvider(meterProvider);
});
afterAll(async () => {
  await meterProvider.shutdown();
  trace.disable();
  metrics.disable();
});
beforeEach(async () => {
  gateway = await FakeGateway.start({ apiKey });
  provider = new WexGatewayProvider({
    id: 'wex_ai_gateway:12',
    baseUrl: gateway.baseUrl,
    apiKey,
    retryDelayMs: 1,
    batchSize: 2,
  });
  spanExporter.reset();
  // What an earlier test left.
  await metricReader.forceFlush();
  metricExporter.reset();
});
afterEach(async () => {
  await provider.close();
  await gateway.close();
});

async function points(name: string) {
  await metricReader.forceFlush();
  const all = metricExporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics));
  return all
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints.map(({ attributes, value }) => ({ attributes, value })));
}

describe('telemetry', () => {
  it('is one span a logical call, whatever the number of batches, with retries as events', async () => {
    gateway.fault = ({ number }) => (number === 1 ? { kind: 'status', status: 503 } : undefined);
    await provider.generateEmbeddings(['a', 'b', 'c']);
    const spans = spanExporter.getFinishedSpans();
    expect(spans).toHaveLength(1);
    const [span] = spans;
    const { hostname, port } = new URL(gateway.baseUrl);
    expect(span).toMatchObject({
      name: 'embeddings azure-text-embedding-3-small',
      kind: SpanKind.CLIENT,
      attributes: {
        'gen_ai.operation.name': 'embeddings',
        'gen_ai.provider.name': 'wex_ai_gateway',
        'gen_ai.request.model': 'azure-text-embedding-3-small',
        'gen_ai.usage.input_tokens': 3,
        'server.address': hostname,
        'server.port': Number(port),
      },
      events: [{ name: 'retry', attributes: { 'error.type': 'unavailable' } }],
      status: { code: SpanStatusCode.UNSET },
    });
  });

  it('counts duration and tokens', async () => {
    await provider.generateText('hello');
    const [duration] = await points('gen_ai.client.operation.duration');
    expect(duration).toMatchObject({ attributes: { 'gen_ai.operation.name': 'chat' }, value: { count: 1 } });
    const tokens = await points('gen_ai.client.token.usage');
    expect(tokens.map(({ attributes }) => attributes['gen_ai.token.type']).sort()).toEqual(['input', 'output']);
  });

  it('shows a failure by its code, and neither key nor text', async () => {
    gateway.fault = () => ({ kind: 'echoed_key', status: 401 });
    await expect(provider.generateText('a private sentence')).rejects.toMatchObject({ code: 'authentication_failed' });
    const [span] = spanExporter.getFinishedSpans();
    expect(span).toMatchObject({
      attributes: { 'error.type': 'authentication_failed' },
      status: { code: SpanStatusCode.ERROR },
    });
    const { attributes, events, status, name } = span!;
    const shown = JSON.stringify({ attributes, events, status, name });
    expect(shown).not.toContain(apiKey);
    expect(shown).not.toContain('private');
    expect(await points('gen_ai.client.operation.duration')).toMatchObject([
      { attributes: { 'error.type': 'authentication_failed' } },
    ]);
  });

  it('counts the tokens that a call was billed for also if it fails', async () => {
    gateway.fault = ({ inputs }) => (inputs.includes('c') ? { kind: 'status', status: 400 } : undefined);
    await expect(provider.generateEmbeddings(['a', 'b', 'c'])).rejects.toMatchObject({
      code: 'embedding_partially_failed',
    });
    expect(spanExporter.getFinishedSpans()[0]?.attributes).toMatchObject({
      'gen_ai.usage.input_tokens': 2,
      'error.type': 'embedding_partially_failed',
    });
  });

  it('counts the tokens of a text that turns out to be of no use', async () => {
    const schema = z.object({ a: z.number() });
    const streaming = async () => {
      for await (const _ of provider.streamText('hello', { schema }));
    };
    for (const call of [() => provider.generateText('hello', { schema }), streaming]) {
      await expect(call()).rejects.toMatchObject({ code: 'invalid_response' });
      expect(spanExporter.getFinishedSpans().at(-1)?.attributes).toMatchObject({
        'gen_ai.usage.input_tokens': 5,
        'gen_ai.usage.output_tokens': expect.any(Number),
        'error.type': 'invalid_response',
      });
    }
    expect(await points('gen_ai.client.token.usage')).toHaveLength(2);
  });

  it('ends the span of a stream with its abort, whether or not anybody waits for a chunk', async () => {
    gateway.fault = () => ({ kind: 'stall_in_body' });
    const controller = new AbortController();
    const stream = provider.streamText('hello', { signal: controller.signal });
    await stream.next();
    controller.abort('enough');
    expect(spanExporter.getFinishedSpans()[0]?.attributes).toMatchObject({ 'error.type': 'aborted' });
    await expect(stream.next()).rejects.toBe('enough');
    expect(spanExporter.getFinishedSpans()).toHaveLength(1);
  });

  it('covers a stream to its end, also if it is abandoned', async () => {
    for await (const chunk of provider.streamText('hello')) if (chunk.type === 'end') break;
    for await (const _ of provider.streamText('hello')) break;
    const spans = spanExporter.getFinishedSpans();
    expect(spans.map(({ attributes }) => attributes['gen_ai.usage.input_tokens'])).toEqual([5, undefined]);
    expect(spans.map(({ attributes }) => attributes['error.type'])).toEqual([undefined, undefined]);
    expect(spans[0]?.attributes['gen_ai.response.finish_reasons']).toEqual(['stop']);
  });

  it('ends the span of an aborted call without the reason, which may hold anything', async () => {
    gateway.fault = () => ({ kind: 'stall' });
    const controller = new AbortController();
    const call = provider.generateText('hello', { signal: controller.signal });
    setImmediate(() => controller.abort('a private reason'));
    await expect(call).rejects.toBe('a private reason');
    const [span] = spanExporter.getFinishedSpans();
    expect(span).toMatchObject({ attributes: { 'error.type': 'aborted' }, status: { code: SpanStatusCode.ERROR } });
    expect(span?.status.message).toBeUndefined();
  });
});
