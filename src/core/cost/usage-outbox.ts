import { isAiProviderError, type RepositoryError } from '../../errors.js';
import { withResolvers } from '../../internal/with-resolvers.js';
import type { IntegrationRepository, UsageRecord } from '../ports/integration-repository.js';
import type { Logger } from '../ports/logger.js';

/** A usage row that is not written any more, with its content. */
export interface UsageDeadLetter {
  readonly tenantId: number;
  readonly usage: UsageRecord;
  /** `refused`: the database refuses the row for good. `overflow`: too many rows waited. */
  readonly reason: 'refused' | 'overflow';
  readonly error: unknown;
}

/** Usage rows by what became of them. */
export interface UsageCounts {
  readonly waiting: number;
  readonly written: number;
  readonly dead: number;
}

export interface UsageOutboxOptions {
  readonly repository: IntegrationRepository;
  readonly logger?: Logger | undefined;
  /** Called with each row that is set aside; its content is in the log as well. What it throws is logged. */
  readonly onDeadLetter?: ((letter: UsageDeadLetter) => void) | undefined;
  /** How long rows are gathered before one INSERT writes them, in milliseconds. @default 100 */
  readonly gatherMs?: number | undefined;
}

/** A row that waits. */
export interface WaitingRow {
  readonly tenantId: number;
  readonly integrationId: number;
  readonly usage: UsageRecord;
  readonly bytes: number;
  /** An earlier write may have gone through: it is looked for by its `usage_id` before it is written again. */
  mayExist: boolean;
  /** Resolves after the first attempt to write it, whatever came of it. */
  readonly attempted: Promise<void>;
  readonly onAttempted: () => void;
}

const mostWaitingRows = 10_000;
const mostWaitingBytes = 32 * 1024 * 1024;
/** Rows of one INSERT. */
const batchLength = 500;
/** Rows written at a time through a repository that takes them one by one. */
const parallelWrites = 4;
/** The database ends a statement earlier by itself; this is for an answer that never comes. */
const writeTimeoutMs = 15_000;
const firstRetryMs = 100;
const longestRetryMs = 5_000;

/**
 * Writes usage rows in the background, many in one INSERT, one INSERT at a time. Entering a row never waits. If the
 * database is away, rows wait and are tried again with growing pauses; a row that the database refuses for good is set
 * aside with its content and holds nobody up.
 */
export class UsageOutbox {
  readonly #repository: IntegrationRepository;
  readonly #logger: Logger | undefined;
  readonly #onDeadLetter: UsageOutboxOptions['onDeadLetter'];
  readonly #gatherMs: number;
  readonly #waiting = new Set<WaitingRow>();
  readonly #settled = new Map<number, { written: number; dead: number }>();
  #waitingBytes = 0;
  #writing: Promise<unknown> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failureCount = 0;

  constructor(options: UsageOutboxOptions) {
    this.#repository = options.repository;
    this.#logger = options.logger;
    this.#onDeadLetter = options.onDeadLetter;
    this.#gatherMs = options.gatherMs ?? 100;
  }

  /** Never throws and never waits. */
  enter(tenantId: number, integrationId: number, usage: UsageRecord): WaitingRow {
    const { promise, resolve } = withResolvers<void>();
    const bytes = 300 + JSON.stringify(usage.requestMetadata).length;
    const row = { tenantId, integrationId, usage, bytes, mayExist: false, attempted: promise, onAttempted: resolve };
    this.#waiting.add(row);
    this.#waitingBytes += bytes;
    while (this.#waiting.size > mostWaitingRows || this.#waitingBytes > mostWaitingBytes) this.#dropOldest();
    if (this.#timer === undefined) this.#startLater(this.#gatherMs);
    return row;
  }

  /**
   * Writes the row now, and waits for the first attempt at most `waitMs` and no longer than the signal allows. Never
   * throws.
   */
  async writeThrough(row: WaitingRow, waitMs: number, signal?: AbortSignal): Promise<void> {
    void this.#start();
    const { promise: ended, resolve: end } = withResolvers<void>();
    const timer = setTimeout(end, waitMs);
    const onAbort = () => end();
    if (signal?.aborted) end();
    signal?.addEventListener('abort', onAbort);
    await Promise.race([row.attempted, ended]);
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }

  /** Rows of one integration, or of all. Counted since the outbox was made. */
  counts(integrationId?: number): UsageCounts {
    const isMeant = (id: number) => integrationId === undefined || id === integrationId;
    let [waiting, written, dead] = [0, 0, 0];
    for (const row of this.#waiting) if (isMeant(row.integrationId)) waiting++;
    for (const [id, counts] of this.#settled) {
      if (!isMeant(id)) continue;
      written += counts.written;
      dead += counts.dead;
    }
    return { waiting, written, dead };
  }

  /** Writes what waits. @throws `RepositoryError` if that fails; the rows stay. */
  async flush(): Promise<void> {
    while (this.#waiting.size > 0) {
      await this.#writing;
      if (this.#waiting.size === 0) return;
      const error = await this.#start();
      if (error === undefined) continue;
      throw error;
    }
    this.#stopTimer();
  }

  /**
   * Writes what waits for the last time.
   * @throws As {@link UsageOutbox.flush} does; the rows that are left are in the log.
   */
  async close(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      this.#stopTimer();
      for (const { tenantId, usage } of this.#waiting) {
        this.#logger?.error({ tenantId, usage }, 'A usage row was not written when the factory closed.');
      }
      throw error;
    }
  }

  /** @param delayMs - Of a retry, which must not keep the process alive; a first write may. */
  #startLater(delayMs: number, isRetry = false): void {
    this.#stopTimer();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#start();
    }, delayMs);
    if (isRetry) this.#timer.unref();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One round over the rows that wait, unless one is under way. @returns The failure that ended it, if one did. */
  #start(): Promise<unknown> {
    this.#writing ??= this.#writeRound().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeRound(): Promise<unknown> {
    this.#stopTimer();
    let error: unknown;
    while (this.#waiting.size > 0 && error === undefined) {
      const rows = [...take(this.#waiting, batchLength)];
      error = this.#repository.recordUsageRows === undefined ? await this.#writeSingly(rows) : await this.#write(rows);
    }
    if (error === undefined) {
      this.#failureCount = 0;
      return undefined;
    }
    const delayMs = Math.min(longestRetryMs, firstRetryMs * 2 ** this.#failureCount++);
    const fields = { error, waitingCount: this.#waiting.size, delayMs };
    this.#logger?.error(fields, 'Usage rows could not be written; they are kept and will be tried again.');
    this.#startLater(delayMs, true);
    return error;
  }

  /** @returns Why the database cannot write now, if it cannot; the rows then stay. */
  async #write(rows: readonly WaitingRow[]): Promise<unknown> {
    try {
      await this.#send(rows);
      for (const row of rows) this.#settle(row, 'written');
      return undefined;
    } catch (error) {
      if (isRefusal(error) && rows.length === 1) {
        this.#bury(rows[0]!, { reason: 'refused', error });
        return undefined;
      }
      if (isRefusal(error)) return this.#writeHalves(rows);
      // An error of a repository of the host says nothing about which row it means.
      if (!isAiProviderError(error) && rows.length > 1) return this.#writeSingly(rows);
      for (const row of rows) {
        row.mayExist = true;
        row.onAttempted();
      }
      return error;
    }
  }

  async #writeHalves(rows: readonly WaitingRow[]): Promise<unknown> {
    const middle = rows.length >> 1;
    return (await this.#write(rows.slice(0, middle))) ?? this.#write(rows.slice(middle));
  }

  /** Rows that fail go to the end, so that they hold nobody up. @returns A failure if no row could be written. */
  async #writeSingly(rows: readonly WaitingRow[]): Promise<unknown> {
    let failure: unknown;
    let failedCount = 0;
    for (let at = 0; at < rows.length; at += parallelWrites) {
      const outcomes = rows.slice(at, at + parallelWrites).map(async (row) => {
        const error = await this.#write([row]);
        if (error === undefined) return;
        failure = error;
        failedCount++;
        if (this.#waiting.delete(row)) this.#waiting.add(row);
      });
      await Promise.all(outcomes);
      if (failedCount >= parallelWrites && failedCount === Math.min(rows.length, at + parallelWrites)) break;
    }
    return failure;
  }

  async #send(rows: readonly WaitingRow[]): Promise<void> {
    const signal = AbortSignal.timeout(writeTimeoutMs);
    if (this.#repository.recordUsageRows !== undefined) {
      const mayExist = rows.some((row) => row.mayExist);
      return this.#repository.recordUsageRows(rows, { signal, mayExist });
    }
    for (const { tenantId, usage } of rows) await this.#repository.recordUsage(tenantId, usage, { signal });
  }

  #dropOldest(): void {
    const [oldest] = this.#waiting;
    const error = new Error(`More than ${mostWaitingRows} usage rows, or ${mostWaitingBytes} bytes of them, waited.`);
    this.#bury(oldest!, { reason: 'overflow', error });
  }

  #bury(row: WaitingRow, { reason, error }: Pick<UsageDeadLetter, 'reason' | 'error'>): void {
    this.#settle(row, 'dead');
    const { tenantId, usage } = row;
    const message = {
      refused: 'The database refuses a usage row; it is set aside. Its content is in this log line.',
      overflow: 'Too many usage rows wait for the database; the oldest was dropped. It is in this log line.',
    };
    this.#logger?.error({ tenantId, usage, error }, message[reason]);
    try {
      this.#onDeadLetter?.({ tenantId, usage, reason, error });
    } catch (hookError) {
      this.#logger?.error({ error: hookError }, 'The hook for usage rows that are set aside failed.');
    }
  }

  #settle(row: WaitingRow, as: 'written' | 'dead'): void {
    row.onAttempted();
    if (!this.#waiting.delete(row)) return;
    this.#waitingBytes -= row.bytes;
    const counts = this.#settled.get(row.integrationId) ?? { written: 0, dead: 0 };
    counts[as]++;
    this.#settled.set(row.integrationId, counts);
  }
}

/** The row itself is at fault, and no later attempt can succeed. */
function isRefusal(error: unknown): boolean {
  if (!isAiProviderError(error)) return false;
  return error.code === 'invalid_input' || (error as Partial<RepositoryError>).isAboutRow === true;
}

function* take<Element>(elements: Iterable<Element>, count: number): Generator<Element> {
  let left = count;
  for (const element of elements) {
    if (left-- <= 0) return;
    yield element;
  }
}
