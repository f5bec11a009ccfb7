import { addCosts, type CostSource } from '../cost/cost.js';
import type { UsageRecord } from '../ports/integration-repository.js';

/** One answered request of a call. */
export interface AccountEntry {
  readonly integrationId: number;
  /** Exact US dollars as a decimal string, or null if unknown. */
  readonly cost: string | null;
  readonly costSource: CostSource;
  /** The row that is written for the request. */
  readonly usage: UsageRecord;
}

/**
 * What a call used so far: one entry for each answered request, also of providers that failed afterwards. The cost of a
 * result is read from it, and the same entries become the usage rows, so that the two cannot differ.
 */
export class Account {
  readonly #entries: AccountEntry[] = [];

  enter(entry: AccountEntry): void {
    this.#entries.push(entry);
  }

  get entries(): readonly AccountEntry[] {
    return this.#entries;
  }

  /**
   * Exact US dollars of all requests as a decimal string, or null if that of one is unknown. `'0'` without a request.
   */
  get cost(): string | null {
    return addCosts(this.#entries.map(({ cost }) => cost));
  }
}
