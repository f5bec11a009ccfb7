import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addCosts, calculateCost, roundToColumn } from '#src/core/cost/cost.js';
import { parsePriceList } from '#src/core/cost/prices.js';

const prices = (costConfig: Record<string, unknown>, aiModel: string | null = 'm') =>
  parsePriceList({ id: 1, aiModel, costConfig });

describe('calculateCost', () => {
  it.each([
    ['the seed’s example, below what the column holds', { cost_per_1k_tokens: 0.00002 }, 7, 0, '0.00000014'],
    ['a price as a string', { cost_per_1k_tokens: '0.00002' }, 1000, 0, '0.00002'],
    ['a price in exponent form', { cost_per_1k_tokens: 1e-7 }, 3, 0, '0.0000000003'],
    ['zero is a price', { cost_per_1k_tokens: 0 }, 5, 0, '0'],
    ['zero is a price for an unknown count', { cost_per_1k_tokens: 0 }, null, null, '0'],
    ['input and output apart', { cost_per_1k_input_tokens: 0.15, cost_per_1k_output_tokens: 0.6 }, 1000, 500, '0.45'],
    ['what binary floats get wrong', { cost_per_1k_tokens: 0.1 }, 3000, 0, '0.3'],
    ['a price of many decimals', { cost_per_1k_tokens: '1e-20' }, 1, 0, '0.00000000000000000000001'],
    ['no price', {}, 7, 0, null],
    ['no price but nothing used', {}, 0, 0, '0'],
    ['only the other price', { cost_per_1k_output_tokens: 1 }, 7, 0, null],
    ['an unknown count', { cost_per_1k_tokens: 0.1 }, null, 0, null],
  ])('%s', (_, costConfig, inputTokens, outputTokens, expected) => {
    expect(calculateCost(prices(costConfig), 'm', { inputTokens, outputTokens })).toBe(expected);
  });

  it('takes another model’s price from `models`, and never the row’s own', () => {
    const list = prices({ cost_per_1k_tokens: 1, models: { big: { cost_per_1k_tokens: 5 } } });
    const tokens = { inputTokens: 1000, outputTokens: 0 };
    expect(calculateCost(list, 'big', tokens)).toBe('5');
    expect(calculateCost(list, 'm', tokens)).toBe('1');
    expect(calculateCost(list, 'unheard-of', tokens)).toBeNull();
  });

  it('applies the flat price to any model if the row names none', () => {
    expect(calculateCost(prices({ cost_per_1k_tokens: 1 }, null), 'x', { inputTokens: 1, outputTokens: 0 })).toBe(
      '0.001',
    );
  });

  it('is exact: parts of a count cost what the whole costs', () => {
    const tokens = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), tokens, tokens, (nanoDollars, a, b) => {
        const list = prices({ cost_per_1k_tokens: `${nanoDollars}e-9` });
        const cost = (inputTokens: number) => calculateCost(list, 'm', { inputTokens, outputTokens: 0 });
        expect(addCosts([cost(a), cost(b)])).toBe(cost(a + b));
        // The reference counts in integers: 1e-9 dollars a thousand tokens are 1e-12 dollars a token.
        expect(BigInt(Math.round(Number(cost(1000)) * 1e9))).toBe(BigInt(nanoDollars));
      }),
    );
  });
});

describe('parsePriceList', () => {
  it.each([[-1], [Number.NaN], [Number.POSITIVE_INFINITY], ['free'], ['-0.1'], [true], [{}]])(
    'refuses the price %j',
    (value) => {
      expect(() => prices({ cost_per_1k_tokens: value })).toThrow(
        expect.objectContaining({
          code: 'invalid_config',
          message: expect.stringContaining('cost_config.cost_per_1k_tokens'),
        }),
      );
    },
  );
});

describe('addCosts and roundToColumn', () => {
  it('one unknown makes the sum unknown', () => {
    expect(addCosts(['1', null])).toBeNull();
    expect(addCosts([])).toBe('0');
    expect(addCosts(['0.1', '0.2'])).toBe('0.3');
  });

  it('rounds half up to four decimals', () => {
    expect(roundToColumn('0.00000014')).toBe('0.0000');
    expect(roundToColumn('0.00005')).toBe('0.0001');
    expect(roundToColumn('12')).toBe('12.0000');
  });
});
