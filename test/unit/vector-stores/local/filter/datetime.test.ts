import { expect, it } from 'vitest';
import { parseDatetime } from '#src/vector-stores/local/filter/datetime.js';

it.each([
  '2024-02-29T13:14:15Z',
  '2024-02-29t13:14:15z',
  '2024-02-29 13:14:15',
  '2024-02-29T15:14:15+02:00',
  '2024-02-29T15:14:15+0200',
  '2024-02-29T15:14:15+02',
  '2024-02-29T12:44:15-00:30',
])('reads %s', (text) => {
  expect(parseDatetime(text)).toBe(BigInt(Date.UTC(2024, 1, 29, 13, 14, 15)) * 1_000_000n);
});

it('reads days, minutes and fractions of a second', () => {
  expect(parseDatetime('2024-02-29')).toBe(BigInt(Date.UTC(2024, 1, 29)) * 1_000_000n);
  expect(parseDatetime('2024-02-29 13:14')).toBe(BigInt(Date.UTC(2024, 1, 29, 13, 14)) * 1_000_000n);
  expect(parseDatetime('1970-01-01T00:00:00.5Z')).toBe(500_000_000n);
  expect(parseDatetime('1970-01-01T00:00:00.123456789999Z')).toBe(123_456_789n);
  expect(parseDatetime('0001-01-01')).toBeLessThan(0n);
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
])('does not read %j', (text) => {
  expect(parseDatetime(text)).toBeUndefined();
});
