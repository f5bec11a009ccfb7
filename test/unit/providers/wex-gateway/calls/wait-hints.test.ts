import { expect, it } from 'vitest';
import { retryAfterMs } from '#src/providers/wex-gateway/calls/wait-hints.js';

const now = Date.parse('Mon, 23 Nov 2026 08:00:00 GMT');

it.each([
  [{ 'retry-after': '2' }, 2000],
  [{ 'retry-after': '0.5' }, 500],
  [{ 'retry-after': '90' }, 90_000],
  [{ 'retry-after': 'Mon, 23 Nov 2026 08:00:37 GMT' }, 37_000],
  [{ 'retry-after': 'Mon, 23 Nov 2026 07:59:00 GMT' }, 0],
  [{ 'retry-after-ms': '250' }, 250],
  [{ 'retry-after-ms': '250', 'retry-after': '9' }, 250],
  [{ 'retry-after-ms': 'soon', 'retry-after': '9' }, 9000],
  [{ 'retry-after': 'soon' }, undefined],
  [{ 'retry-after': '' }, undefined],
  [{}, undefined],
])('%j is %s ms', (headers, expected) => {
  expect(retryAfterMs(new Headers(headers as Record<string, string>), now)).toBe(expected);
});
