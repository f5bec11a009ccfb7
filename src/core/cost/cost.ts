import Big from 'big.js';
import { AiProviderError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import type { Integration } from '../ports/integration-repository.js';

/** US dollars for 1,000 tokens; null where unknown. */
interface Price {
  readonly input: Big | null;
  readonly output: Big | null;
}

/** The prices of an integration, as its `cost_config` states them. */
export interface PriceList {
  /** The row's flat price: of its own model only, or of any model where the row names none. */
  readonly flat: Price;
  readonly byModel: ReadonlyMap<string, Price>;
  readonly ownModel: string | null;
}

/**
 * Reads `integrations.cost_config`: `cost_per_1k_tokens`, or `cost_per_1k_input_tokens` and `cost_per_1k_output_tokens`, for the row's own model;
 * `models: { "<model>": { … } }` with the same keys for others. Numbers and decimal strings are prices; 0 is a price; a missing one is unknown.
 *
 * @throws {@link AiProviderError} `invalid_config` for a price that is negative or no number.
 */
export function parsePriceList(integration: Pick<Integration, 'id' | 'aiModel' | 'costConfig'>): PriceList {
  const { costConfig } = integration;
  const models = costConfig.models;
  const entries = typeof models === 'object' && models !== null && !Array.isArray(models) ? Object.entries(models) : [];
  return {
    flat: parsePrice(costConfig, integration.id),
    byModel: new Map(entries.map(([model, price]) => [model, parsePrice(price, integration.id)])),
    ownModel: integration.aiModel,
  };
}

function parsePrice(config: unknown, integrationId: number): Price {
  const fields = typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {};
  const read = (key: string) => parseAmount(fields[key], key, integrationId);
  const both = read('cost_per_1k_tokens');
  return {
    input: read('cost_per_1k_input_tokens') ?? both,
    output: read('cost_per_1k_output_tokens') ?? both,
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
  return typeof value === 'string' && /^\d+(\.\d+)?(e-?\d+)?$/i.test(value);
}

export interface TokenCounts {
  readonly inputTokens: number | null;
  /** Null means unknown; an embedding has 0. */
  readonly outputTokens: number | null;
}

/**
 * Tokens times price, exactly.
 *
 * @returns US dollars as a plain decimal string (`'0.00000014'` for 7 tokens at 0.00002 per 1,000), or null where a needed price or count is unknown.
 */
export function calculateCost(prices: PriceList, model: string, tokens: TokenCounts): string | null {
  const price = prices.byModel.get(model) ?? flatPriceFor(prices, model);
  const input = multiply(tokens.inputTokens, price?.input ?? null);
  const output = multiply(tokens.outputTokens, price?.output ?? null);
  return input === null || output === null ? null : input.plus(output).toFixed();
}

function flatPriceFor(prices: PriceList, model: string): Price | null {
  return prices.ownModel === null || prices.ownModel === model ? prices.flat : null;
}

function multiply(tokens: number | null, pricePerThousand: Big | null): Big | null {
  if (tokens === 0 || pricePerThousand?.eq(0)) return new Big(0);
  if (tokens === null || pricePerThousand === null) return null;
  // Division in big.js rounds to 20 decimals; multiplication is exact.
  return pricePerThousand.times(tokens).times('0.001');
}

/** Sums exact amounts; one unknown makes the sum unknown. */
export function addCosts(costs: readonly (string | null)[]): string | null {
  let sum = new Big(0);
  for (const cost of costs) {
    if (cost === null) return null;
    sum = sum.plus(cost);
  }
  return sum.toFixed();
}

/** The amount as a DECIMAL(10,4) column holds it, half rounded up. */
export function roundToColumn(cost: string): string {
  return new Big(cost).toFixed(4, Big.roundHalfUp);
}
