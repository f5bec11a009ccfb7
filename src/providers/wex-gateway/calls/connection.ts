import { setMaxListeners } from 'node:events';
import type { ProviderCallOptions } from '../../../core/ports/call-options.js';
import type { ProviderHealth } from '../../../core/ports/embedding-provider.js';
import type { UsageEvent } from '../../../core/ports/usage-recorder.js';
import { type AiProviderError, isAiProviderError, ProviderError } from '../../../errors.js';
import { longestTimerMs } from '../../../internal/with-deadline.js';
import { isHeaderSafeKey, type ResolvedWexGatewayOptions } from '../options.js';
import { readBeginning } from './body-codings.js';
import { type GatewayCallOptions, type OpenGatewayCall, openGatewayCall } from './gateway-call.js';
import { checkHealth } from './health.js';
import { type RateMember, sharedRateLimiter } from './rate-limiter.js';
import { readFailure } from './server-words.js';
import { type CallDescription, type CallOutcome, type CallSpan, startCallSpan } from './telemetry.js';
import { type Endpoint, ReportedFailure, type RequestTarget } from './to-provider-error.js';
import { type GatewayAnswer, type GatewayRequest, Transport } from './transport.js';
import { exhaustedForMs } from './wait-hints.js';

/** Shorter headers are words such as `azure`, which may well be in an error. */
const shortestSecret = 8;

/** No reason for a failure is longer. */
const longestFailure = 64 * 1024;

export interface CallRequest extends Pick<CallDescription, 'operation' | 'model' | 'request'> {
  readonly options: ProviderCallOptions;
  /** How many requests it makes one after the other, at least; its deadline leaves each of them the time of one. */
  readonly rounds: number;
}

/** An {@link OpenGatewayCall} that is watched. */
export interface ActiveCall extends Pick<OpenGatewayCall, 'call' | 'ended'> {
  within: CallSpan['within'];
  /** Closes the call and puts its outcome on record. */
  finish(outcome: CallOutcome): void;
}

/** What embeddings and text have in common: the way to the server, the logical calls, the books. */
export class GatewayConnection {
  readonly options: ResolvedWexGatewayOptions;
  readonly endpoint: Endpoint;
  readonly #secrets: string[];
  readonly #transport: Transport;
  readonly #rate: RateMember;
  readonly #closing = new AbortController();
  #latestCall: { readonly error: AiProviderError | undefined } | undefined;

  constructor(options: ResolvedWexGatewayOptions) {
    this.options = options;
    const { id, apiKey, headers = {}, baseUrl, keepServerWords } = options;
    const url = new URL(baseUrl);
    // A header may hold the key of another service, whatever its description says.
    this.#secrets = Object.values(headers).filter(({ length }) => length >= shortestSecret);
    if (typeof apiKey === 'string') this.#secrets.push(apiKey);
    this.endpoint = {
      id,
      host: url.host,
      basePath: url.pathname.replace(/\/+$/, ''),
      secrets: this.#secrets,
      keepsServerWords: keepServerWords,
    };
    this.#transport = new Transport(options, () => this.#currentKey());
    // A key that changes is counted by its row.
    this.#rate = sharedRateLimiter(baseUrl, typeof apiKey === 'function' ? id : apiKey).join(options);
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Sends a request of a call.
   *
   * @throws `ReportedFailure` for a status other than success, with what the server said; what the transfer fails with.
   */
  async send(request: GatewayRequest, target: RequestTarget): Promise<GatewayAnswer> {
    const answer = await this.#transport.send(request);
    const exhaustedMs = exhaustedForMs(answer.headers);
    if (exhaustedMs !== undefined) this.#rate.pause(target.model, exhaustedMs);
    if (answer.status >= 200 && answer.status < 300) return answer;
    const text = await readBeginning(answer.body, longestFailure).catch(() => '');
    throw new ReportedFailure(readFailure(text, answer.status), answer.headers, target);
  }

  /** Opens one logical call. */
  async begin({ options: callOptions, rounds, ...description }: CallRequest): Promise<ActiveCall> {
    const { logger } = this.options;
    const { id, host } = this.endpoint;
    const span = await startCallSpan({ ...description, host, provider: id.replace(/:.*$/, '') });
    const finish = (outcome: CallOutcome, opened?: OpenGatewayCall) => {
      opened?.close();
      this.#remember(outcome.error);
      span?.end(outcome);
    };
    try {
      const opened = openGatewayCall({
        ...this.#callOptions(callOptions, rounds),
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
  async recordUsage(event: UsageEvent, recorder = this.options.usageRecorder): Promise<void> {
    try {
      await recorder?.record(event);
    } catch {
      const fields = { provider: this.endpoint.id, operation: event.operation };
      this.log('error', fields, 'Usage could not be recorded');
    }
  }

  /** A logger that fails must not take the place of an answer. */
  log(level: 'info' | 'warn' | 'error', fields: object, message: string): void {
    try {
      this.options.logger?.[level]({ provider: this.endpoint.id, ...fields }, message);
    } catch {
      // Whoever wrote the logger has to find out.
    }
  }

  health(signal: AbortSignal | undefined): Promise<ProviderHealth> {
    const { endpoint, options } = this;
    return checkHealth({
      endpoint,
      options,
      signal,
      closeSignal: this.#closing.signal,
      send: (request, target) => this.send(request, target),
      latestCall: this.#latestCall,
    });
  }

  close(reason: AiProviderError): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(reason);
    this.#rate.leave();
    void this.#transport.close();
  }

  #callOptions(
    { signal, purpose, hasFallback }: ProviderCallOptions,
    rounds: number,
  ): Omit<GatewayCallOptions, 'onRetry'> {
    const { timeoutMs, maxRetries, retryDelayMs, deadlineMs } = this.options;
    // Room for one request that hangs and is sent again.
    const allRounds = maxRetries > 0 ? rounds + 1 : rounds;
    return {
      endpoint: this.endpoint,
      timeoutMs,
      deadlineMs: deadlineMs ?? Math.min(timeoutMs * allRounds, longestTimerMs),
      isDeadlineFixed: deadlineMs !== undefined,
      maxRetries,
      retryDelayMs,
      signal,
      closeSignal: this.#closing.signal,
      rate: this.#rate,
      purpose,
      hasFallback,
    };
  }

  async #currentKey(): Promise<string | null> {
    const { apiKey } = this.options;
    if (typeof apiKey !== 'function') return apiKey;
    const key = await Promise.resolve()
      .then(apiKey)
      .catch((cause: unknown) => {
        throw this.#keyError('could not get its API key from the function that the host gave', cause);
      });
    if (!isHeaderSafeKey(key)) throw this.#keyError('got an API key that cannot be sent from the function of the host');
    if (!this.#secrets.includes(key)) this.#secrets.push(key);
    return key;
  }

  #keyError(what: string, cause?: unknown): ProviderError {
    const { id } = this.endpoint;
    return new ProviderError(`${id} ${what}.`, { code: 'authentication_failed', provider: id, cause });
  }

  #remember(error: unknown): void {
    if (error === undefined) this.#latestCall = { error: undefined };
    else if (isAiProviderError(error) && error.code !== 'aborted_by_close') this.#latestCall = { error };
  }
}
