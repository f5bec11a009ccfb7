import type PgBoss from 'pg-boss';
import type { Logger } from '../../core/ports/logger.js';
import { AiProviderError, isAiProviderError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { sleep } from '../../internal/retry.js';
import { requireFunction, requirePositiveInteger } from '../../internal/validate.js';
import { queueName, type StoredJob, type SyncJob } from './job.js';
import { type PostgresPool, tryLock } from './postgres-pool.js';
import { lockName } from './queue-status.js';

/**
 * Syncs one table. Rejects if it could not be done; `signal` ends it when the process stops or its connection breaks.
 */
export type RunSync = (job: SyncJob & { readonly signal: AbortSignal }) => Promise<unknown>;

export interface SyncWorkerOptions {
  /** How many tables this process syncs at a time. @default 2 */
  readonly concurrency?: number | undefined;
  /** How often to look for work while there is none, and for jobs whose process died, in milliseconds. @default 2000 */
  readonly pollIntervalMs?: number | undefined;
  /** After so many failed runs a job stays failed, until it is asked for again. @default 10 */
  readonly maxFailedRuns?: number | undefined;
}

export interface WorkerTools {
  readonly boss: PgBoss;
  readonly pool: PostgresPool;
  readonly schema: string;
  readonly logger: Logger | undefined;
  /** Puts a job into the queue; false if one of its table waits already. */
  send(job: StoredJob, delayMs: number): Promise<boolean>;
}

const firstRetryMs = 10_000;
const longestRetryMs = 3_600_000;

/** Runs jobs until it is closed. */
export class SyncWorker {
  readonly #tools: WorkerTools;
  readonly #run: RunSync;
  readonly #pollIntervalMs: number;
  readonly #maxFailedRuns: number;
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;

  /** @throws `InvalidInputError` for unusable options. */
  constructor(tools: WorkerTools, run: RunSync, options: SyncWorkerOptions) {
    requireFunction(run, 'run');
    requireKnownKeys<SyncWorkerOptions>(options, { concurrency: true, pollIntervalMs: true, maxFailedRuns: true });
    this.#tools = tools;
    this.#run = run;
    this.#pollIntervalMs = requirePositiveInteger(options.pollIntervalMs ?? 2_000, 'pollIntervalMs');
    this.#maxFailedRuns = requirePositiveInteger(options.maxFailedRuns ?? 10, 'maxFailedRuns');
    const concurrency = requirePositiveInteger(options.concurrency ?? 2, 'concurrency');
    const lanes = Array.from({ length: concurrency }, () => this.#repeat(() => this.#runNext()));
    this.#done = Promise.all([...lanes, this.#repeat(() => this.#recoverOrphans())]);
  }

  /**
   * Cancels the syncs that run, puts their jobs back for other processes, and waits until both is done. May be called
   * again.
   */
  async close(): Promise<void> {
    this.#stop.abort(new AiProviderError('The worker was closed.', { code: 'aborted_by_close' }));
    await this.#done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Again at once if there was something to do. A database that is away for a while does not end the worker. */
  async #repeat(step: () => Promise<boolean>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      let found = false;
      try {
        found = await step();
      } catch (error) {
        this.#tools.logger?.warn({ error }, 'The job queue could not be reached; the worker tries again.');
      }
      if (!found) await sleep(this.#pollIntervalMs, this.#stop.signal);
    }
  }

  async #runNext(): Promise<boolean> {
    const { boss, pool, schema } = this.#tools;
    const [fetched] = await boss.fetch<StoredJob>(queueName, { includeMetadata: true, priority: true, batchSize: 1 });
    if (fetched === undefined) return false;
    const job = fetched.data;
    const lock = await tryLock(pool, lockName(schema, job));
    if (lock === undefined) {
      // Another process syncs the table. If the job goes back later, the queue goes on with other tables until then.
      await this.#putBack(fetched.id, job, this.#pollIntervalMs);
      return true;
    }
    try {
      // Between fetching and locking, another process may have taken this one for dead.
      if (await this.#isStillOurs(fetched.id, fetched.retryCount)) await this.#runJob(fetched.id, job, lock.lost);
    } finally {
      await lock.release();
    }
    return true;
  }

  async #runJob(id: string, job: StoredJob, lost: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, lost]);
    const { tenantId, tableName } = job;
    try {
      await this.#run({ tenantId, tableName, signal });
    } catch (error) {
      if (signal.aborted) await this.#putBack(id, job, 0);
      else await this.#takeFailure(id, job, error);
      return;
    }
    await this.#tools.boss.complete(queueName, id);
  }

  async #takeFailure(id: string, job: StoredJob, error: unknown): Promise<void> {
    const { boss, logger } = this.#tools;
    const { tenantId, tableName } = job;
    const waitMs = waitOf(error);
    // If a tenant is over its budget or its rate, the job has not failed: it waits, and others go on.
    const failedRuns = waitMs === undefined ? job.failedRuns + 1 : job.failedRuns;
    const isWorthRetrying = waitMs !== undefined || (isAiProviderError(error) && error.isRetryable);
    if (isWorthRetrying && failedRuns < this.#maxFailedRuns) {
      const delayMs = waitMs ?? Math.min(longestRetryMs, firstRetryMs * 2 ** (failedRuns - 1));
      logger?.warn({ tenantId, tableName, failedRuns, delayMs, error }, 'A sync failed and is tried again later.');
      await this.#putBack(id, { ...job, failedRuns }, delayMs);
      return;
    }
    logger?.error({ tenantId, tableName, failedRuns, error }, 'A sync failed and is not tried again.');
    await boss.fail(queueName, id, { message: error instanceof Error ? error.message : 'The sync failed.' });
  }

  /** First the new job, then the end of the old one: a crash in between makes two, and syncing twice does no harm. */
  async #putBack(id: string, job: StoredJob, delayMs: number): Promise<void> {
    await this.#tools.send(job, delayMs);
    await this.#tools.boss.complete(queueName, id);
  }

  async #isStillOurs(id: string, retryCount: number): Promise<boolean> {
    const { pool, schema } = this.#tools;
    const { rows } = await pool.query(
      `select from ${schema}.job where name = $1 and id = $2 and state = 'active' and retry_count = $3`,
      [queueName, id, retryCount],
    );
    return rows.length > 0;
  }

  /** Puts back the jobs whose process has died: they run, and nobody holds their lock. */
  async #recoverOrphans(): Promise<boolean> {
    const { pool, schema, logger } = this.#tools;
    const running = `from ${schema}.job where name = $1 and state = 'active'`;
    const { rows } = await pool.query(`select id, data ${running}`, [queueName]);
    for (const { id, data } of rows as { id: string; data: StoredJob }[]) {
      const lock = await tryLock(pool, lockName(schema, data));
      if (lock === undefined) continue;
      try {
        const { rows: still } = await pool.query(`select ${running} and id = $2`, [queueName, id]);
        if (still.length === 0) continue;
        logger?.warn(
          { tenantId: data.tenantId, tableName: data.tableName },
          'The process of a sync died; it runs again.',
        );
        await this.#putBack(id, data, 0);
      } finally {
        await lock.release();
      }
    }
    return false;
  }
}

/** How long the tenant has to wait, if that is all that is wrong. */
function waitOf(error: unknown): number | undefined {
  if (!isAiProviderError(error)) return undefined;
  const cause = error.code === 'embedding_partially_failed' ? (error.cause ?? error) : error;
  const { code, retryAfterMs, renewsAt } = cause as {
    readonly code?: string;
    readonly retryAfterMs?: number;
    readonly renewsAt?: Date;
  };
  if (code === 'budget_exceeded' && renewsAt instanceof Date) return Math.max(0, renewsAt.getTime() - Date.now());
  return code === 'rate_limited' ? (retryAfterMs ?? firstRetryMs) : undefined;
}
