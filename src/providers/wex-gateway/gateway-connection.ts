import { setMaxListeners } from 'node:events';
import type { ProviderHealth } from '../../core/embedding-provider.js';
import type { UsageEvent } from '../../core/usage-recorder.js';
import { type AiProviderError, isAiProviderError } from '../../errors.js';
import { type GatewayCall, type GatewayCallOptions, runGatewayCall } from './gateway-call.js';
import { type GatewayClient, gatewayClient } from './gateway-client.js';
import { sharedRateLimiter } from './rate-limiter.js';
import type { Endpoint } from './to-provider-error.js';
import type { ResolvedWexGatewayOptions } from './wex-gateway-options.js';

/** How long a health check may take. */
const healthTimeoutMs = 10_000;

/** What embeddings and text have in common: the client, the logical calls, the books. */
export class GatewayConnection {
  readonly options: ResolvedWexGatewayOptions;
  readonly endpoint: Endpoint;
  readonly client: () => Promise<GatewayClient>;
  readonly #closing = new AbortController();
  readonly #pace: GatewayCallOptions['pace'];
  #latestCall: { readonly error: AiProviderError | undefined } | undefined;

  constructor(options: ResolvedWexGatewayOptions) {
    this.options = options;
    this.endpoint = { id: options.id, host: new URL(options.baseUrl).host, apiKey: options.apiKey };
    this.client = gatewayClient(options);
    setMaxListeners(0, this.#closing.signal);
    if (options.requestsPerMinute !== undefined || options.tokensPerMinute !== undefined) {
      const limiter = sharedRateLimiter(options.baseUrl, options.apiKey);
      this.#pace = (tokenCount, signal) => limiter.acquire(options, tokenCount, signal);
    }
  }

  /** Runs one logical call of up to `rounds` rounds of requests. */
  async run<Result>(
    signal: AbortSignal | undefined,
    rounds: number,
    work: (call: GatewayCall) => Promise<Result>,
  ): Promise<Result> {
    const { timeoutMs, maxRetries, retryDelayMs, deadlineMs = timeoutMs * rounds, logger } = this.options;
    const { endpoint } = this;
    try {
      const result = await runGatewayCall(
        {
          endpoint,
          timeoutMs,
          deadlineMs,
          maxRetries,
          signal,
          closeSignal: this.#closing.signal,
          retryDelayMs,
          pace: this.#pace,
          onRetry: ({ code, message }, delayMs) =>
            logger?.warn({ provider: endpoint.id, code, delayMs: Math.round(delayMs) }, `Retrying: ${message}`),
        },
        work,
      );
      this.#latestCall = { error: undefined };
      return result;
    } catch (error) {
      if (isAiProviderError(error) && error.code !== 'aborted_by_close') this.#latestCall = { error };
      throw error;
    }
  }

  /** Never fails: what was paid for is not lost because its bookkeeping failed. */
  async recordUsage(event: UsageEvent): Promise<void> {
    try {
      await this.options.usageRecorder?.record(event);
    } catch {
      this.options.logger?.error(
        { provider: this.endpoint.id, operation: event.operation },
        'Usage could not be recorded',
      );
    }
  }

  async health(signal: AbortSignal | undefined): Promise<ProviderHealth> {
    const { endpoint, options } = this;
    try {
      const timeoutMs = Math.min(options.timeoutMs, healthTimeoutMs);
      await runGatewayCall(
        {
          endpoint,
          timeoutMs,
          deadlineMs: timeoutMs,
          maxRetries: 0,
          retryDelayMs: 0,
          signal,
          closeSignal: this.#closing.signal,
        },
        async (call) => {
          const client = await this.client();
          await call.request((attempt) => client.models.list({ signal: attempt.signal }));
        },
      );
      return { status: 'healthy', detail: `${endpoint.host} answered a request for its list of models.` };
    } catch (error) {
      if (!isAiProviderError(error)) return { status: 'unknown', detail: 'The check was aborted.' };
      if (error.code !== 'model_unavailable' && error.code !== 'input_refused') {
        return { status: 'unhealthy', detail: error.message };
      }
      return this.#healthOfLatestCall();
    }
  }

  close(reason: AiProviderError): void {
    if (!this.#closing.signal.aborted) this.#closing.abort(reason);
  }

  #healthOfLatestCall(): ProviderHealth {
    const noList = `${this.endpoint.host} is reachable but has no list of models`;
    if (this.#latestCall === undefined)
      return { status: 'unknown', detail: `${noList}, and nothing was asked of it yet.` };
    const { error } = this.#latestCall;
    return error === undefined
      ? { status: 'healthy', detail: `${noList}; the latest call succeeded.` }
      : { status: 'unhealthy', detail: `${noList}; the latest call failed: ${error.message}` };
  }
}
