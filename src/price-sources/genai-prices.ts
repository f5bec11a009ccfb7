import type { CataloguePrice, PriceQuery, PriceSource } from '../core/ports/price-source.js';
import { missingDependency } from '../internal/load-peer.js';
import { memoizeAsync } from '../internal/memoize-async.js';

type Catalogue = typeof import('@pydantic/genai-prices');

const load = memoizeAsync(async (): Promise<Catalogue> => {
  try {
    return await import('@pydantic/genai-prices');
  } catch (cause) {
    throw missingDependency('@pydantic/genai-prices', 'The catalogue of list prices', cause);
  }
});

/** What gateways put before the name of a model: `azure-gpt-4o`, `openai/gpt-4o`, `azure/eu/gpt-4o`. */
const prefixes: readonly (readonly [RegExp, string])[] = [
  [/^azure[-_/]/, 'azure'],
  [/^openai[-_/]/, 'openai'],
  [/^anthropic[-_/]/, 'anthropic'],
  [/^(gemini|google|vertex_ai)\//, 'google'],
  [/^mistral\//, 'mistral'],
];

/**
 * List prices from the npm package `@pydantic/genai-prices`, which holds them itself: no network call is made. Names
 * that gateways give to the models of OpenAI and others are found without their prefix, such as
 * `azure-text-embedding-3-small`.
 *
 * @example
 * new ProviderFactory({ repository, kinds, priceSource: genAiPriceSource() });
 */
export function genAiPriceSource(): PriceSource {
  const known = new Map<string, CataloguePrice | undefined>();
  return {
    findPrice: async ({ provider, model }: PriceQuery) => {
      const key = `${provider} ${model}`;
      if (!known.has(key)) known.set(key, lookUp(await load(), provider, model));
      return known.get(key);
    },
  };
}

function lookUp({ calcPrice }: Catalogue, provider: string, model: string): CataloguePrice | undefined {
  for (const [name, providerId] of candidatesFor(provider, model)) {
    const found = calcPrice({ input_tokens: 1 }, name, providerId === undefined ? {} : { providerId });
    if (found === null) continue;
    const { input_mtok, cache_read_mtok, cache_write_mtok, output_mtok } = found.model_price;
    return {
      inputPerMillion: amountOf(input_mtok),
      cachedInputPerMillion: amountOf(cache_read_mtok),
      cacheWritePerMillion: amountOf(cache_write_mtok),
      // An embedding has no output, and so no price for it.
      outputPerMillion: amountOf(output_mtok),
    };
  }
  return undefined;
}

/** Names of the model, each with the provider to look among, the most exact first. */
function candidatesFor(provider: string, model: string): readonly (readonly [string, string | undefined])[] {
  const name = model.toLowerCase();
  const bare = name.slice(name.lastIndexOf('/') + 1).replace(/^(azure|openai)[-_]/, '');
  const byPrefix = prefixes.find(([prefix]) => prefix.test(name))?.[1];
  const byRow = provider === 'openai' ? 'openai' : undefined;
  return [
    [bare, byPrefix ?? byRow],
    [bare, undefined],
    [name, undefined],
    // Gateways have OpenAI's models under their own names.
    [bare, 'openai'],
  ];
}

/** Prices that rise with the length of a request have a base, which holds for all but very long ones. */
function amountOf(price: unknown): number | undefined {
  if (typeof price === 'number') return price;
  const { base } = (price ?? {}) as { readonly base?: unknown };
  return typeof base === 'number' ? base : undefined;
}
