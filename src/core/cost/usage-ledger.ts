import { randomUUID } from 'node:crypto';
import type { Integration, IntegrationRepository, UsageRecord } from '../ports/integration-repository.js';
import type { Logger } from '../ports/logger.js';
import type { UsageEvent, UsageRecorder } from '../ports/usage-recorder.js';
import { calculateCost, type PriceList, parsePriceList, roundToColumn } from './cost.js';

interface PendingRow {
  readonly tenantId: number;
  readonly usage: UsageRecord;
}

export interface UsageLedgerOptions {
  readonly repository: IntegrationRepository;
  readonly logger?: Logger | undefined;
}

const writeTimeoutMs = 5_000;
const maximumPendingRows = 10_000;

/**
 * Writes what providers used to `ai_usage_trackings`, one row an answered request, with its exact cost in `request_metadata.cost_usd` (the
 * `cost` column keeps four decimals, too few for most single calls).
 *
 * A row that cannot be written now is kept and tried again with the next one and at {@link UsageLedger.flush}; the vectors that it
 * accounts for are not lost over it. A write whose answer was lost may so be made twice: `request_metadata.usage_id` tells.
 */
export class UsageLedger {
  readonly #repository: IntegrationRepository;
  readonly #logger: Logger | undefined;
  readonly #pending: PendingRow[] = [];
  #draining: Promise<void> | undefined;

  constructor(options: UsageLedgerOptions) {
    this.#repository = options.repository;
    this.#logger = options.logger;
  }

  /** How many rows wait to be written. */
  get pendingCount(): number {
    return this.#pending.length;
  }

  /** A recorder for the providers of one integration. @throws `AiProviderError` `invalid_config` for an unusable `cost_config`. */
  recorderFor(integration: Integration): UsageRecorder {
    const prices = parsePriceList(integration);
    return {
      record: async (event) => {
        this.#keep({ tenantId: integration.tenantId, usage: toUsageRecord(integration, prices, event) });
        try {
          await this.flush();
        } catch (error) {
          this.#logger?.error(
            { error, tenantId: integration.tenantId, pendingCount: this.pendingCount },
            'A usage row could not be written; it is kept and will be tried again.',
          );
        }
      },
    };
  }

  /** Writes what waits. @throws `RepositoryError` where that still fails; the rows stay. */
  async flush(): Promise<void> {
    while (this.#pending.length > 0) await this.#drain();
  }

  #keep(row: PendingRow): void {
    this.#pending.push(row);
    if (this.#pending.length <= maximumPendingRows) return;
    const dropped = this.#pending.shift();
    this.#logger?.error(
      { tenantId: dropped?.tenantId, usage: dropped?.usage },
      `More than ${maximumPendingRows} usage rows wait for the database; the oldest was dropped. It is in this log line.`,
    );
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#writePending().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #writePending(): Promise<void> {
    for (let row = this.#pending[0]; row !== undefined; row = this.#pending[0]) {
      await this.#repository.recordUsage(row.tenantId, row.usage, { signal: AbortSignal.timeout(writeTimeoutMs) });
      // Not shift(): the oldest row may have been dropped meanwhile.
      const index = this.#pending.indexOf(row);
      if (index >= 0) this.#pending.splice(index, 1);
    }
  }
}

function toUsageRecord(integration: Integration, prices: PriceList, event: UsageEvent): UsageRecord {
  const cost = calculateCost(prices, event.model, event);
  return {
    provider: integration.provider,
    operation: event.operation,
    modelName: event.model,
    inputCount: event.inputCount,
    inputTokens: event.inputTokens,
    outputTokens: event.outputTokens,
    cost: cost === null ? null : roundToColumn(cost),
    requestMetadata: {
      ...event.metadata,
      usage_id: randomUUID(),
      integration_id: integration.id,
      cost_usd: cost,
    },
  };
}
