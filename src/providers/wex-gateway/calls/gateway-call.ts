import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import pRetry from 'p-retry';
import { type AiProviderError, isAiProviderError, ProviderError } from '../../../errors.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import { sleep } from '../../../internal/sleep.js';
import { withDeadline } from '../../../internal/with-deadline.js';
import { longestTimerMs } from '../settings.js';
import { CallClock } from './call-clock.js';
import type { RateRequest, RateTicket } from './rate-limiter.js';
import type { CallOutcome } from './telemetry.js';
import { type Endpoint, toProviderError } from './to-provider-error.js';

export interface GatewayCallOptions {
  readonly endpoint: Endpoint;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly maxRetries: number;
  /** The caller's; its reason is rethrown untouched. */
  readonly signal?: AbortSignal | undefined;
  /** Aborts when the provider is closed; its reason is the error to throw. */
  readonly closeSignal: AbortSignal;
  /** Waits until the rate limits let a request through; see `RateLimiter.acquire`. */
  readonly pace?: ((request: RateRequest) => Promise<RateTicket | number>) | undefined;
  /** Whether `deadlineMs` covers those waits as well. @default false */
  readonly isPaceTimed?: boolean | undefined;
  /** The first delay before a retry is up to this; it doubles each time. */
  readonly retryDelayMs: number;
  /** Told of each retry. */
  readonly onRetry?: ((error: AiProviderError, delayMs: number) => void) | undefined;
}

/** Failures that every further request of the call would meet as well. */
const callWideCodes = new Set([
  'authentication_failed',
  'deadline_exceeded',
  'invalid_config',
  'model_unavailable',
  'quota_exceeded',
]);

/** No delay of ours before a retry is longer; one that the server asks for may be. */
const longestDelayMs = 8000;

const rateLimitNames = 'the rate limit (`requests_per_minute`, `tokens_per_minute`)';

/** What one try at a request needs to know. */
export interface Attempt {
  /** Ends the request. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly number: number;
  /** Its entry in the books of the rate limiter, if there is one. */
  readonly ticket: RateTicket | undefined;
}

type Send<Result> = (attempt: Attempt) => Promise<Result>;

/** A logical call under way. Whoever opens it must close it. */
export interface OpenGatewayCall {
  readonly call: GatewayCall;
  /** Rejects with the reason when the caller aborts or the provider is closed. */
  readonly ended: Promise<never>;
  /** Ends what is still under way. Nothing is left behind: no timer, no listener, no open request. */
  close(): void;
}

/** However many requests a logical call makes, they share one deadline, one abort and one retry lane. */
export function openGatewayCall(options: GatewayCallOptions): OpenGatewayCall {
  const { signal, closeSignal } = options;
  signal?.throwIfAborted();
  closeSignal.throwIfAborted();
  const call = new GatewayCall(options);
  let end: (signal: AbortSignal) => void = () => {};
  const ended = new Promise<never>((_, reject) => {
    end = ({ reason }) => {
      call.abort(reason);
      reject(reason);
    };
  });
  ended.catch(() => {});
  const onAbort = () => end(signal as AbortSignal);
  const onClose = () => end(closeSignal);
  // Many calls may share one signal, as they do inside a web request; Node prints a warning from the eleventh listener on.
  if (signal instanceof EventTarget) setMaxListeners(0, signal);
  signal?.addEventListener('abort', onAbort);
  closeSignal.addEventListener('abort', onClose);
  return {
    call,
    ended,
    close() {
      signal?.removeEventListener('abort', onAbort);
      closeSignal.removeEventListener('abort', onClose);
      call.dispose();
    },
  };
}

/** What the requests of one logical call share. */
export class GatewayCall {
  /** Aborts with the reason to throw: the caller's, the provider's closing, or the deadline. */
  readonly signal: AbortSignal;
  /** The requests made so far. */
  requestCount = 0;
  /** What is known so far of how the call ends. */
  outcome: CallOutcome = {};
  readonly #options: GatewayCallOptions;
  readonly #controller = new AbortController();
  readonly #clock: CallClock;
  readonly #retryLane = pLimit(1);
  #successCount = 0;
  /** The requests that wait for the rate limits. */
  #pacedCount = 0;
  #stopped: AiProviderError | undefined;

  constructor(options: GatewayCallOptions) {
    this.#options = options;
    this.signal = this.#controller.signal;
    setMaxListeners(0, this.signal);
    const deadlineMs = Math.min(options.deadlineMs, longestTimerMs);
    this.#clock = new CallClock(deadlineMs, () => this.abort(this.#tooLate('deadline_exceeded', deadlineMs)));
  }

  /** From here on the call may take any time. It makes no further request. */
  liftDeadline(): void {
    this.#clock.stop();
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Ends what is still under way, as after a failure in the caller's own code. */
  dispose(): void {
    this.#clock.stop();
    this.abort(new Error('The call is over.'));
  }

  /** Why no further request of this call makes sense, once that is known. */
  get stopped(): AiProviderError | undefined {
    return this.#stopped;
  }

  /**
   * Makes a request and retries what may pass. Retries of one call take turns, and each waits out its delay before its turn ends: an endpoint that is
   * down gets a window of first requests and then at most `maxRetries` single ones, after which the call gives up on it.
   */
  async request<Result>(send: Send<Result>, tokenCount = 0): Promise<Result> {
    if (this.#stopped) throw this.#stopped;
    const successesBefore = this.#successCount;
    let leaveLane = () => {};
    let isInLane = false;
    try {
      const result = await pRetry((number) => this.#attempt(send, number, tokenCount), {
        retries: this.#options.maxRetries,
        // p-retry's own delay has no full jitter and knows no Retry-After: `shouldRetry` waits instead.
        minTimeout: 0,
        shouldRetry: async ({ error, retriesConsumed }) => {
          if (!isAiProviderError(error) || !error.isRetryable || this.signal.aborted) return false;
          const delayMs = delayBeforeRetry(error, this.#options.retryDelayMs * 2 ** retriesConsumed);
          const retryAt = performance.now() + delayMs;
          if (delayMs >= this.#clock.leftMs) return false;
          if (!isInLane) {
            leaveLane = await this.#enterRetryLane();
            isInLane = true;
          }
          if (this.#stopped) return false;
          this.#options.onRetry?.(error, delayMs);
          await sleep(Math.max(0, retryAt - performance.now()), this.signal);
          return !this.signal.aborted;
        },
      });
      this.#successCount++;
      return result;
    } catch (error) {
      const isHopeless = isAiProviderError(error) && error.isRetryable && this.#successCount === successesBefore;
      if (isAiProviderError(error) && (isHopeless || callWideCodes.has(error.code))) this.#stopped ??= error;
      throw error;
    } finally {
      leaveLane();
    }
  }

  #enterRetryLane(): Promise<() => void> {
    return new Promise((enter) => {
      void this.#retryLane(() => new Promise<void>((leave) => enter(leave)));
    });
  }

  async #attempt<Result>(send: Send<Result>, number: number, tokenCount: number): Promise<Result> {
    const { timeoutMs, endpoint } = this.#options;
    this.signal.throwIfAborted();
    const ticket = await this.#waitForTurn(tokenCount);
    const timeoutError = () => this.#tooLate('unavailable', timeoutMs, number);
    return withDeadline(
      async (signal) => {
        this.requestCount++;
        try {
          return await send({ signal, number, ticket });
        } catch (error) {
          throw signal.aborted ? signal.reason : toProviderError(error, endpoint, number);
        }
      },
      { timeoutMs, signals: [this.signal], timeoutError },
    );
  }

  async #waitForTurn(tokenCount: number): Promise<RateTicket | undefined> {
    const { pace, isPaceTimed = false, endpoint } = this.#options;
    if (pace === undefined) return undefined;
    // A limit of the host's own is no reason to take the server for a slow one.
    if (!isPaceTimed) this.#clock.hold();
    this.#pacedCount++;
    try {
      const mostWaitMs = () => (isPaceTimed ? this.#clock.leftMs : Number.POSITIVE_INFINITY);
      const turn = await rejectOnAbort(pace({ tokenCount, mostWaitMs, signal: this.signal }), this.signal);
      if (typeof turn !== 'number') return turn;
      const retryAfterMs = Math.ceil(turn);
      throw new ProviderError(
        `A request to ${endpoint.id} would have to wait ${retryAfterMs} ms for ${rateLimitNames}, which is longer than the deadline leaves.`,
        { code: 'rate_limited', isRetryable: true, provider: endpoint.id, retryAfterMs, attempts: this.requestCount },
      );
    } finally {
      this.#pacedCount--;
      if (!isPaceTimed) this.#clock.release();
    }
  }

  #tooLate(code: 'deadline_exceeded' | 'unavailable', afterMs: number, attempts?: number): ProviderError {
    const { id, host } = this.#options.endpoint;
    const says =
      code === 'deadline_exceeded' && this.#pacedCount > 0
        ? `A call to ${id} was not over within ${afterMs} ms, at the end of which it waited for ${rateLimitNames}.`
        : `${id} at ${host} did not answer in full within ${afterMs} ms.`;
    return new ProviderError(says, {
      code,
      isRetryable: true,
      provider: id,
      attempts: attempts ?? this.requestCount,
    });
  }
}

/** Full jitter: anything from nothing to the doubling bound, so that callers who failed together do not return together. */
function delayBeforeRetry(error: AiProviderError, bound: number): number {
  const asked = (error as ProviderError).retryAfterMs ?? 0;
  return asked + Math.random() * Math.min(longestDelayMs, bound);
}
