import { describe, expect, it } from 'vitest';
import { genAiPriceSource } from '#src/price-sources/genai-prices.js';

const priceOf = (model: string, provider = 'wex_ai_gateway') =>
  genAiPriceSource().findPrice({ provider, model, baseUrl: null });

describe('genAiPriceSource', () => {
  it.each([
    ['text-embedding-3-small', 0.02],
    ['azure-text-embedding-3-small', 0.02],
    ['openai/text-embedding-3-large', 0.13],
    ['azure/eu/text-embedding-3-small', 0.02],
  ])('%s costs its list price for a million tokens of input', async (model, inputPerMillion) => {
    expect(await priceOf(model)).toMatchObject({ inputPerMillion });
  });

  it('has prices for output and for cached input', async () => {
    expect(await priceOf('azure-gpt-4o-mini')).toMatchObject({
      inputPerMillion: 0.15,
      cachedInputPerMillion: 0.075,
      outputPerMillion: 0.6,
    });
    expect(await priceOf('gpt-4o-mini', 'openai')).toMatchObject({ outputPerMillion: 0.6 });
  });

  it('does not have what nobody sells', async () => {
    expect(await priceOf('a-model-of-our-own')).toBeUndefined();
  });
});
