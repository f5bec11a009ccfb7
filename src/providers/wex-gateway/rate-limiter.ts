import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import { sleep } from '../../internal/sleep.js';

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

const windowMs = 60_000;

/** Keeps the requests of any 60 seconds within limits. Waiting requests go in the order in which they came. */
export class RateLimiter {
  readonly #queue = pLimit(1);
  #tickets: RateTicket[] = [];

  /** Waits until a request fits. More tokens than the limit allows in a minute wait for an empty window. */
  acquire(limits: RateLimits, tokenCount: number, signal: AbortSignal): Promise<RateTicket> {
    return this.#queue(async () => {
      for (;;) {
        signal.throwIfAborted();
        const waitMs = this.#waitMs(limits, tokenCount);
        if (waitMs <= 0) break;
        await sleep(waitMs, signal);
      }
      const ticket = { at: performance.now(), tokenCount };
      this.#tickets.push(ticket);
      return ticket;
    });
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
