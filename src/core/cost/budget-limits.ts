import Big from 'big.js';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import type { Integration } from '../ports/integration-repository.js';
import type { BudgetPeriod } from './budget-period.js';
import { requireTimeZone } from './usage-report.js';

/** What a tenant may spend, all its integrations together. */
export interface BudgetOptions {
  /** US dollars a day. @default no limit */
  readonly dailyUsd?: number | undefined;
  /** US dollars a calendar month. @default no limit */
  readonly monthlyUsd?: number | undefined;
  /**
   * `hard`: what would cost more than is left is not sent; free providers serve on. `soft`: warnings only.
   * @default 'soft'
   */
  readonly mode?: 'soft' | 'hard' | undefined;
  /** When a day and a month begin: an IANA name such as `Europe/Berlin`. @default 'UTC' */
  readonly timeZone?: string | undefined;
}

export interface BudgetLimit {
  readonly period: BudgetPeriod;
  readonly limit: Big;
  readonly isHard: boolean;
  readonly timeZone: string;
}

/** The keys of a budget in `cost_config`. */
export const budgetKeys = {
  daily: 'daily_budget_usd',
  monthly: 'monthly_budget_usd',
  mode: 'budget_mode',
  timeZone: 'budget_time_zone',
} as const;

/** @throws `InvalidInputError` for an option that cannot be used. */
export function limitsOfOptions(options: BudgetOptions = {}): BudgetLimit[] {
  const { dailyUsd, monthlyUsd, mode = 'soft', timeZone = 'UTC' } = options;
  if (mode !== 'soft' && mode !== 'hard') {
    throw new InvalidInputError(`Expected \`budget.mode\` to be 'soft' or 'hard', got ${describeValue(mode)}.`);
  }
  requireTimeZone(timeZone);
  return toLimits({ daily: dailyUsd, monthly: monthlyUsd }, mode, timeZone, (value, period) => {
    throw new InvalidInputError(
      `Expected \`budget.${period}Usd\` to be a number from 0 up, got ${describeValue(value)}.`,
    );
  });
}

/**
 * The limits that a row's `cost_config` states.
 *
 * @throws {@link AiProviderError} `invalid_config` for a limit that cannot be applied: it must not be passed over in
 *   silence.
 */
export function limitsOfRow({ id, costConfig }: Pick<Integration, 'id' | 'costConfig'>): BudgetLimit[] {
  const fail = (key: string, expected: string, value: unknown): never => {
    throw new AiProviderError(
      `Expected \`cost_config.${key}\` of integration ${id} to be ${expected}, got ${describeValue(value)}.`,
      { code: 'invalid_config' },
    );
  };
  const mode = costConfig[budgetKeys.mode] ?? 'soft';
  if (mode !== 'soft' && mode !== 'hard') return fail(budgetKeys.mode, "'soft' or 'hard'", mode);
  const timeZone = costConfig[budgetKeys.timeZone] ?? 'UTC';
  try {
    requireTimeZone(timeZone);
  } catch {
    return fail(budgetKeys.timeZone, 'an IANA time zone such as Europe/Berlin', timeZone);
  }
  const amounts = { daily: costConfig[budgetKeys.daily], monthly: costConfig[budgetKeys.monthly] };
  return toLimits(amounts, mode, timeZone as string, (value, period) =>
    fail(budgetKeys[period], 'a number or a decimal string from 0 up', value),
  );
}

function toLimits(
  amounts: Readonly<Record<BudgetPeriod, unknown>>,
  mode: 'soft' | 'hard',
  timeZone: string,
  fail: (value: unknown, period: BudgetPeriod) => never,
): BudgetLimit[] {
  return (['daily', 'monthly'] as const).flatMap((period) => {
    const value = amounts[period];
    if (value === undefined || value === null) return [];
    const isAmount =
      (typeof value === 'number' && Number.isFinite(value) && value >= 0) ||
      (typeof value === 'string' && /^\d{1,15}(\.\d{1,15})?$/.test(value));
    if (!isAmount) return fail(value, period);
    return [{ period, limit: new Big(value as number | string), isHard: mode === 'hard', timeZone }];
  });
}
