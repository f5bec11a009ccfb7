import { setMaxListeners } from 'node:events';
import type { ProviderHealth } from '../../../core/ports/embedding-provider.js';
import type { UsageEvent } from '../../../core/ports/usage-recorder.js';
import { type AiProviderError, isAiProviderError, type ProviderError } from '../../../errors.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import { longestTimerMs } from '../settings.js';
import { type GatewayClient, gatewayClient } from './client.js';
import { type GatewayCallOptions, type OpenGatewayCall, openGatewayCall } from './gateway-call.js';
import { sharedRateLimiter } from './rate-limiter.js';
import { type CallDescription, type CallOutcome, type CallSpan, startCallSpan } from './telemetry.js';
import type { Endpoint } from './to-provider-error.js';

/** Shorter headers are words such as `azure`, which may well stand in an error. */
const shortestSecret = 8;

/** How long a health check may take. */
const healthTimeoutMs = 10_000;

export interface CallRequest extends Pick<CallDescription, 'operation' | 'model' | 'request'> {
  readonly signal: AbortSignal | undefined;
  /** How many requests it makes one after the other, at least; its deadline leaves each of them the time of one. */
  readonly rounds: number;
}

/** An {@link OpenGatewayCall} that is watched. */
export interface ActiveCall extends Pick<OpenGatewayCall, 'call' | 'ended'> {
  within: CallSpan['within'];
  /** Closes the call and puts its outcome on record. */
  finish(outcome: CallOutcome): void;
}

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
    const { id, apiKey, headers = {} } = options;
    // A header may hold the key of another service, whatever its description says.
    const secrets = [apiKey ?? '', ...Object.values(headers).filter(({ length }) => length >= shortestSecret)];
    this.endpoint = { id, host: new URL(options.baseUrl).host, secrets: secrets.filter((secret) => secret !== '') };
    this.client = gatewayClient(options);
    setMaxListeners(0, this.#closing.signal);
    if (options.requestsPerMinute !== undefined || options.tokensPerMinute !== undefined) {
      const limiter = sharedRateLimiter(options.baseUrl, options.apiKey);
      this.#pace = (request) => limiter.acquire(options, request);
    }
  }

  /** Opens one logical call. */
  async begin({ signal, rounds, ...description }: CallRequest): Promise<ActiveCall> {
    const { timeoutMs, maxRetries, retryDelayMs, logger } = this.options;
    const { id, host } = this.endpoint;
    const span = await startCallSpan({ ...description, host, provider: id.replace(/:.*$/, '') });
    const finish = (outcome: CallOutcome, opened?: OpenGatewayCall) => {
      opened?.close();
      this.#remember(outcome.error);
      span?.end(outcome);
    };
    try {
      const opened = openGatewayCall({
        endpoint: this.endpoint,
        timeoutMs,
        deadlineMs: this.options.deadlineMs ?? Math.min(timeoutMs * rounds, longestTimerMs),
        maxRetries,
        retryDelayMs,
        signal,
        closeSignal: this.#closing.signal,
        pace: this.#pace,
        isPaceTimed: this.options.deadlineMs !== undefined,
        onRetry: (error, delayMs) => {
          span?.retry(error, delayMs);
          const { code, message } = error;
          logger?.warn({ provider: id, code, delayMs: Math.round(delayMs) }, `Retrying: ${message}`);
        },
      });
      const { call, ended } = opened;
      return { call, ended, within: span?.within ?? ((work) => work()), finish: (outcome) => finish(outcome, opened) };
    } catch (error) {
      finish({ error });
      throw error;
    }
  }

  /** Runs `work` as one logical call, and settles as soon as the caller aborts, whatever `work` does. */
  async run<Result>(request: CallRequest, work: (call: ActiveCall['call']) => Promise<Result>): Promise<Result> {
    const { call, ended, within, finish } = await this.begin(request);
    try {
      const result = await Promise.race([within(() => work(call)), ended]);
      finish(call.outcome);
      return result;
    } catch (error) {
      finish({ ...call.outcome, error });
      throw error;
    }
  }

  /** Never fails: what was paid for is not lost because its bookkeeping failed. */
  async recordUsage(event: UsageEvent): Promise<void> {
    try {
      await this.options.usageRecorder?.record(event);
    } catch {
      const fields = { provider: this.endpoint.id, operation: event.operation };
      this.options.logger?.error(fields, 'Usage could not be recorded');
    }
  }

  async health(signal: AbortSignal | undefined): Promise<ProviderHealth> {
    const { endpoint, options } = this;
    const timeoutMs = Math.min(options.timeoutMs, healthTimeoutMs);
    let opened: OpenGatewayCall | undefined;
    try {
      const closeSignal = this.#closing.signal;
      opened = openGatewayCall({
        endpoint,
        timeoutMs,
        deadlineMs: timeoutMs,
        maxRetries: 0,
        retryDelayMs: 0,
        signal,
        closeSignal,
      });
      const client = await this.client();
      const request = opened.call.request((attempt) => client.models.list({ signal: attempt.signal }));
      await Promise.race([request, opened.ended]);
      return { status: 'healthy', detail: `${endpoint.host} answered a request for its list of models.` };
    } catch (error) {
      if (!isAiProviderError(error)) return { status: 'unknown', detail: 'The check was aborted.' };
      // A key may be good for models and not for the list of them.
      const isAboutList = (error as ProviderError).status === 403;
      if (isAboutList || error.code === 'model_unavailable' || error.code === 'input_refused') {
        return this.#healthOfLatestCall();
      }
      return { status: 'unhealthy', detail: error.message };
    } finally {
      opened?.close();
    }
  }

  close(reason: AiProviderError): void {
    if (!this.#closing.signal.aborted) this.#closing.abort(reason);
  }

  #remember(error: unknown): void {
    if (error === undefined) this.#latestCall = { error: undefined };
    else if (isAiProviderError(error) && error.code !== 'aborted_by_close') this.#latestCall = { error };
  }

  #healthOfLatestCall(): ProviderHealth {
    const noList = `${this.endpoint.host} is reachable but gives no list of models`;
    if (this.#latestCall === undefined) {
      return { status: 'unknown', detail: `${noList}, and nothing was asked of it yet.` };
    }
    const { error } = this.#latestCall;
    return error === undefined
      ? { status: 'healthy', detail: `${noList}; the latest call succeeded.` }
      : { status: 'unhealthy', detail: `${noList}; the latest call failed: ${error.message}` };
  }
}
