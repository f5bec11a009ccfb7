import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requireKnownKeys, suggestKey } from '#src/internal/known-keys.js';

interface Options {
  readonly location?: string;
  readonly timeoutMs?: number;
}
const keys = { location: true, timeoutMs: true } as const;

describe('requireKnownKeys', () => {
  it('takes known keys, and unknown ones that are undefined', () => {
    requireKnownKeys<Options>({}, keys);
    requireKnownKeys<Options>({ location: 'x', timeoutMs: undefined, other: undefined }, keys);
  });

  it('names the unknown key and the one that was meant', () => {
    expect(() => requireKnownKeys<Options>({ locaton: 'x' }, keys)).toThrow(
      'Unknown key `locaton` in `options`. Did you mean `location`?',
    );
    expect(() => requireKnownKeys<Options>({ zebra: 'x' }, keys)).toThrow(/`options`\.$/);
  });

  it.each([[undefined], [null], ['a name'], [[]], [5]])('refuses %j in place of an object', (value) => {
    expect(() => requireKnownKeys<Options>(value, keys)).toThrow('Expected `options` to be an object with some of');
  });
});

describe('suggestKey', () => {
  const known = ['batch_size', 'max_retries', 'timeout', 'cost_per_1k_tokens', 'embedding_model'];

  it.each([
    ['batchsize', 'batch_size'],
    ['batchSize', 'batch_size'],
    ['batch_sizes', 'batch_size'],
    ['max_retry', 'max_retries'],
    ['Timeout', 'timeout'],
    ['timeout_ms', 'timeout'],
    ['cost_per_1k', 'cost_per_1k_tokens'],
    ['model_embedding', undefined],
    ['zebra', undefined],
  ])('%s: %s', (key, meant) => {
    expect(suggestKey(key, known)).toBe(meant === undefined ? '' : ` Did you mean \`${meant}\`?`);
  });

  it('never throws, and never suggests what is not known', () => {
    fc.assert(
      fc.property(fc.string(), fc.array(fc.string()), (key, candidates) => {
        const meant = /`(.*)`/s.exec(suggestKey(key, candidates))?.[1];
        return meant === undefined || candidates.includes(meant);
      }),
    );
  });
});
