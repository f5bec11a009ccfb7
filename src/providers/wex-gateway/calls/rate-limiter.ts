import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import { sleep } from '../../../internal/sleep.js';

export interface RateLimits {
  readonly requestsPerMinute?: number | undefined;
  readonly tokensPerMinute?: number | undefined;
}

/** One request in the books of a {@link RateLimiter}. */
export interface RateTicket {
  readonly at: number;
  /** May be put right once the server has told the true number. */
  tokenCount: number;
}

export interface RateRequest {
  readonly tokenCount: number;
  /** The longest wait that makes sense, once it is this request's turn. */
  mostWaitMs(): number;
  readonly signal: AbortSignal;
}

const windowMs = 60_000;

/** Keeps the requests of any 60 seconds within limits. Waiting requests go in the order in which they came. */
export class RateLimiter {
  readonly #queue = pLimit(1);
  #tickets: RateTicket[] = [];
  /** Lets the request whose turn it is reckon anew. */
  #reckonAnew = () => {};

  /**
   * Waits until a request fits. More tokens than the limit allows in a minute wait for an empty window.
   *
   * @returns the entry in the books, or the milliseconds that it would have had to wait where those are too many.
   */
  acquire(limits: RateLimits, { tokenCount, mostWaitMs, signal }: RateRequest): Promise<RateTicket | number> {
    return this.#queue(async () => {
      for (;;) {
        signal.throwIfAborted();
        const waitMs = this.#waitMs(limits, tokenCount);
        if (waitMs <= 0) return this.#write(tokenCount);
        if (waitMs > mostWaitMs()) return waitMs;
        await this.#sleep(waitMs, signal);
      }
    });
  }

  #write(tokenCount: number): RateTicket {
    const reckonAnew = () => this.#reckonAnew();
    let known = tokenCount;
    const ticket: RateTicket = {
      at: performance.now(),
      get tokenCount() {
        return known;
      },
      set tokenCount(corrected) {
        known = corrected;
        reckonAnew();
      },
    };
    this.#tickets.push(ticket);
    return ticket;
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const waking = new AbortController();
    const wake = () => waking.abort();
    this.#reckonAnew = wake;
    signal.addEventListener('abort', wake);
    await sleep(ms, waking.signal);
    signal.removeEventListener('abort', wake);
  }

  /** How long until the oldest request whose departure makes room has left the window. */
  #waitMs({ requestsPerMinute = Infinity, tokensPerMinute = Infinity }: RateLimits, tokenCount: number): number {
    const now = performance.now();
    this.#tickets = this.#tickets.filter(({ at }) => now - at < windowMs);
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

const limiters = new Map<string, RateLimiter>();

/** One limiter for all callers of one base URL and key in this process, since that is what a server counts by. */
export function sharedRateLimiter(baseUrl: string, apiKey: string | null): RateLimiter {
  const key = createHash('sha256').update(`${baseUrl}\n${apiKey}`).digest('base64');
  const limiter = limiters.get(key) ?? new RateLimiter();
  limiters.set(key, limiter);
  return limiter;
}
