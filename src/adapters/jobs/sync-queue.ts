import type PgBoss from 'pg-boss';
import { type Logger, toLogger } from '../../core/ports/logger.js';
import { InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { missingDependency } from '../../internal/load-peer.js';
import { describeValue, requireMethods, requireNonEmptyString, requireTenantId } from '../../internal/validate.js';
import { queueName, type StoredJob, type SyncJob } from './job.js';
import type { PostgresPool } from './postgres-pool.js';
import { readStatus, type SyncQueueStatus } from './queue-status.js';
import { type RunSync, SyncWorker, type SyncWorkerOptions } from './sync-worker.js';

export interface EnqueueOptions {
  /** Higher goes first: such as the tenant's tier, plus something for what a user waits for. @default 0 */
  readonly priority?: number | undefined;
  /** How long to wait first. @default 0 */
  readonly delayMs?: number | undefined;
}

export interface SyncQueueOptions {
  /** The host's PostgreSQL pool. It stays the host's, and needs a connection for each sync that runs. */
  readonly pool: PostgresPool;
  /** The schema of the queue's own tables, which it makes. @default 'pulse_jobs' */
  readonly schema?: string | undefined;
  readonly logger?: Logger | undefined;
}

/** The most that pg-boss takes. A dead worker is noticed by its lock, long before. */
const expireInHours = 23;

/**
 * Jobs that sync tables, on the host's PostgreSQL, for any number of processes. One job of a table runs at a time; a
 * second one waits, and asking again while one waits changes nothing. A job whose process died is run again as soon as
 * another process notices. pg-boss keeps the jobs.
 *
 * @example
 * await using queue = await SyncQueue.open({ pool });
 * await queue.enqueue({ tenantId: 7, tableName: 'work_items' });
 * await using worker = queue.work(({ tenantId, tableName, signal }) =>
 *   index.sync(pagesOf(tenantId, tableName), { tenantId, tableName, syncStore, signal }));
 */
export class SyncQueue {
  readonly #boss: PgBoss;
  readonly #pool: PostgresPool;
  readonly #schema: string;
  readonly #logger: Logger | undefined;
  readonly #workers = new Set<SyncWorker>();

  private constructor(boss: PgBoss, pool: PostgresPool, schema: string, logger: Logger | undefined) {
    this.#boss = boss;
    this.#pool = pool;
    this.#schema = schema;
    this.#logger = logger;
  }

  /**
   * Makes the queue's tables if they are missing.
   *
   * @throws `InvalidInputError` for unusable options; `missing_dependency` if pg-boss is not installed; what the
   *   database throws.
   */
  static async open(options: SyncQueueOptions): Promise<SyncQueue> {
    requireKnownKeys<SyncQueueOptions>(options, { pool: true, schema: true, logger: true });
    requireMethods(options.pool, 'pool', ['query', 'connect'], 'a pg.Pool');
    const { pool, schema = 'pulse_jobs' } = options;
    if (!/^[a-z_][a-z0-9_]{0,40}$/.test(schema)) {
      throw new InvalidInputError(`Expected \`schema\` to be a plain lower-case name, got ${describeValue(schema)}.`);
    }
    const logger = toLogger(options.logger);
    const { default: Boss } = await loadBoss();
    const db = {
      executeSql: (text: string, values: unknown[]) => pool.query(text, values) as Promise<{ rows: never[] }>,
    };
    const boss = new Boss({ db, schema, schedule: false });
    // Its upkeep runs in the background; what fails there is tried again.
    boss.on('error', (error) => logger?.warn({ error }, 'The upkeep of the job queue failed and is tried again.'));
    await boss.start();
    await boss.createQueue(queueName, { name: queueName, policy: 'short' });
    return new SyncQueue(boss, pool, schema, logger);
  }

  /**
   * Asks for a sync of the table. Nothing changes if one waits already.
   *
   * @returns Whether the job is new.
   */
  async enqueue(job: SyncJob, options: EnqueueOptions = {}): Promise<boolean> {
    requireTenantId(job?.tenantId);
    requireNonEmptyString(job.tableName, 'tableName');
    requireKnownKeys<EnqueueOptions>(options, { priority: true, delayMs: true });
    const { tenantId, tableName } = job;
    const { priority = 0, delayMs = 0 } = options;
    return this.#send({ tenantId, tableName, priority, failedRuns: 0 }, delayMs);
  }

  /** Runs jobs in this process until it is closed. */
  work(run: RunSync, options: SyncWorkerOptions = {}): SyncWorker {
    const tools = {
      boss: this.#boss,
      pool: this.#pool,
      schema: this.#schema,
      logger: this.#logger,
      send: (job: StoredJob, delayMs: number) => this.#send(job, delayMs),
    };
    const worker = new SyncWorker(tools, run, options);
    this.#workers.add(worker);
    return worker;
  }

  /** What waits, runs, and has failed, by tenant and table: for an operator's page, and for an alarm on `isStuck`. */
  async status(): Promise<SyncQueueStatus[]> {
    return readStatus(this.#pool, this.#schema, queueName);
  }

  /** Ends its workers; a sync that runs is cancelled and left for another process. The pool stays open. */
  async close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.close()));
    await this.#boss.stop({ graceful: false, close: false, wait: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #send(job: StoredJob, delayMs: number): Promise<boolean> {
    const id = await this.#boss.send(queueName, job, {
      priority: job.priority,
      singletonKey: `${job.tenantId}:${job.tableName}`,
      startAfter: new Date(Date.now() + delayMs),
      retryLimit: 0,
      expireInHours,
    });
    return id !== null;
  }
}

async function loadBoss() {
  try {
    return await import('pg-boss');
  } catch (error) {
    throw missingDependency('pg-boss', 'The sync queue', error);
  }
}
