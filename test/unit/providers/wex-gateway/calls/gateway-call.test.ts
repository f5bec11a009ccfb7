import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProviderError } from '#src/errors.js';
import { type GatewayCallOptions, openGatewayCall } from '#src/providers/wex-gateway/calls/gateway-call.js';
import type { RateTicket } from '#src/providers/wex-gateway/calls/rate-limiter.js';
import { readFailure } from '#src/providers/wex-gateway/calls/server-words.js';
import { ReportedFailure } from '#src/providers/wex-gateway/calls/to-provider-error.js';

const endpoint = { id: 'wex_ai_gateway', host: 'gateway.example', secrets: ['key'] };
const open = (options: Partial<GatewayCallOptions> = {}) =>
  openGatewayCall({
    endpoint,
    timeoutMs: 10_000,
    deadlineMs: 10_000,
    maxRetries: 3,
    retryDelayMs: 1,
    closeSignal: new AbortController().signal,
    ...options,
  });
const unavailable = () => new ProviderError('down', { code: 'unavailable', isRetryable: true, provider: 'p' });

describe('openGatewayCall', () => {
  it('leaves no listener on the signals of the caller and the provider', async () => {
    const caller = new AbortController().signal;
    const closing = new AbortController().signal;
    const { call, close } = open({ signal: caller, closeSignal: closing });
    await call.request(async () => 'answer');
    expect([caller, closing].map((signal) => getEventListeners(signal, 'abort').length)).toEqual([1, 1]);
    close();
    expect([caller, closing, call.signal].flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
  });

  it('leaves no timer', () => {
    const timerCount = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timerCount();
    const calls = Array.from({ length: 20 }, () => open());
    expect(timerCount()).toBeGreaterThanOrEqual(before + 20);
    for (const { close } of calls) close();
    expect(timerCount()).toBeLessThan(before + 20);
  });

  it('warns of no leak if many calls share a signal', async () => {
    const warnings: unknown[] = [];
    const note = (warning: unknown) => warnings.push(warning);
    process.on('warning', note);
    const { signal } = new AbortController();
    const calls = Array.from({ length: 30 }, () => open({ signal }));
    await new Promise((resolve) => setImmediate(resolve));
    for (const { close } of calls) close();
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('GatewayCall.request', () => {
  it('makes retries take turns until one succeeds', async () => {
    const { call, close } = open();
    let retrying = 0;
    let mostBeforeSuccess = 0;
    let hasSucceeded = false;
    const requests = Array.from({ length: 5 }, () =>
      call.request(async ({ number }) => {
        if (number === 1) throw unavailable();
        retrying++;
        if (!hasSucceeded) mostBeforeSuccess = Math.max(mostBeforeSuccess, retrying);
        await new Promise((resolve) => setImmediate(resolve));
        retrying--;
        hasSucceeded = true;
        return number;
      }),
    );
    expect(await Promise.all(requests)).toEqual([2, 2, 2, 2, 2]);
    expect(mostBeforeSuccess).toBe(1);
    close();
  });

  it('gives up on the call if one request has no retries left and nothing else succeeds', async () => {
    const { call, close } = open();
    let count = 0;
    const requests = Array.from({ length: 5 }, () =>
      call.request(async () => {
        count++;
        throw unavailable();
      }),
    );
    const outcomes = await Promise.allSettled(requests);
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(count).toBe(5 + 3);
    await expect(call.request(async () => 'answer')).rejects.toMatchObject({ code: 'unavailable' });
    expect(count).toBe(5 + 3);
    close();
  });

  it('does not retry what is not worth it, nor what it does not know', async () => {
    const { call, close } = open();
    let count = 0;
    const fail = (error: unknown) =>
      call.request(async () => {
        count++;
        throw error;
      });
    await expect(fail(new ProviderError('no', { code: 'input_refused', provider: 'p' }))).rejects.toThrow('no');
    const target = { model: 'm', path: '/p', parameters: [], inputs: [] };
    const refused = new ReportedFailure(readFailure('{"error":{"message":"secret"}}', 401), new Headers(), target);
    await expect(fail(refused)).rejects.toMatchObject({
      code: 'authentication_failed',
      message: expect.not.stringContaining('secret'),
    });
    expect(count).toBe(2);
    close();
  });
});

describe('a call that another provider can serve', () => {
  const failing = async (options: Partial<GatewayCallOptions>, error: ProviderError) => {
    const { call, close } = open({ hasFallback: true, retryDelayMs: 10_000, ...options });
    let count = 0;
    const request = call.request(async () => {
      count++;
      throw error;
    });
    await expect(request).rejects.toBe(error);
    close();
    return count;
  };

  it('is given back at once instead of waiting for a server that answered', async () => {
    const limited = {
      code: 'rate_limited',
      isRetryable: true,
      provider: 'p',
      status: 429,
      retryAfterMs: 5000,
    } as const;
    expect(await failing({}, new ProviderError('slow down', limited))).toBe(1);
    const down = { code: 'unavailable', isRetryable: true, provider: 'p', status: 503 } as const;
    expect(await failing({}, new ProviderError('down', down))).toBe(1);
  });

  it('is tried once more at once if the connection broke, which may have been an old one', async () => {
    expect(await failing({ retryDelayMs: 1 }, unavailable())).toBe(2);
  });

  it('waits a little if it is bulk work, and not for long', async () => {
    const down = { code: 'unavailable', isRetryable: true, provider: 'p', status: 503 } as const;
    const bulk = { purpose: 'bulk', retryDelayMs: 1 } as const;
    expect(await failing(bulk, new ProviderError('down', down))).toBe(4);
    expect(await failing(bulk, new ProviderError('down', { ...down, retryAfterMs: 6000 }))).toBe(1);
  });
});

describe('the deadline of a call that waits for the rate limits', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const waiting = (options: Partial<GatewayCallOptions>) => {
    let letThrough = () => {};
    const turn = new Promise<RateTicket>((resolve) => {
      letThrough = () => resolve({ at: 0, tokenCount: 1 });
    });
    const rate = { acquire: () => turn, pause: () => {}, leave: () => {} };
    const { call, close } = open({ deadlineMs: 1000, rate, ...options });
    const answer = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, 'answer'));
    const requestOf = (ms: number) => {
      const request = call.request(() => answer(ms));
      request.catch(() => {});
      return request;
    };
    return { requestOf, letThrough, close };
  };

  it('stands still meanwhile, and goes on afterwards', async () => {
    const { requestOf, letThrough, close } = waiting({});
    const [quick, slow] = [requestOf(900), requestOf(1100)];
    await vi.advanceTimersByTimeAsync(60_000);
    letThrough();
    await vi.advanceTimersByTimeAsync(2000);
    await expect(quick).resolves.toBe('answer');
    await expect(slow).rejects.toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('answer') });
    close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('runs on if it is the own one of the host, and the error says what took the time', async () => {
    const { requestOf, close } = waiting({ isDeadlineFixed: true });
    const request = requestOf(1);
    await vi.advanceTimersByTimeAsync(1000);
    const message = expect.stringContaining('requests_per_minute');
    await expect(request).rejects.toMatchObject({ code: 'deadline_exceeded', message });
    close();
  });
});
