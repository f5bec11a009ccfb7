import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  RateLimiter,
  type RateLimits,
  type RateRequest,
  type RateTicket,
  sharedRateLimiter,
} from '#src/providers/wex-gateway/calls/rate-limiter.js';

const never = new AbortController().signal;
const request = (tokenCount: number, signal = never, mostWaitMs = Number.POSITIVE_INFINITY) => ({
  tokenCount,
  signal,
  mostWaitMs: () => mostWaitMs,
});

/** One row for each set of limits of a limiter. */
const members = new WeakMap<RateLimiter, Map<string, ReturnType<RateLimiter['join']>>>();
function acquire(limiter: RateLimiter, limits: RateLimits, asked: RateRequest) {
  const known = members.get(limiter) ?? new Map<string, ReturnType<RateLimiter['join']>>();
  members.set(limiter, known);
  const key = JSON.stringify(limits);
  const member = known.get(key) ?? limiter.join(limits);
  known.set(key, member);
  return member.acquire(asked);
}

describe('RateLimiter', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const acquired = async (limiter: RateLimiter, limits: object, tokenCounts: readonly number[]) => {
    const start = performance.now();
    const times: number[] = [];
    const all = tokenCounts.map((count) =>
      acquire(limiter, limits, request(count)).then(() => times.push(Math.round((performance.now() - start) / 1000))),
    );
    await vi.runAllTimersAsync();
    await Promise.all(all);
    return times;
  };

  it('lets requests through at once up to the limit, and the next as the first ones leave the window', async () => {
    expect(await acquired(new RateLimiter(), { requestsPerMinute: 2 }, [1, 1, 1, 1, 1])).toEqual([0, 0, 60, 60, 120]);
  });

  it('counts tokens', async () => {
    expect(await acquired(new RateLimiter(), { tokensPerMinute: 100 }, [60, 40, 1, 99])).toEqual([0, 0, 60, 60]);
  });

  it('lets a request pass that is larger than the limit once the window is empty', async () => {
    expect(await acquired(new RateLimiter(), { tokensPerMinute: 100 }, [10, 500, 1])).toEqual([0, 60, 120]);
  });

  it('takes the true number of tokens for what it is', async () => {
    const limiter = new RateLimiter();
    const ticket = (await acquire(limiter, { tokensPerMinute: 100 }, request(100))) as RateTicket;
    ticket.tokenCount = 30;
    expect(await acquired(limiter, { tokensPerMinute: 100 }, [70, 1])).toEqual([0, 60]);
  });

  it('lets a waiting request go as soon as a corrected number makes room', async () => {
    const limiter = new RateLimiter();
    const ticket = (await acquire(limiter, { tokensPerMinute: 100 }, request(90))) as RateTicket;
    const start = performance.now();
    const waiting = acquire(limiter, { tokensPerMinute: 100 }, request(70));
    await vi.advanceTimersByTimeAsync(1000);
    ticket.tokenCount = 30;
    await waiting;
    expect(performance.now() - start).toBe(1000);
  });

  it('says how long a request would wait if that is too long, and lets the next one go', async () => {
    const limiter = new RateLimiter();
    const limits = { tokensPerMinute: 100 };
    await acquire(limiter, limits, request(90));
    expect(await acquire(limiter, limits, request(20, never, 59_000))).toBe(60_000);
    expect(await acquire(limiter, limits, request(10))).toMatchObject({ tokenCount: 10 });
  });

  it('lets the next one go if the first in the queue is aborted', async () => {
    const limiter = new RateLimiter();
    await acquire(limiter, { requestsPerMinute: 1 }, request(1));
    const controller = new AbortController();
    const first = acquire(limiter, { requestsPerMinute: 1 }, request(1, controller.signal));
    const second = acquired(limiter, { requestsPerMinute: 1 }, [1]);
    controller.abort('enough');
    await expect(first).rejects.toBe('enough');
    expect(await second).toEqual([60]);
  });

  it('never lets more through in any 60 seconds, whatever comes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 50, max: 100 }),
        async (tokenCounts, requestsPerMinute, tokensPerMinute) => {
          const times = await acquired(new RateLimiter(), { requestsPerMinute, tokensPerMinute }, tokenCounts);
          expect(times).toHaveLength(tokenCounts.length);
          for (let i = 0; i < times.length; i++) {
            const window = times.flatMap((time, j) => (time >= times[i]! && time < times[i]! + 60 ? [j] : []));
            expect(window.length).toBeLessThanOrEqual(requestsPerMinute);
            expect(window.reduce((sum, j) => sum + tokenCounts[j]!, 0)).toBeLessThanOrEqual(tokensPerMinute);
          }
        },
      ),
    );
  });
});

describe('rows that share a limit', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Who gets a place, in order, as the window makes room for one at a time. */
  const order = async (asked: readonly { row: number; name: string; purpose?: 'interactive' | 'bulk' }[]) => {
    const limiter = new RateLimiter();
    const rows = [limiter.join({ requestsPerMinute: 1 }), limiter.join({}), limiter.join({})];
    await rows[0]?.acquire(request(1));
    const served: string[] = [];
    const all = asked.map(({ row, name, purpose }) =>
      rows[row]?.acquire({ ...request(1), purpose }).then(() => served.push(name)),
    );
    await vi.runAllTimersAsync();
    await Promise.all(all);
    return served;
  };

  it('take turns, also if only one of them states it', async () => {
    const asked = [0, 0, 0, 1, 1, 2].map((row, at) => ({ row, name: `${row}-${at}` }));
    expect(await order(asked)).toEqual(['1-3', '2-5', '0-0', '1-4', '0-1', '0-2']);
  });

  it('let interactive requests go before bulk ones', async () => {
    const bulk = [0, 0, 0].map((row, at) => ({ row, name: `bulk ${at}`, purpose: 'bulk' as const }));
    expect(await order([...bulk, { row: 1, name: 'a user' }, { row: 0, name: 'another' }])).toEqual([
      'a user',
      'another',
      'bulk 0',
      'bulk 1',
      'bulk 2',
    ]);
  });

  it('keep to the strictest limit, until its row is gone', async () => {
    const limiter = new RateLimiter();
    const strict = limiter.join({ requestsPerMinute: 1 });
    const loose = limiter.join({ requestsPerMinute: 100 });
    await loose.acquire(request(1));
    expect(await loose.acquire(request(1, never, 0))).toBe(60_000);
    strict.leave();
    expect(await loose.acquire(request(1, never, 0))).toMatchObject({ tokenCount: 1 });
  });

  it('leave a model alone for as long as the server asked, and no other model', async () => {
    const row = new RateLimiter().join({});
    row.pause('a', 5000);
    expect(await row.acquire({ ...request(1, never, 0), model: 'a' })).toBe(5000);
    expect(await row.acquire({ ...request(1, never, 0), model: 'b' })).toMatchObject({ tokenCount: 1 });
    const waiting = row.acquire({ ...request(1), model: 'a' });
    await vi.advanceTimersByTimeAsync(5000);
    expect(await waiting).toMatchObject({ tokenCount: 1 });
  });
});

describe('sharedRateLimiter', () => {
  it('is one for all callers of a base URL and key', () => {
    expect(sharedRateLimiter('https://a', 'k')).toBe(sharedRateLimiter('https://a', 'k'));
    expect(sharedRateLimiter('https://a', 'k')).not.toBe(sharedRateLimiter('https://a', 'other'));
    expect(sharedRateLimiter('https://a', null)).not.toBe(sharedRateLimiter('https://b', null));
  });
});
