import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { circuitEffectOf, errorPolicies, isWorthRetrying, mayFailOver } from '#src/core/routing/error-policy.js';
import { AiProviderError, type AiProviderErrorCode, PartialEmbeddingError, ProviderError } from '#src/errors.js';

const providerError = (code: AiProviderErrorCode, more: object = {}) =>
  new ProviderError('It failed.', { code, isRetryable: true, provider: 'p', ...more });

describe('errorPolicies', () => {
  it('is what docs/errors.md shows', () => {
    const document = readFileSync(new URL('../../../../docs/errors.md', import.meta.url), 'utf8');
    const rows = document
      .split('\n')
      .filter((line) => /^\| [a-z_]+ +\| (yes|no) /.test(line))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    const say = (value: boolean | string) =>
      value === true ? 'yes' : value === false ? 'no' : value.replace('_', ' ');
    const expected = Object.entries(errorPolicies).map(
      ([code, { retry, failOver, circuit, endsCall, halve, fault }]) => [
        code,
        ...[retry, failOver, circuit, endsCall, halve, fault].map(say),
      ],
    );
    expect(rows).toEqual(expected);
  });
});

describe('isWorthRetrying', () => {
  it.each([
    ['rate_limited', true, true],
    ['rate_limited', false, false],
    ['authentication_failed', true, false],
  ] as const)('%s that is retryable (%s): %s', (code, isRetryable, expected) => {
    expect(isWorthRetrying(providerError(code, { isRetryable }))).toBe(expected);
  });
});

describe('mayFailOver', () => {
  it('lets a refused input go on only if the row says so', () => {
    expect(mayFailOver(providerError('input_refused'), {})).toBe(false);
    expect(mayFailOver(providerError('input_refused'), { fallback_on_refusal: true })).toBe(true);
    expect(mayFailOver(providerError('quota_exceeded'), {})).toBe(true);
    expect(mayFailOver(new Error('a bug'), { fallback_on_refusal: true })).toBe(false);
  });
});

describe('circuitEffectOf', () => {
  it.each([
    [
      'a long Retry-After opens for its time',
      providerError('rate_limited', { retryAfterMs: 30_000, attempts: 4 }),
      { effect: 'opens', openForMs: 30_000 },
    ],
    ['a limit without a time counts', providerError('rate_limited', { attempts: 4 }), { effect: 'counts' }],
    [
      'the host’s own limit says nothing of the server',
      providerError('rate_limited', { retryAfterMs: 500, attempts: 0 }),
      { effect: 'none' },
    ],
    ['no credit opens', providerError('quota_exceeded'), { effect: 'opens' }],
    ['a refused request closes', providerError('input_refused'), { effect: 'closes' }],
    ['a caller’s mistake says nothing', new AiProviderError('No.', { code: 'invalid_input' }), { effect: 'none' }],
    ['an abort says nothing', new Error('gone'), { effect: 'none' }],
  ])('%s', (_, error, expected) => {
    expect(circuitEffectOf(error)).toEqual(expected);
  });

  it('takes a part of a call for what its cause is', () => {
    const part = (cause: unknown) =>
      new PartialEmbeddingError('A part failed.', {
        provider: 'p',
        isRetryable: true,
        cause,
        failures: [],
        partialResult: {},
      });
    expect(circuitEffectOf(part(providerError('unavailable'))).effect).toBe('counts');
    expect(circuitEffectOf(part(providerError('input_refused'))).effect).toBe('closes');
  });
});
