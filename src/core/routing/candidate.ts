import { type AiProviderError, isAiProviderError } from '../../errors.js';
import { type BudgetLimit, limitsOfRow } from '../cost/budget-limits.js';
import { type PriceList, parsePriceList, reviewCostConfig, unknownPrice } from '../cost/prices.js';
import type { Integration } from '../ports/integration-repository.js';
import type { ProviderKind } from '../ports/provider-kind.js';

/** An integration that may serve a call, read once for each version of its row. */
export interface Candidate {
  readonly integration: Integration;
  readonly kind: ProviderKind;
  /** Differs between two versions of the row. */
  readonly fingerprint: string;
  /** @internal Its type is one of a package whose types a host need not have. */
  readonly prices: PriceList;
  /** @internal What the row says that its tenant may spend; of such a type too. */
  readonly limits: readonly BudgetLimit[];
  /**
   * Why the row cannot be used, if it cannot. A broken row is a candidate with a problem and no error for its
   * neighbours.
   */
  readonly problem: AiProviderError | undefined;
  /** What an administrator should know: keys without a meaning, values in what must be another unit. */
  readonly warnings: readonly string[];
}

/** Reads a row. Never throws. */
export function readCandidate(integration: Integration, kind: ProviderKind, fingerprint: string): Candidate {
  const base = { integration, kind, fingerprint };
  const noPrices: PriceList = { flat: unknownPrice, byModel: new Map(), ownModel: integration.aiModel };
  if (integration.problem !== undefined) {
    return { ...base, prices: noPrices, limits: [], problem: integration.problem, warnings: [] };
  }
  const warnings = [...reviewCostConfig(integration), ...(kind.reviewRow?.(integration) ?? [])];
  try {
    return {
      ...base,
      prices: parsePriceList(integration),
      limits: limitsOfRow(integration),
      problem: undefined,
      warnings,
    };
  } catch (error) {
    if (!isAiProviderError(error)) throw error;
    return { ...base, prices: noPrices, limits: [], problem: error, warnings };
  }
}

/** Changes with every column that is read. */
export function fingerprintOf({ problem, ...columns }: Integration): string {
  return JSON.stringify(problem === undefined ? columns : { ...columns, problem: problem.message });
}
