import Big from 'big.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BudgetEvent, Budgets } from '#src/core/cost/budget.js';
import { limitsOfOptions, limitsOfRow } from '#src/core/cost/budget-limits.js';
import { spanOf } from '#src/core/cost/budget-period.js';
import { isAiProviderError } from '#src/errors.js';

const clock = (at: string) => {
  let now = new Date(at);
  return { now: () => now, set: (next: string) => (now = new Date(next)) };
};
const hard = limitsOfOptions({ dailyUsd: 1, mode: 'hard' });

describe('spanOf', () => {
  it.each([
    ['daily', '2026-11-28T10:00:00Z', 'UTC', '2026-11-28', '2026-11-28T00:00:00.000Z', '2026-11-29T00:00:00.000Z'],
    [
      'daily',
      '2026-11-28T23:30:00Z',
      'Europe/Berlin',
      '2026-11-29',
      '2026-11-28T23:00:00.000Z',
      '2026-11-29T23:00:00.000Z',
    ],
    [
      'daily',
      '2026-03-29T10:00:00Z',
      'Europe/Berlin',
      '2026-03-29',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ],
    [
      'daily',
      '2026-10-25T10:00:00Z',
      'Europe/Berlin',
      '2026-10-25',
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
    ],
    ['monthly', '2026-12-31T23:59:59Z', 'UTC', '2026-12', '2026-12-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z'],
    [
      'monthly',
      '2026-11-30T20:00:00Z',
      'Asia/Kolkata',
      '2026-12',
      '2026-11-30T18:30:00.000Z',
      '2026-12-31T18:30:00.000Z',
    ],
    // Clocks go from 23:59:59 to 01:00: the day has no midnight.
    [
      'daily',
      '2026-04-24T12:00:00Z',
      'Africa/Cairo',
      '2026-04-24',
      '2026-04-23T22:00:00.000Z',
      '2026-04-24T21:00:00.000Z',
    ],
  ] as const)('%s at %s in %s', (period, at, timeZone, key, from, to) => {
    const span = spanOf(period, new Date(at), timeZone);
    expect([span.key, span.from.toISOString(), span.to.toISOString()]).toEqual([key, from, to]);
  });

  it('holds the moment, and the next one begins where it ends', () => {
    const zones = fc.constantFrom(
      'UTC',
      'Europe/Berlin',
      'America/New_York',
      'Asia/Kolkata',
      'Pacific/Apia',
      'Australia/Lord_Howe',
    );
    const moments = fc.date({ min: new Date('2000-01-01'), max: new Date('2035-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(fc.constantFrom('daily' as const, 'monthly' as const), moments, zones, (period, now, zone) => {
        const span = spanOf(period, now, zone);
        expect(span.from <= now && now < span.to).toBe(true);
        expect(spanOf(period, span.to, zone).from).toEqual(span.to);
        expect(spanOf(period, new Date(span.to.getTime() - 1), zone).key).toBe(span.key);
      }),
    );
  });
});

describe('limits', () => {
  const rowOf = (costConfig: Record<string, unknown>) => limitsOfRow({ id: 7, costConfig });

  it('are read from a row', () => {
    const limits = rowOf({
      daily_budget_usd: '2.50',
      monthly_budget_usd: 40,
      budget_mode: 'hard',
      budget_time_zone: 'Europe/Berlin',
    });
    expect(limits.map(({ period, limit, isHard, timeZone }) => [period, limit.toFixed(), isHard, timeZone])).toEqual([
      ['daily', '2.5', true, 'Europe/Berlin'],
      ['monthly', '40', true, 'Europe/Berlin'],
    ]);
    expect(rowOf({})).toEqual([]);
  });

  it.each([
    [{ daily_budget_usd: -1 }, 'daily_budget_usd'],
    [{ daily_budget_usd: '$5' }, 'daily_budget_usd'],
    [{ monthly_budget_usd: {} }, 'monthly_budget_usd'],
    [{ daily_budget_usd: 5, budget_mode: 'strict' }, 'budget_mode'],
    [{ daily_budget_usd: 5, budget_time_zone: 'Berlin' }, 'budget_time_zone'],
  ])('that cannot be applied are an error: %j', (costConfig, key) => {
    expect(() => rowOf(costConfig)).toThrowError(
      expect.objectContaining({ code: 'invalid_config', message: expect.stringContaining(key) }),
    );
  });
});

describe('Budgets', () => {
  it('lets calls at once take no more than there is', () => {
    const budgets = new Budgets();
    let refused = 0;
    const reservations = Array.from({ length: 100 }, () => {
      try {
        return budgets.reserve(1, hard, new Big('0.03'));
      } catch (error) {
        expect(isAiProviderError(error, 'budget_exceeded')).toBe(true);
        refused++;
        return undefined;
      }
    });
    expect(refused).toBe(67);
    for (const reservation of reservations) reservation?.settle('0.01');
    expect(budgets.leftOf(1, hard)?.toFixed()).toBe('0.67');
    expect(budgets.leftOf(2, hard)?.toFixed()).toBe('1');
  });

  it('never blocks what is free, and says when the budget renews', () => {
    const { now, set } = clock('2026-11-28T10:00:00Z');
    const budgets = new Budgets({ now });
    budgets.reserve(1, hard, new Big(1)).settle('1');
    budgets.reserve(1, hard, new Big(0)).settle('0');
    expect(budgets.allows(1, hard, new Big(0))).toBe(true);
    expect(budgets.allows(1, hard, new Big('0.000001'))).toBe(false);
    expect(() => budgets.reserve(1, hard, new Big('0.000001'))).toThrowError(
      expect.objectContaining({
        code: 'budget_exceeded',
        renewsAt: new Date('2026-11-29T00:00:00Z'),
        retryAfterMs: 14 * 3_600_000,
        limit: '1',
        spent: '1',
      }),
    );
    set('2026-11-29T00:00:00Z');
    budgets.reserve(1, hard, new Big('0.5')).settle('0.5');
  });

  it('warns once at 50, 80 and 100 %, and blocks nothing if it is soft', () => {
    const events: BudgetEvent[] = [];
    const { now, set } = clock('2026-11-28T10:00:00Z');
    const budgets = new Budgets({ now, onBudget: (event) => events.push(event) });
    const soft = limitsOfOptions({ dailyUsd: 1 });
    const spend = (cost: string) => budgets.reserve(1, soft, new Big(cost)).settle(cost);
    const percents = () => events.map(({ percent }) => percent);
    spend('0.4');
    expect(percents()).toEqual([]);
    spend('0.1');
    spend('0.1');
    expect(percents()).toEqual([50]);
    spend('1.5');
    spend('1.5');
    expect(percents()).toEqual([50, 80, 100]);
    set('2026-11-29T10:00:00Z');
    spend('0.9');
    expect(percents()).toEqual([50, 80, 100, 50, 80]);
    expect(events.at(-1)).toMatchObject({ tenantId: 1, period: 'daily', span: '2026-11-29', spent: '0.9', limit: '1' });
  });

  it('counts the estimate of a call whose cost is unknown', () => {
    const budgets = new Budgets();
    budgets.reserve(1, hard, new Big('0.7')).settle(null);
    expect(budgets.leftOf(1, hard)?.toFixed()).toBe('0.3');
  });

  it('counts what other processes spent, once it is read, and goes on with the last figure if it cannot be', async () => {
    const { now, set } = clock('2026-11-28T10:00:00Z');
    let spent = '0.25';
    let isAway = false;
    let readCount = 0;
    const reader = {
      readUsage: async () => {
        readCount++;
        if (isAway) throw new Error('away');
        return [{ cost: spent }] as never;
      },
    };
    const budgets = new Budgets({ now, reader });
    const left = async () => {
      await budgets.load(1, hard);
      return budgets.leftOf(1, hard)?.toFixed();
    };
    expect(await left()).toBe('0.75');
    budgets.reserve(1, hard, new Big('0.1')).settle('0.1');
    expect(await left()).toBe('0.65');
    expect(readCount).toBe(1);
    // Written by now: it is in what is read, and counts once.
    spent = '0.45';
    set('2026-11-28T10:01:00Z');
    expect(await left()).toBe('0.55');
    isAway = true;
    set('2026-11-28T10:02:00Z');
    expect(await left()).toBe('0.55');
  });

  it('never goes over, whatever calls reserve and settle, if no call costs more than its estimate', () => {
    const step = fc.record({
      estimate: fc.integer({ min: 0, max: 40 }),
      share: fc.integer({ min: 0, max: 100 }),
      settles: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const budgets = new Budgets();
        let paid = new Big(0);
        const open: (() => void)[] = [];
        for (const { estimate, share, settles } of steps) {
          const amount = new Big(estimate).div(100);
          try {
            const reservation = budgets.reserve(1, hard, amount);
            const cost = amount.times(share).div(100);
            open.push(() => {
              paid = paid.plus(cost);
              reservation.settle(cost.toFixed());
            });
          } catch (error) {
            expect(isAiProviderError(error, 'budget_exceeded')).toBe(true);
          }
          if (settles) open.shift()?.();
        }
        for (const settle of open) settle();
        expect(paid.lte(1)).toBe(true);
        expect(budgets.leftOf(1, hard)?.toFixed()).toBe(new Big(1).minus(paid).toFixed());
      }),
    );
  });
});
