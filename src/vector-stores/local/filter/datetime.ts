// The forms are those of the crate chrono, from which Qdrant takes its dates (`DateTimePayloadType::from_str` in
// lib/segment/src/types.rs). They are wider than RFC 3339: numbers may lack leading zeros and have spaces before them.
const space = '\\p{White_Space}*';
const year = '([+-]\\d+|\\d{1,4})';
const fraction = '(?:\\.(\\d{1,9})\\d*)?';
const colon = '[:\\p{White_Space}]*';
/** Chrono takes as many digits as it can and never gives one back; the lookahead keeps the expression from doing so. */
const greedyDay = '(?=(?<day>\\d{1,2}))\\k<day>';

const date = `${space}${year}-${space}(\\d{1,2})-${space}`;
const minutes = `${space}(\\d{1,2}):${space}(\\d{1,2})`;
const seconds = `${minutes}:${space}(\\d{1,2})${fraction}`;
const zone = `${space}([Zz]|[+\\-\u2212]\\d{2}${colon}(?:[0-5]\\d)?)`;

const forms = [
  // chrono::DateTime::from_str, which takes more spaces, and `UTC`, but no zone without minutes.
  `${space}${year}${space}-${space}(\\d{1,2})${space}-${space}(?<day>\\d{1,2})[Tt ]` +
    `${space}(\\d{1,2})${space}:${space}(\\d{1,2})${space}:${space}(\\d{1,2})${fraction}` +
    `${space}([Uu][Tt][Cc]|[Zz]|[+\\-\u2212]\\d{2}${colon}[0-5]\\d)${space}`,
  `${date}(?<day>\\d{1,2})T${seconds}${zone}`,
  `${date}${greedyDay}${space}${seconds}${zone}`,
  `${date}(?<day>\\d{1,2})T${seconds}`,
  `${date}${greedyDay}${space}${seconds}`,
  `${date}(?<day>\\d{1,2})T${minutes}`,
  `${date}${greedyDay}${space}${minutes}`,
  `${date}(?<day>\\d{1,2})`,
].map((form) => new RegExp(`^${form}$`, 'u'));

/** No date is longer than this, so that a long text costs nothing. */
const maxLength = 256;

/** A second of {@link parseDatetime}: a leap second (`:60`) lies between the one before it and the next. */
const unitsPerSecond = 2_000_000_000n;

/**
 * The moment of a date and time as Qdrant reads it, in an order-preserving unit of its own (see {@link microsOf}).
 * A text without a zone is in UTC. Undefined if the text is not a date.
 */
export function parseDatetime(text: string): bigint | undefined {
  if (text.length > maxLength) return undefined;
  for (const form of forms) {
    const match = form.exec(text);
    const time = match ? momentOf(match) : undefined;
    if (time !== undefined) return time;
  }
  return undefined;
}

/** Microseconds since 1970, which is what an index of dates holds. */
export function microsOf(time: bigint): bigint {
  const nanos = BigInt.asUintN(64, ((time % unitsPerSecond) + unitsPerSecond) % unitsPerSecond);
  return ((time - nanos) / unitsPerSecond) * 1_000_000n + nanos / 1000n;
}

function momentOf(match: RegExpExecArray): bigint | undefined {
  const [, yearText, monthText, dayText, hourText, minuteText, secondText, fractionText, zoneText] = match;
  const [fullYear, month, day] = [Number(yearText), Number(monthText), Number(dayText)];
  const [hour, minute, second] = [Number(hourText ?? 0), Number(minuteText ?? 0), Number(secondText ?? 0)];
  if (Math.abs(fullYear) > 262_000 || hour > 23 || minute > 59 || second > 60) return undefined;
  const midnight = new Date(0);
  midnight.setUTCFullYear(fullYear, month - 1, day);
  // A day that does not exist becomes one of the next month.
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return undefined;
  const offset = offsetSeconds(zoneText);
  if (Math.abs(offset) >= 86_400) return undefined;
  const isLeap = second === 60;
  const whole = midnight.getTime() / 1000 + hour * 3600 + minute * 60 + (isLeap ? 59 : second) - offset;
  const nanos = BigInt((fractionText ?? '').padEnd(9, '0')) + (isLeap ? 1_000_000_000n : 0n);
  return BigInt(whole) * unitsPerSecond + nanos;
}

function offsetSeconds(text: string | undefined): number {
  if (text === undefined || /^[A-Za-z]/.test(text)) return 0;
  const digits = text.replace(/\D/g, '').padEnd(4, '0');
  const amount = Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60;
  return text.startsWith('+') ? amount : -amount;
}
