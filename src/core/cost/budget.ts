import Big from 'big.js';
import { BudgetExceededError } from '../../errors.js';
import type { Logger } from '../ports/logger.js';
import type { UsageReader } from '../ports/usage-reader.js';
import type { BudgetLimit } from './budget-limits.js';
import { type BudgetPeriod, type PeriodSpan, spanOf } from './budget-period.js';

/** A threshold that a tenant's spending has reached. */
export interface BudgetEvent {
  readonly tenantId: number;
  readonly period: BudgetPeriod;
  /** Such as `2026-11-28` or `2026-11`. */
  readonly span: string;
  /** 50, 80 or 100. */
  readonly percent: number;
  /** US dollars, as decimal strings. */
  readonly spent: string;
  readonly limit: string;
  readonly isHard: boolean;
  readonly renewsAt: Date;
}

export interface BudgetsOptions {
  /** Where the spending is read, that of other processes too. Without it only this process's own counts. */
  readonly reader?: UsageReader | undefined;
  /** Called once for each threshold. What it throws is logged. */
  readonly onBudget?: ((event: BudgetEvent) => void) | undefined;
  readonly logger?: Logger | undefined;
  /** @default the clock */
  readonly now?: (() => Date) | undefined;
  /**
   * How long the spending that was read counts, in milliseconds. What other processes spend in this time is not seen
   * yet: that is how much several processes together may go over a budget.
   * @default 30_000
   */
  readonly refreshMs?: number | undefined;
}

/** Money that is set aside for a call until its cost is known. */
export interface Reservation {
  /** @param cost - What the call cost; null if that is unknown: then the estimate counts. May be called once. */
  settle(cost: string | null): void;
}

/** What is known of one tenant in one day or month. */
interface Spending {
  readonly span: PeriodSpan;
  /** As it was read last. */
  read: Big;
  readAt: number;
  /** Settled by this process since then; it may not be in what was read. */
  own: { readonly at: number; readonly cost: Big }[];
  reserved: Big;
  readonly warned: Set<number>;
  reading: Promise<void> | undefined;
}

const thresholds = [50, 80, 100];
/** A row is written this long after its request at the latest, as a rule: until then the own books count. */
const writeDelayMs = 5_000;
const noReservation: Reservation = { settle: () => {} };

/**
 * What tenants have spent against what they may spend. Reserving is one step that nothing interrupts, so that calls at
 * once stay below.
 */
export class Budgets {
  readonly #options: BudgetsOptions;
  readonly #now: () => Date;
  readonly #refreshMs: number;
  readonly #spendings = new Map<string, Spending>();

  constructor(options: BudgetsOptions = {}) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
    this.#refreshMs = options.refreshMs ?? 30_000;
  }

  /**
   * Reads what was spent, if that is not known or old. Never throws: without the database the last reading and the own
   * books count.
   */
  async load(tenantId: number, limits: readonly BudgetLimit[]): Promise<void> {
    await Promise.all(limits.map((limit) => this.#refresh(tenantId, this.#spendingOf(tenantId, limit), limit)));
  }

  /** US dollars that are left of the tightest limit, or null without one. */
  leftOf(tenantId: number, limits: readonly BudgetLimit[], onlyHard = false): Big | null {
    const left = limits
      .filter(({ isHard }) => isHard || !onlyHard)
      .map((limit) => limit.limit.minus(sumOf(this.#spendingOf(tenantId, limit))));
    return left.reduce<Big | null>((least, one) => (least === null || one.lt(least) ? one : least), null);
  }

  /** Whether a call may be sent. What is free always may. */
  allows(tenantId: number, limits: readonly BudgetLimit[], estimate: Big): boolean {
    return estimate.eq(0) || this.#refusalOf(tenantId, limits, estimate) === undefined;
  }

  /**
   * Sets money aside for a call.
   *
   * @throws {@link BudgetExceededError} if a hard limit leaves less than the estimate.
   */
  reserve(tenantId: number, limits: readonly BudgetLimit[], estimate: Big): Reservation {
    if (limits.length === 0) return noReservation;
    const refusal = estimate.eq(0) ? undefined : this.#refusalOf(tenantId, limits, estimate);
    if (refusal !== undefined) throw refusal;
    const spendings = limits.map((limit) => ({ limit, spending: this.#spendingOf(tenantId, limit) }));
    for (const { spending } of spendings) spending.reserved = spending.reserved.plus(estimate);
    let isSettled = false;
    return {
      settle: (cost) => {
        if (isSettled) return;
        isSettled = true;
        const amount = cost === null ? estimate : new Big(cost);
        for (const { limit, spending } of spendings) {
          spending.reserved = spending.reserved.minus(estimate);
          this.#enter(spending, amount);
          this.#warn(tenantId, limit, spending);
        }
      },
    };
  }

  /** One entry for each second, so that the books stay short. */
  #enter(spending: Spending, amount: Big): void {
    if (amount.eq(0)) return;
    const at = this.#now().getTime();
    const last = spending.own.at(-1);
    if (last === undefined || at - last.at > 1_000) spending.own.push({ at, cost: amount });
    else spending.own[spending.own.length - 1] = { at, cost: last.cost.plus(amount) };
    if (this.#options.reader !== undefined) return;
    spending.read = sumOf(spending).minus(spending.reserved);
    spending.own = [];
  }

  #refusalOf(tenantId: number, limits: readonly BudgetLimit[], estimate: Big): BudgetExceededError | undefined {
    for (const limit of limits) {
      const spending = this.#spendingOf(tenantId, limit);
      const taken = sumOf(spending);
      if (!limit.isHard || taken.plus(estimate).lte(limit.limit)) continue;
      return new BudgetExceededError(
        `Tenant ${tenantId} has used up its ${limit.period} budget of ${limit.limit.toFixed()} US dollars: ${taken.toFixed(4)} are spent or set aside, ` +
          `and the call is estimated at ${estimate.toPrecision(2)}. It renews at ${spending.span.to.toISOString()}; a free provider could serve until then.`,
        {
          tenantId,
          period: limit.period,
          limit: limit.limit.toFixed(),
          spent: taken.toFixed(),
          renewsAt: spending.span.to,
          retryAfterMs: Math.max(0, spending.span.to.getTime() - this.#now().getTime()),
        },
      );
    }
    return undefined;
  }

  #spendingOf(tenantId: number, { period, timeZone }: BudgetLimit): Spending {
    const now = this.#now();
    const key = `${tenantId}|${period}|${timeZone}`;
    let spending = this.#spendings.get(key);
    if (spending === undefined || now >= spending.span.to) {
      spending = {
        span: spanOf(period, now, timeZone),
        read: new Big(0),
        readAt: Number.NEGATIVE_INFINITY,
        own: [],
        reserved: new Big(0),
        warned: new Set(),
        reading: undefined,
      };
      this.#spendings.set(key, spending);
    }
    return spending;
  }

  async #refresh(tenantId: number, spending: Spending, limit: BudgetLimit): Promise<void> {
    const { reader } = this.#options;
    if (reader === undefined || this.#now().getTime() - spending.readAt < this.#refreshMs) return;
    spending.reading ??= this.#read(reader, tenantId, spending, limit).finally(() => {
      spending.reading = undefined;
    });
    await spending.reading;
  }

  async #read(reader: UsageReader, tenantId: number, spending: Spending, limit: BudgetLimit): Promise<void> {
    const startedAt = this.#now().getTime();
    try {
      const { from, to } = spending.span;
      const groups = await reader.readUsage({ tenantId, from, to, timeZone: limit.timeZone, withTags: false });
      const read = groups.reduce((sum, { cost }) => sum.plus(cost), new Big(0));
      // What was settled just before may not be written yet: it counts twice for a moment rather than not at all.
      spending.own = spending.own.filter(({ at }) => at > startedAt - writeDelayMs);
      spending.read = read;
      spending.readAt = startedAt;
      this.#warn(tenantId, limit, spending);
    } catch (error) {
      spending.readAt = startedAt;
      this.#options.logger?.warn(
        { error, tenantId },
        'What a tenant has spent could not be read; the last figure counts.',
      );
    }
  }

  /** Once for each threshold and period. */
  #warn(tenantId: number, { period, limit, isHard }: BudgetLimit, spending: Spending): void {
    const spent = sumOf(spending).minus(spending.reserved);
    for (const percent of thresholds) {
      if (spending.warned.has(percent) || spent.lt(limit.times(percent).div(100)) || spent.eq(0)) continue;
      spending.warned.add(percent);
      const { key: span, to: renewsAt } = spending.span;
      const event = {
        tenantId,
        period,
        span,
        percent,
        spent: spent.toFixed(),
        limit: limit.toFixed(),
        isHard,
        renewsAt,
      };
      this.#options.logger?.warn(event, `A tenant has spent ${percent} % of its ${period} budget.`);
      try {
        this.#options.onBudget?.(event);
      } catch (error) {
        this.#options.logger?.error({ error, tenantId }, '`onBudget` failed.');
      }
    }
  }
}

function sumOf({ read, own, reserved }: Spending): Big {
  return own.reduce((sum, { cost }) => sum.plus(cost), read).plus(reserved);
}
