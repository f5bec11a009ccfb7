import { expect, it } from 'vitest';
import { microsOf, parseDatetime } from '#src/vector-stores/local/filter/datetime.js';

const microsecondsOf = (text: string): bigint | undefined => {
  const time = parseDatetime(text);
  return time === undefined ? undefined : microsOf(time);
};

it.each([
  '2024-02-29T13:14:15Z',
  '2024-02-29t13:14:15z',
  '2024-02-29 13:14:15',
  '2024-02-29T15:14:15+02:00',
  '2024-02-29T15:14:15+0200',
  '2024-02-29T15:14:15+02',
  '2024-02-29T15:14:15 +02:00',
  '2024-02-29T12:44:15-00:30',
  '2024-02-29T12:44:15\u221200:30',
  '2024-2-29 13:14:15',
  ' 2024-02-29T13:14:15',
  '+2024-02-29T13:14:15',
  '2024-02-2913:14:15',
  '2024-02-29 13:14:15 UTC',
  '2024 - 02 - 29T13 : 14 : 15 utc ',
])('reads %s', (text) => {
  expect(microsecondsOf(text)).toBe(BigInt(Date.UTC(2024, 1, 29, 13, 14, 15)) * 1000n);
});

it('reads days, minutes and fractions of a second', () => {
  expect(microsecondsOf('2024-02-29')).toBe(BigInt(Date.UTC(2024, 1, 29)) * 1000n);
  expect(microsecondsOf('2024-2-29')).toBe(BigInt(Date.UTC(2024, 1, 29)) * 1000n);
  expect(microsecondsOf('2024-02-29 13:14')).toBe(BigInt(Date.UTC(2024, 1, 29, 13, 14)) * 1000n);
  expect(microsecondsOf('1970-01-01T00:00:00.5Z')).toBe(500_000n);
  expect(microsecondsOf('1970-01-01T00:00:00.123456789999Z')).toBe(123_456n);
  expect(microsecondsOf('1969-12-31T23:59:59.25Z')).toBe(-750_000n);
  expect(parseDatetime('0001-01-01')).toBeLessThan(0n);
});

it('keeps nanoseconds and leap seconds in their order', () => {
  const ordered = [
    '2016-12-31T23:59:59.999999998Z',
    '2016-12-31T23:59:59.999999999Z',
    '2016-12-31T23:59:60Z',
    '2016-12-31T23:59:60.5Z',
    '2017-01-01T00:00:00Z',
  ].map((text) => parseDatetime(text) as bigint);
  for (const [at, time] of ordered.entries()) if (at > 0) expect(time).toBeGreaterThan(ordered[at - 1] as bigint);
});

it.each([
  '',
  'today',
  '2023-02-29',
  '2024-13-01',
  '2024-00-10',
  '2024-01-01T25:00:00Z',
  '2024-01-01T10:00Z',
  '20240101',
  '2024-01-15t10:20:30',
  '2024-01-12:20:30',
  '2024-001-05',
  '2024-01-15 10:20:30 CET',
  '2024-01-15 12',
  '2024-01-15T10:20:30+24:00',
  `${' '.repeat(300)}2024-01-15`,
])('does not read %j', (text) => {
  expect(parseDatetime(text)).toBeUndefined();
});
