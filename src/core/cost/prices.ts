import Big from 'big.js';
import { AiProviderError } from '../../errors.js';
import { suggestKey } from '../../internal/known-keys.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { Integration } from '../ports/integration-repository.js';
import type { CataloguePrice } from '../ports/price-source.js';
import { budgetKeys } from './budget-limits.js';

/**
 * US dollars for 1,000 tokens of each kind; null if unknown. What is not priced apart costs as much as other input or
 * output.
 */
export interface Price {
  readonly input: Big | null;
  readonly cachedInput: Big | null;
  readonly cacheWrite: Big | null;
  readonly audioInput: Big | null;
  readonly output: Big | null;
  readonly reasoning: Big | null;
  readonly audioOutput: Big | null;
}

export const unknownPrice: Price = {
  input: null,
  cachedInput: null,
  cacheWrite: null,
  audioInput: null,
  output: null,
  reasoning: null,
  audioOutput: null,
};

/** The prices of an integration, as its `cost_config` states them. */
export interface PriceList {
  /** The row's flat price: of its own model only, or of any model if the row names none. */
  readonly flat: Price;
  readonly byModel: ReadonlyMap<string, Price>;
  readonly ownModel: string | null;
}

/** The keys of a price in `cost_config`. */
const priceKeys = {
  both: 'cost_per_1k_tokens',
  input: 'cost_per_1k_input_tokens',
  cachedInput: 'cost_per_1k_cached_input_tokens',
  cacheWrite: 'cost_per_1k_cache_write_tokens',
  audioInput: 'cost_per_1k_audio_input_tokens',
  output: 'cost_per_1k_output_tokens',
  reasoning: 'cost_per_1k_reasoning_tokens',
  audioOutput: 'cost_per_1k_audio_output_tokens',
} as const;

/** Every key of `cost_config` that has a meaning. */
const costConfigKeys: readonly string[] = [...Object.values(priceKeys), 'models', ...Object.values(budgetKeys)];

/** More than any provider asks for 1,000 tokens: such a price is a mistake of the unit. */
const highestPrice = 100;

/**
 * Reads `integrations.cost_config`: `cost_per_1k_tokens`, or `cost_per_1k_input_tokens` and
 * `cost_per_1k_output_tokens`, for the row's own model; `models: { "<model>": { … } }` with the same keys for others.
 * Cached input, cache writes, reasoning and audio may have prices of their own. Numbers and decimal strings are prices;
 * 0 is a price; a missing one is unknown.
 *
 * @throws {@link AiProviderError} `invalid_config` for a price that is negative or not a number.
 */
export function parsePriceList(integration: Pick<Integration, 'id' | 'aiModel' | 'costConfig'>): PriceList {
  const { costConfig } = integration;
  const entries = isRecord(costConfig.models) ? Object.entries(costConfig.models) : [];
  return {
    flat: parsePrice(costConfig, integration.id),
    byModel: new Map(entries.map(([model, price]) => [model, parsePrice(price, integration.id)])),
    ownModel: integration.aiModel,
  };
}

/**
 * What an administrator should know of a `cost_config`: keys without a meaning, and prices in what must be another
 * unit.
 */
export function reviewCostConfig({ costConfig }: Pick<Integration, 'costConfig'>): string[] {
  const findings = reviewKeys('cost_config', costConfig, costConfigKeys);
  const models = isRecord(costConfig.models) ? Object.entries(costConfig.models) : [];
  for (const [name, price] of [['cost_config', costConfig] as const, ...models]) {
    if (!isRecord(price)) continue;
    const keys = Object.values(priceKeys).filter((key) => Number(price[key]) > highestPrice);
    for (const key of keys) {
      findings.push(`\`${key}\` of ${name} is over ${highestPrice} US dollars for 1,000 tokens: is it another unit?`);
    }
  }
  return findings;
}

/** One sentence for each key that has no meaning, with the known one that is most like it. */
export function reviewKeys(column: string, config: Readonly<Record<string, unknown>>, known: readonly string[]) {
  return Object.keys(config)
    .filter((key) => !known.includes(key))
    .map((key) => `\`${column}.${key}\` has no meaning and is ignored.${suggestKey(key, known)}`);
}

/** The price of a model, if the list has one. */
export function priceOf({ flat, byModel, ownModel }: PriceList, model: string): Price | undefined {
  return byModel.get(model) ?? (ownModel === null || ownModel === model ? flat : undefined);
}

function parsePrice(config: unknown, integrationId: number): Price {
  const fields = isRecord(config) ? config : {};
  const read = (key: string) => parseAmount(fields[key], key, integrationId);
  const both = read(priceKeys.both);
  return {
    input: read(priceKeys.input) ?? both,
    cachedInput: read(priceKeys.cachedInput),
    cacheWrite: read(priceKeys.cacheWrite),
    audioInput: read(priceKeys.audioInput),
    output: read(priceKeys.output) ?? both,
    reasoning: read(priceKeys.reasoning),
    audioOutput: read(priceKeys.audioOutput),
  };
}

function parseAmount(value: unknown, key: string, integrationId: number): Big | null {
  if (value === undefined || value === null) return null;
  if ((typeof value === 'number' && value >= 0 && Number.isFinite(value)) || isDecimal(value)) return new Big(value);
  throw new AiProviderError(
    `Expected \`cost_config.${key}\` of integration ${integrationId} to be a number or a decimal string from 0 up, got ${describeValue(value)}.`,
    { code: 'invalid_config' },
  );
}

function isDecimal(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 40 && /^\d+(\.\d+)?(e-?\d{1,2})?$/i.test(value);
}

/** A price of a catalogue, in the unit of the rows; undefined if it is not one. */
export function readCataloguePrice(price: CataloguePrice | undefined): Price | undefined {
  if (price === undefined) return undefined;
  const perThousand = (value: number | string | undefined) =>
    isDecimal(String(value)) ? new Big(String(value)).times('0.001') : null;
  return {
    ...unknownPrice,
    input: perThousand(price.inputPerMillion),
    cachedInput: perThousand(price.cachedInputPerMillion),
    cacheWrite: perThousand(price.cacheWritePerMillion),
    output: perThousand(price.outputPerMillion),
  };
}
