import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProviderError } from '#src/errors.js';
import { type GatewayCallOptions, openGatewayCall } from '#src/providers/wex-gateway/calls/gateway-call.js';
import type { RateTicket } from '#src/providers/wex-gateway/calls/rate-limiter.js';

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

  it('warns of no leak where many calls share a signal', async () => {
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
  it('makes retries take turns', async () => {
    const { call, close } = open();
    let retrying = 0;
    let most = 0;
    const requests = Array.from({ length: 5 }, () =>
      call.request(async ({ number }) => {
        if (number === 1) throw unavailable();
        most = Math.max(most, ++retrying);
        await new Promise((resolve) => setImmediate(resolve));
        retrying--;
        return number;
      }),
    );
    expect(await Promise.all(requests)).toEqual([2, 2, 2, 2, 2]);
    expect(most).toBe(1);
    close();
  });

  it('gives up on the call where one request has no retries left and nothing else succeeds', async () => {
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
    await expect(fail(Object.assign(new Error('secret'), { status: 401 }))).rejects.toMatchObject({
      code: 'authentication_failed',
      message: expect.not.stringContaining('secret'),
    });
    expect(count).toBe(2);
    close();
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
    const { call, close } = open({ deadlineMs: 1000, pace: () => turn, ...options });
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

  it('goes on where it is the own one of the host, who is told what took the time', async () => {
    const { requestOf, close } = waiting({ isPaceTimed: true });
    const request = requestOf(1);
    await vi.advanceTimersByTimeAsync(1000);
    const message = expect.stringContaining('requests_per_minute');
    await expect(request).rejects.toMatchObject({ code: 'deadline_exceeded', message });
    close();
  });
});
