import { createHash } from 'node:crypto';
import type { CallPurpose } from '../../../core/ports/call-options.js';
import { sleep } from '../../../internal/retry.js';

export interface RateLimits {
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

/** One request on record in a {@link RateLimiter}. */
export interface RateTicket {
  readonly at: number;
  /** May be corrected once the server has sent the true number. */
  tokenCount: number;
}

export interface RateRequest {
  readonly tokenCount: number;
  /** Servers limit each model on its own. */
  readonly model?: string | undefined;
  /** @default 'interactive' */
  readonly purpose?: CallPurpose | undefined;
  /** The longest wait that makes sense, once it is this request's turn. */
  mostWaitMs(): number;
  /** The longest wait that makes sense if the server asked for it. @default that of `mostWaitMs` */
  mostPauseMs?(): number;
  readonly signal: AbortSignal;
}

/** What a server limits together: a row with its limits. Rows that share a limiter take turns. */
export interface RateMember {
  /**
   * Waits until a request fits. More tokens than the limit allows in a minute wait for an empty window.
   *
   * @returns the entry on record, or the milliseconds that the request would have had to wait if those are too many.
   */
  acquire(request: RateRequest): Promise<RateTicket | number>;
  /** The server asks for quiet: no request to this model before that, except by those who may not wait. */
  pause(model: string, ms: number): void;
  /** The row is gone, and its limits with it. */
  leave(): void;
}

const windowMs = 60_000;
/** A server that asks for more is asked again after this time: its limit may have been raised. */
const longestPauseMs = 60_000;
const purposes = ['interactive', 'bulk'] as const;

interface Waiter {
  readonly request: RateRequest;
  readonly settle: (outcome: RateTicket | number) => void;
  readonly fail: (reason: unknown) => void;
}

interface Member {
  readonly limits: RateLimits;
  readonly queues: Readonly<Record<CallPurpose, Waiter[]>>;
}

/**
 * Keeps the requests of any 60 seconds within the strictest limits of its members. Interactive requests go before
 * bulk ones, and among equals the members take turns; each member's own requests go in the order in which they came.
 */
export class RateLimiter {
  /** In the order of their turns: who was served last is last. */
  readonly #members = new Map<object, Member>();
  readonly #pausedUntil = new Map<string, number>();
  #tickets: RateTicket[] = [];
  #isServing = false;
  /** Lets the request whose turn it is compute its wait again. */
  #wake = () => {};

  join(limits: RateLimits): RateMember {
    const key = {};
    this.#members.set(key, { limits, queues: { interactive: [], bulk: [] } });
    return {
      acquire: (request) => this.#acquire(key, request),
      pause: (model, ms) => {
        this.#pausedUntil.set(model, performance.now() + Math.min(ms, longestPauseMs));
        this.#wake();
      },
      leave: () => {
        this.#members.delete(key);
        this.#wake();
      },
    };
  }

  /** Nobody uses it, and nothing in it still counts. */
  get isIdle(): boolean {
    return this.#members.size === 0 && performance.now() - (this.#tickets.at(-1)?.at ?? -Infinity) >= windowMs;
  }

  /** The strictest of all members: what they share is the server's limit for one key. */
  get #limits(): Required<{ [Limit in keyof RateLimits]: number }> {
    const limits = [...this.#members.values()].map((member) => member.limits);
    return {
      requestsPerMinute: Math.min(...limits.map(({ requestsPerMinute }) => requestsPerMinute ?? Infinity)),
      tokensPerMinute: Math.min(...limits.map(({ tokensPerMinute }) => tokensPerMinute ?? Infinity)),
    };
  }

  #acquire(key: object, request: RateRequest): Promise<RateTicket | number> {
    const member = this.#members.get(key);
    if (member === undefined || request.signal.aborted) return Promise.reject(request.signal.reason);
    // The common case: nobody waits, and it fits.
    if (!this.#isServing && this.#waitMs(request) <= 0) {
      this.#putLast(key, member);
      return Promise.resolve(this.#enter(request.tokenCount));
    }
    return new Promise((settle, fail) => {
      member.queues[request.purpose ?? 'interactive'].push({ request, settle, fail });
      this.#wake();
      void this.#serve();
    });
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      for (;;) {
        const waitMs = this.#serveNext();
        if (waitMs === undefined) return;
        if (waitMs > 0) await this.#sleep(waitMs);
      }
    } finally {
      this.#isServing = false;
    }
  }

  /**
   * Settles the waiting requests that can be, one at a time.
   *
   * @returns how long to wait before the next try; undefined if nobody waits any more.
   */
  #serveNext(): number | undefined {
    let shortestMs: number | undefined;
    let isWindowFull = false;
    for (const purpose of purposes) {
      for (const [key, member] of this.#members) {
        const queue = member.queues[purpose];
        for (let waiter = queue[0]; waiter !== undefined; waiter = queue[0]) {
          const { request } = waiter;
          const { pauseMs, windowWaitMs } = this.#waitsOf(request);
          const waitMs = request.signal.aborted ? 0 : Math.max(pauseMs, windowWaitMs);
          const mayWait = windowWaitMs <= request.mostWaitMs() && pauseMs <= mostPauseMs(request);
          if (waitMs > 0 && mayWait) {
            shortestMs = Math.min(shortestMs ?? Infinity, waitMs);
            isWindowFull ||= windowWaitMs > 0;
            break;
          }
          queue.shift();
          if (request.signal.aborted) waiter.fail(request.signal.reason);
          else if (waitMs > 0) waiter.settle(waitMs);
          else {
            waiter.settle(this.#enter(request.tokenCount));
            this.#putLast(key, member);
            return 0;
          }
        }
      }
      // No bulk request takes the place for which an interactive one waits.
      if (isWindowFull) return shortestMs;
    }
    return shortestMs;
  }

  /** Its next turn comes after everybody else's. */
  #putLast(key: object, member: Member): void {
    this.#members.delete(key);
    this.#members.set(key, member);
  }

  #enter(tokenCount: number): RateTicket {
    const wake = () => this.#wake();
    let known = tokenCount;
    const ticket: RateTicket = {
      at: performance.now(),
      get tokenCount() {
        return known;
      },
      set tokenCount(corrected) {
        known = corrected;
        wake();
      },
    };
    this.#tickets.push(ticket);
    return ticket;
  }

  async #sleep(ms: number): Promise<void> {
    const waking = new AbortController();
    const wake = () => waking.abort();
    this.#wake = wake;
    const signals = [...this.#members.values()].flatMap(({ queues }) =>
      purposes.flatMap((purpose) => queues[purpose].map(({ request }) => request.signal)),
    );
    for (const signal of new Set(signals)) signal.addEventListener('abort', wake);
    await sleep(ms, waking.signal);
    for (const signal of new Set(signals)) signal.removeEventListener('abort', wake);
    this.#wake = () => {};
  }

  #waitMs(request: RateRequest): number {
    const { pauseMs, windowWaitMs } = this.#waitsOf(request);
    return Math.max(pauseMs, windowWaitMs);
  }

  /** How long the server's own pause lasts, and how long the limits make the request wait. */
  #waitsOf({ tokenCount, model = '' }: RateRequest): { pauseMs: number; windowWaitMs: number } {
    const now = performance.now();
    const pauseMs = Math.max(0, (this.#pausedUntil.get(model) ?? 0) - now);
    if (pauseMs === 0) this.#pausedUntil.delete(model);
    return { pauseMs, windowWaitMs: this.#windowWaitMs(tokenCount, now) };
  }

  /** How long until the oldest request whose departure makes room has left the window. */
  #windowWaitMs(tokenCount: number, now: number): number {
    const firstInside = this.#tickets.findIndex(({ at }) => now - at < windowMs);
    this.#tickets.splice(0, firstInside === -1 ? this.#tickets.length : firstInside);
    const { requestsPerMinute, tokensPerMinute } = this.#limits;
    if (requestsPerMinute === Infinity && tokensPerMinute === Infinity) return 0;
    let requests = this.#tickets.length;
    let tokens = this.#tickets.reduce((sum, ticket) => sum + ticket.tokenCount, 0);
    const fits = () => requests < requestsPerMinute && (tokens + tokenCount <= tokensPerMinute || requests === 0);
    if (fits()) return 0;
    for (const ticket of this.#tickets) {
      requests--;
      tokens -= ticket.tokenCount;
      if (fits()) return ticket.at + windowMs - now;
    }
    return 0;
  }
}

function mostPauseMs(request: RateRequest): number {
  return request.mostPauseMs?.() ?? request.mostWaitMs();
}

const limiters = new Map<string, RateLimiter>();

/** One limiter for all rows of one base URL and key in this process, since that is what a server counts by. */
export function sharedRateLimiter(baseUrl: string, key: string | null): RateLimiter {
  const name = createHash('sha256').update(`${baseUrl}\n${key}`).digest('base64');
  const known = limiters.get(name);
  if (known !== undefined) return known;
  for (const [each, limiter] of limiters) if (limiter.isIdle) limiters.delete(each);
  const made = new RateLimiter();
  limiters.set(name, made);
  return made;
}
