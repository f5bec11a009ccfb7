export type BudgetPeriod = 'daily' | 'monthly';

export interface PeriodSpan {
  /** Such as `2026-11-28` or `2026-11`. */
  readonly key: string;
  readonly from: Date;
  /** When the next one begins. */
  readonly to: Date;
}

/** The day or month that a moment is in, as the clocks of a time zone have it. */
export function spanOf(period: BudgetPeriod, now: Date, timeZone: string): PeriodSpan {
  const { year, month, day } = partsOf(now, timeZone);
  const [first, next] =
    period === 'daily'
      ? [Date.UTC(year, month - 1, day), Date.UTC(year, month - 1, day + 1)]
      : [Date.UTC(year, month - 1, 1), Date.UTC(year, month, 1)];
  const date = new Date(first).toISOString();
  return {
    key: date.slice(0, period === 'daily' ? 10 : 7),
    from: momentOf(first, timeZone),
    to: momentOf(next, timeZone),
  };
}

/**
 * The first moment at which the clocks of a time zone show at least this time of the calendar, given as if it were UTC.
 */
function momentOf(calendarMs: number, timeZone: string): Date {
  let moment = calendarMs - offsetAt(calendarMs, timeZone);
  // The offset may be another one there, if the clocks change on that day.
  moment = calendarMs - offsetAt(moment, timeZone);
  // In the hour that is skipped no clock shows this time: the first later one does.
  if (moment + offsetAt(moment, timeZone) < calendarMs) moment += calendarMs - (moment + offsetAt(moment, timeZone));
  return new Date(moment);
}

function offsetAt(moment: number, timeZone: string): number {
  const { year, month, day, hour, minute, second } = partsOf(new Date(moment), timeZone);
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(moment / 1000) * 1000;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function partsOf(date: Date, timeZone: string) {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const two = '2-digit';
    const fields = { year: 'numeric', month: two, day: two, hour: two, minute: two, second: two } as const;
    format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...fields });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(date).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  return {
    year: part('year'),
    month: part('month'),
    day: part('day'),
    hour: part('hour'),
    minute: part('minute'),
    second: part('second'),
  };
}
