import { setMaxListeners } from 'node:events';
import pLimit from 'p-limit';
import type { CallPurpose } from '../../../core/ports/call-options.js';
import { type AiProviderError, isAiProviderError, ProviderError } from '../../../errors.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import { retry, sleep } from '../../../internal/retry.js';
import { longestTimerMs, withDeadline } from '../../../internal/with-deadline.js';
import { CallClock } from './call-clock.js';
import type { RateMember, RateTicket } from './rate-limiter.js';
import type { CallOutcome } from './telemetry.js';
import { type Endpoint, failureBehind, toProviderError } from './to-provider-error.js';

export interface GatewayCallOptions {
  readonly endpoint: Endpoint;
  readonly timeoutMs: number;
  readonly deadlineMs: number;
  readonly maxRetries: number;
  /** The caller's; its reason is rethrown untouched. */
  readonly signal?: AbortSignal | undefined;
  /** Aborts when the provider is closed; its reason is the error to throw. */
  readonly closeSignal: AbortSignal;
  readonly rate?: RateMember | undefined;
  /**
   * The host set `deadlineMs` itself: it covers waits for the rate limits as well, and is never extended. @default
   * false
   */
  readonly isDeadlineFixed?: boolean | undefined;
  /** The first delay before a retry is up to this; it doubles each time. */
  readonly retryDelayMs: number;
  /** Called with each failure that is retried. */
  readonly onRetry?: ((error: AiProviderError, delayMs: number) => void) | undefined;
  readonly purpose?: CallPurpose | undefined;
  /** Another provider waits for this one to give the call back. */
  readonly hasFallback?: boolean | undefined;
}

/** Failures that every further request of the call would meet as well. */
const callWideCodes = new Set(['authentication_failed', 'deadline_exceeded', 'model_unavailable', 'quota_exceeded']);

function isCallWide(error: AiProviderError): boolean {
  // The row is wrong, unless it may be an input after all.
  const isRow = error.code === 'invalid_config' && failureBehind(error)?.kind.blamesInput === undefined;
  return isRow || callWideCodes.has(error.code);
}

/** No delay of ours before a retry is longer; one that the server asks for may be. */
const longestDelayMs = 8000;
/** How long a call waits before it is given back to a provider that can serve it, if somebody waits for the answer. */
const shortWaitMs = 200;
/** The same for bulk work, if a change of the provider costs more than a short wait. */
const bulkWaitMs = 5000;

const rateLimitNames =
  'the rate limit (`requests_per_minute`, `tokens_per_minute`, or a pause that the server asked for)';

/** What one try at a request needs to know. */
export interface Attempt {
  /** Ends the request. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly number: number;
  /** Its entry in the rate limiter, if there is one. */
  readonly ticket: RateTicket | undefined;
  /** To be called with each sign of life of a stream that has not begun: its time starts again. */
  renew(): void;
}

export interface RequestOptions {
  /** As estimated, for the rate limits. */
  readonly tokenCount?: number | undefined;
  readonly model?: string | undefined;
  /** @default that of the call */
  readonly maxRetries?: number | undefined;
  /**
   * Whether this failure ends the whole call. @default for what every further request would meet as well, and for what
   * does not pass while nothing else succeeds
   */
  endsCall?(error: AiProviderError): boolean | undefined;
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
  // Many calls may share one signal, as they do inside a web request; Node prints a warning from the eleventh
  // listener on.
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
  readonly #lane = new RetryLane();
  readonly #timedOut = new WeakSet<object>();
  #successCount = 0;
  /** The requests that wait for the rate limits. */
  #pacedCount = 0;
  #stopped: AiProviderError | undefined;
  #latestFailure: AiProviderError | undefined;

  constructor(options: GatewayCallOptions) {
    this.#options = options;
    this.signal = this.#controller.signal;
    setMaxListeners(0, this.signal);
    const deadlineMs = Math.min(options.deadlineMs, longestTimerMs);
    this.#clock = new CallClock(deadlineMs, () => this.abort(this.#tooLate('deadline_exceeded', deadlineMs)));
  }

  /** From here on the call may take any time. It makes no further request. */
  liftDeadline(): void {
    if (!this.#options.isDeadlineFixed) this.#clock.stop();
  }

  /** More requests have to be made one after the other than was planned for. */
  addRounds(count: number): void {
    if (!this.#options.isDeadlineFixed) this.#clock.add(count * this.#options.timeoutMs);
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Ends what is still under way, as after a failure in the caller's own code. */
  dispose(): void {
    this.#clock.stop();
    this.abort(new Error('The call is over.'));
  }

  /** No further request of this call is made: each fails with this error. */
  stop(error: AiProviderError): void {
    this.#stopped ??= error;
  }

  /**
   * Makes a request and retries what may pass. Retries of one call take turns, and each waits out its delay before
   * its turn ends: an endpoint that is down gets a window of first requests and then at most `maxRetries` single
   * ones, after which the call gives up on it.
   */
  async request<Result>(send: Send<Result>, options: RequestOptions = {}): Promise<Result> {
    if (this.#stopped) throw this.#stopped;
    const successesBefore = this.#successCount;
    const turn = this.#lane.turn();
    try {
      const result = await retry((number) => this.#attempt(send, number, options), {
        retries: options.maxRetries ?? this.#options.maxRetries,
        mayRetry: (error, retriesDone) => this.#mayRetry(error, retriesDone, turn),
      });
      this.#successCount++;
      turn.succeeded();
      return result;
    } catch (error) {
      if (isAiProviderError(error)) {
        turn.failed();
        const hasFailedAlone = this.#successCount === successesBefore;
        const isHopeless = isCallWide(error) || (error.isRetryable && hasFailedAlone);
        if (options.endsCall?.(error) ?? isHopeless) this.stop(error);
      }
      throw error;
    } finally {
      turn.leave();
    }
  }

  /** Waits for as long as a retry has to wait. @returns whether it may be made. */
  async #mayRetry(error: unknown, retriesDone: number, turn: RetryTurn): Promise<boolean> {
    if (!isAiProviderError(error) || !error.isRetryable || this.signal.aborted) return false;
    const delayMs = this.#delayBeforeRetry(error, retriesDone);
    if (delayMs >= this.#clock.leftMs || delayMs > this.#longestWaitMs(error, retriesDone)) return false;
    const retryAt = performance.now() + delayMs;
    await turn.enter();
    if (this.#stopped) return false;
    this.#options.onRetry?.(error, delayMs);
    await sleep(Math.max(0, retryAt - performance.now()), this.signal);
    return !this.signal.aborted;
  }

  /**
   * Full jitter: anything from nothing to the doubling bound, so that callers who failed together do not return
   * together.
   */
  #delayBeforeRetry(error: AiProviderError, retriesDone: number): number {
    // The server was silent for the time of a request already.
    if (this.#timedOut.has(error)) return 0;
    const asked = (error as ProviderError).retryAfterMs ?? 0;
    return asked + Math.random() * Math.min(longestDelayMs, this.#options.retryDelayMs * 2 ** retriesDone);
  }

  /** A call that another provider can serve is given back instead of waiting long. */
  #longestWaitMs(error: AiProviderError, retriesDone: number): number {
    const { hasFallback, purpose } = this.#options;
    if (!hasFallback) return Number.POSITIVE_INFINITY;
    if (purpose === 'bulk') return bulkWaitMs;
    // A server that answered is not asked again; a connection that broke may have been an old one.
    const hasAnswered = (error as ProviderError).status !== undefined || this.#timedOut.has(error);
    return hasAnswered || retriesDone > 0 ? -1 : shortWaitMs;
  }

  async #attempt<Result>(send: Send<Result>, number: number, options: RequestOptions): Promise<Result> {
    const { timeoutMs, endpoint, isDeadlineFixed } = this.#options;
    this.signal.throwIfAborted();
    const ticket = await this.#waitForTurn(options);
    const timeoutError = () => {
      const error = this.#tooLate('unavailable', timeoutMs, number);
      this.#timedOut.add(error);
      return error;
    };
    return withDeadline(
      async (signal, renewAttempt) => {
        this.requestCount++;
        const renew = () => {
          renewAttempt();
          if (!isDeadlineFixed) this.#clock.leaveAtLeast(timeoutMs);
        };
        try {
          return await send({ signal, number, ticket, renew });
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          const failure = toProviderError(error, endpoint, number);
          this.#noteFailure(failure, options);
          throw failure;
        }
      },
      { timeoutMs, signals: [this.signal], timeoutError },
    );
  }

  #noteFailure(error: Error, { model = '' }: RequestOptions): void {
    if (!isAiProviderError(error)) return;
    this.#latestFailure = error;
    const { retryAfterMs } = error as ProviderError;
    if (error.code === 'rate_limited' && retryAfterMs) this.#options.rate?.pause(model, retryAfterMs);
  }

  async #waitForTurn({ tokenCount = 0, model }: RequestOptions): Promise<RateTicket | undefined> {
    const { rate, isDeadlineFixed = false, endpoint, purpose, hasFallback } = this.#options;
    if (rate === undefined) return undefined;
    // A limit of the host's own is not a reason to take the server for a slow one.
    if (!isDeadlineFixed) this.#clock.hold();
    this.#pacedCount++;
    try {
      const isHurried = hasFallback === true && purpose !== 'bulk';
      const mostPauseMs = () => (isHurried ? shortWaitMs : this.#clock.leftMs);
      const mostWaitMs = () => (isDeadlineFixed || isHurried ? mostPauseMs() : Number.POSITIVE_INFINITY);
      const acquired = rate.acquire({ tokenCount, model, purpose, mostWaitMs, mostPauseMs, signal: this.signal });
      const turn = await rejectOnAbort(acquired, this.signal);
      if (typeof turn !== 'number') return turn;
      const retryAfterMs = Math.ceil(turn);
      const longer = isHurried
        ? 'while another provider can serve the call'
        : 'which is longer than the deadline leaves';
      throw new ProviderError(
        `A request to ${endpoint.id} would have to wait ${retryAfterMs} ms for ${rateLimitNames}, ${longer}.`,
        { code: 'rate_limited', isRetryable: true, provider: endpoint.id, retryAfterMs, attempts: this.requestCount },
      );
    } finally {
      this.#pacedCount--;
      if (!isDeadlineFixed) this.#clock.release();
    }
  }

  #tooLate(code: 'deadline_exceeded' | 'unavailable', afterMs: number, attempts?: number): ProviderError {
    const { id, host } = this.#options.endpoint;
    const isPaced = code === 'deadline_exceeded' && this.#pacedCount > 0;
    const says = isPaced
      ? `A call to ${id} was not over within ${afterMs} ms, at the end of which it waited for ${rateLimitNames}.`
      : `${id} at ${host} did not answer in full within ${afterMs} ms.`;
    const cause = code === 'deadline_exceeded' ? this.#latestFailure : undefined;
    const error = new ProviderError(cause === undefined ? says : `${says} Before that: ${cause.message}`, {
      code,
      isRetryable: true,
      provider: id,
      attempts: attempts ?? this.requestCount,
      ...(cause === undefined ? {} : { cause }),
    });
    return error;
  }
}

/** The most retries of one call at once. */
const widestLane = 16;

interface RetryTurn {
  enter(): Promise<void>;
  succeeded(): void;
  failed(): void;
  leave(): void;
}

/** Retries of one call go one after the other until one succeeds; then more and more at once, until one fails. */
class RetryLane {
  readonly #limit = pLimit(1);

  turn(): RetryTurn {
    let leave: (() => void) | undefined;
    const isInside = () => leave !== undefined;
    return {
      enter: async () => {
        if (isInside()) return;
        leave = await new Promise<() => void>((enter) => {
          void this.#limit(() => new Promise<void>((end) => enter(end)));
        });
      },
      succeeded: () => {
        if (isInside()) this.#limit.concurrency = Math.min(widestLane, this.#limit.concurrency + 1);
      },
      failed: () => {
        if (isInside()) this.#limit.concurrency = 1;
      },
      leave: () => leave?.(),
    };
  }
}
