import type { Attributes, Histogram, Span } from '@opentelemetry/api';
import { type AiProviderError, isAiProviderError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';

/** A logical call as OpenTelemetry's semantic conventions for generative AI describe it. */
export interface CallDescription {
  readonly operation: 'embeddings' | 'chat';
  readonly model: string;
  /** Such as `wex_ai_gateway`. */
  readonly provider: string;
  readonly host: string;
  /** `gen_ai.*` attributes of the request. */
  readonly request?: Attributes;
}

export interface CallOutcome {
  readonly error?: unknown;
  readonly inputTokens?: number | null;
  readonly outputTokens?: number | null;
  /** `gen_ai.*` attributes of the response. */
  readonly response?: Attributes;
}

/** One logical call under observation, with all its batches and retries. */
export interface CallSpan {
  /** Runs `work` with the span as the active one, so that spans of the HTTP client nest in it. */
  within<Result>(work: () => Result): Result;
  retry(error: AiProviderError, delayMs: number): void;
  end(outcome: CallOutcome): void;
}

/** Undefined if the optional package `@opentelemetry/api` is not installed; then nothing else is done. */
export async function startCallSpan(description: CallDescription): Promise<CallSpan | undefined> {
  const instruments = await loadInstruments();
  return instruments?.start(description);
}

/** From the conventions: "gen_ai.client.operation.duration" and "gen_ai.client.token.usage". */
const durationBuckets = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const tokenBuckets = Array.from({ length: 14 }, (_, i) => 4 ** i);

const loadInstruments = memoizeAsync(async () => {
  const api = await loadApi();
  if (api === undefined) return undefined;
  const scope = '@pulse/ai-providers';
  const start = ({ operation, model, provider, host, request }: CallDescription): CallSpan => {
    const [address = host, port] = splitHost(host);
    const common: Attributes = {
      'gen_ai.operation.name': operation,
      'gen_ai.provider.name': provider,
      'gen_ai.request.model': model,
      'server.address': address,
      ...(port === undefined ? {} : { 'server.port': port }),
    };
    const span = api.trace
      .getTracer(scope)
      .startSpan(`${operation} ${model}`, { kind: api.SpanKind.CLIENT, attributes: { ...common, ...request } });
    const context = api.trace.setSpan(api.context.active(), span);
    const startedAt = performance.now();
    return {
      within: (work) => api.context.with(context, work),
      retry: (error, delayMs) =>
        span.addEvent('retry', { 'error.type': error.code, 'retry.delay_ms': Math.round(delayMs) }),
      end(outcome) {
        const meter = api.metrics.getMeter(scope);
        const duration = meter.createHistogram('gen_ai.client.operation.duration', {
          unit: 's',
          advice: { explicitBucketBoundaries: durationBuckets },
        });
        const tokens = meter.createHistogram('gen_ai.client.token.usage', {
          unit: '{token}',
          advice: { explicitBucketBoundaries: tokenBuckets },
        });
        const failure = outcome.error === undefined ? {} : { 'error.type': errorType(outcome.error) };
        duration.record((performance.now() - startedAt) / 1000, { ...common, ...failure });
        recordTokens(tokens, span, common, outcome);
        span.setAttributes({ ...outcome.response, ...failure });
        if (outcome.error !== undefined) {
          const message = isAiProviderError(outcome.error) ? outcome.error.message : undefined;
          span.setStatus({ code: api.SpanStatusCode.ERROR, ...(message === undefined ? {} : { message }) });
        }
        span.end();
      },
    };
  };
  return { start };
});

function recordTokens(
  tokens: Histogram,
  span: Span,
  common: Attributes,
  { inputTokens, outputTokens }: CallOutcome,
): void {
  for (const [type, count] of [
    ['input', inputTokens],
    ['output', outputTokens],
  ] as const) {
    if (typeof count !== 'number') continue;
    span.setAttribute(`gen_ai.usage.${type}_tokens`, count);
    tokens.record(count, { ...common, 'gen_ai.token.type': type });
  }
}

/** Our own codes; a caller's abort reason may be anything, and anything may be in it. */
function errorType(error: unknown): string {
  return isAiProviderError(error) ? error.code : 'aborted';
}

function splitHost(host: string): [string] | [string, number] {
  const match = /^(.*):(\d+)$/.exec(host);
  return match === null ? [host] : [match[1] as string, Number(match[2])];
}

/** Undefined if it is not installed. Inside a `try`, so that bundlers build a host without it. */
async function loadApi() {
  try {
    return await import('@opentelemetry/api');
  } catch {
    return undefined;
  }
}
