import Big from 'big.js';
import type { UsageEvent } from '../ports/usage-recorder.js';
import { type Price, type PriceList, priceOf, unknownPrice } from './prices.js';

/** The counts of a request that its cost depends on; see {@link UsageEvent}. */
export type TokenCounts = Pick<
  UsageEvent,
  | 'inputTokens'
  | 'outputTokens'
  | 'cachedInputTokens'
  | 'cacheWriteTokens'
  | 'reasoningTokens'
  | 'audioInputTokens'
  | 'audioOutputTokens'
>;

/** The source of a request's cost; `local` is a free model in this process. */
export type CostSource = 'row' | 'reported' | 'catalogue' | 'local' | 'unknown';

/** What a request cost, and who says so. */
export interface Cost {
  /** Exact US dollars as a decimal string, or null if unknown. */
  readonly amount: string | null;
  readonly source: CostSource;
}

/** The prices that a request's cost may come from. */
export interface CostBasis {
  readonly prices: PriceList;
  /** The model runs in this process and costs nothing, unless the row states a price. */
  readonly isLocal: boolean;
  /** From a catalogue. */
  readonly cataloguePrice?: Price | undefined;
}

/**
 * The cost of a request: by the row's price, else as the gateway reported it, else by the catalogue's price, else
 * unknown.
 */
export function costOf(event: UsageEvent, { prices, isLocal, cataloguePrice }: CostBasis): Cost {
  const byRow = calculateCost(prices, event.model, event);
  if (byRow !== null) return { amount: byRow, source: 'row' };
  if (isLocal) return { amount: '0', source: 'local' };
  const reported = parseReportedCost(event.reportedCost);
  if (reported !== null) return { amount: reported, source: 'reported' };
  const byCatalogue = cataloguePrice === undefined ? null : costAt(cataloguePrice, event);
  return byCatalogue === null ? { amount: null, source: 'unknown' } : { amount: byCatalogue, source: 'catalogue' };
}

/**
 * Tokens times price, exactly.
 *
 * @returns US dollars as a plain decimal string (`'0.00000014'` for 7 tokens at 0.00002 per 1,000), or null if a needed
 *   price or count is unknown.
 */
export function calculateCost(prices: PriceList, model: string, tokens: TokenCounts): string | null {
  return costAt(priceOf(prices, model) ?? unknownPrice, tokens);
}

function costAt(price: Price, tokens: TokenCounts): string | null {
  const input = costOfSide(tokens.inputTokens, price.input, [
    [tokens.cachedInputTokens, price.cachedInput],
    [tokens.cacheWriteTokens, price.cacheWrite],
    [tokens.audioInputTokens, price.audioInput],
  ]);
  const output = costOfSide(tokens.outputTokens, price.output, [
    [tokens.reasoningTokens, price.reasoning],
    [tokens.audioOutputTokens, price.audioOutput],
  ]);
  return input === null || output === null ? null : input.plus(output).toFixed();
}

/**
 * @param parts - Counts that `total` includes, with their own prices; without one, a part costs what the rest costs.
 */
function costOfSide(
  total: number | null,
  price: Big | null,
  parts: readonly (readonly [number | undefined, Big | null])[],
): Big | null {
  if (total === null) return price?.eq(0) ? new Big(0) : null;
  let rest = total;
  let sum = new Big(0);
  for (const [count = 0, partPrice] of parts) {
    if (count === 0 || partPrice === null) continue;
    rest -= count;
    sum = sum.plus(multiply(count, partPrice));
  }
  if (rest < 0) return null;
  if (rest === 0) return sum;
  return price === null ? null : sum.plus(multiply(rest, price));
}

function multiply(tokens: number, pricePerThousand: Big): Big {
  // Division in big.js rounds to 20 decimals; multiplication is exact.
  return pricePerThousand.times(tokens).times('0.001');
}

/** The gateway's own figure as a plain decimal string, or null if it is not an amount. */
export function parseReportedCost(reported: string | undefined): string | null {
  if (reported === undefined || !/^\d{1,9}(\.\d{1,30})?(e-?\d{1,2})?$/i.test(reported)) return null;
  return new Big(reported).toFixed();
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

/**
 * Rounds amounts to the four decimals of the `cost` column and carries what was cut off into the tenant's next row, so
 * that the column's sum is right whatever the size of a call: it is short by less than 0.0001 US dollars a tenant and
 * process.
 */
export class ColumnRounding {
  readonly #remainders = new Map<number, Big>();

  round(tenantId: number, cost: string): string {
    const exact = new Big(cost).plus(this.#remainders.get(tenantId) ?? 0);
    const rounded = exact.round(4, Big.roundDown);
    const remainder = exact.minus(rounded);
    if (remainder.eq(0)) this.#remainders.delete(tenantId);
    else this.#remainders.set(tenantId, remainder);
    return rounded.toFixed(4);
  }
}
