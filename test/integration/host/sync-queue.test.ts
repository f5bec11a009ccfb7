import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { tryLock } from '#src/adapters/jobs/postgres-pool.js';
import { ProviderError } from '#src/errors.js';
import { SyncQueue } from '#src/jobs.js';
import { type PostgresServer, startPostgres } from '../../helpers/postgres.js';

const table = { tenantId: 7, tableName: 'work_items' };

describe('the sync queue on a real PostgreSQL', { timeout: 60_000 }, () => {
  let server: PostgresServer;
  let pool: ReturnType<PostgresServer['openPool']>;
  let queue: SyncQueue;
  let schemaNumber = 0;
  let schema: string;
  const fast = { pollIntervalMs: 20 };

  beforeAll(async () => {
    server = await startPostgres();
    pool = server.openPool({ max: 20 });
  });
  afterAll(async () => {
    await pool.end();
    await server.remove();
  });
  beforeEach(async () => {
    schema = `jobs_${++schemaNumber}`;
    queue = await SyncQueue.open({ pool, schema });
  });
  afterEach(() => queue.close());

  const untilEmpty = () => expect.poll(() => queue.status(), { timeout: 20_000 }).toEqual([]);

  it('runs what was asked for, the important first, each table once', async () => {
    expect(await queue.enqueue({ tenantId: 1, tableName: 'low' })).toBe(true);
    expect(await queue.enqueue({ tenantId: 1, tableName: 'high' }, { priority: 10 })).toBe(true);
    expect(await queue.enqueue({ tenantId: 1, tableName: 'low' })).toBe(false);
    expect(await queue.status()).toMatchObject([
      { tableName: 'low', state: 'waiting', priority: 0, isStuck: false },
      { tableName: 'high', state: 'waiting', priority: 10 },
    ]);
    const ran: string[] = [];
    queue.work(async ({ tableName }) => ran.push(tableName), { ...fast, concurrency: 1 });
    await untilEmpty();
    expect(ran).toEqual(['high', 'low']);
  });

  it('runs one job of a table at a time, in several processes, and lets other tables go on meanwhile', async () => {
    const other = await SyncQueue.open({ pool, schema });
    const running = new Map<string, number>();
    const ran: string[] = [];
    let atOnce = 0;
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const run = async ({ tenantId, tableName }: { tenantId: number; tableName: string }) => {
      const key = `${tenantId}:${tableName}`;
      running.set(key, (running.get(key) ?? 0) + 1);
      atOnce = Math.max(atOnce, running.get(key)!);
      if (key === '7:work_items' && !ran.includes(key)) await held;
      ran.push(key);
      running.set(key, running.get(key)! - 1);
    };
    await queue.enqueue(table);
    queue.work(run, fast);
    await expect.poll(() => running.get('7:work_items')).toBe(1);
    // While it runs another one may wait, for what has changed meanwhile.
    expect(await queue.enqueue(table, { priority: 100 })).toBe(true);
    for (let tenantId = 10; tenantId < 15; tenantId++) await queue.enqueue({ tenantId, tableName: 'work_items' });
    other.work(run, fast);
    await expect.poll(() => ran.length).toBe(5);
    expect(ran).not.toContain('7:work_items');
    release();
    await untilEmpty();
    expect(ran.filter((key) => key === '7:work_items')).toHaveLength(2);
    expect(atOnce).toBe(1);
    await other.close();
  });

  it('makes a tenant that is over its rate wait without counting it as a failure', async () => {
    let runs = 0;
    queue.work(async ({ tenantId }) => {
      if (tenantId !== 7 || ++runs > 1) return;
      throw new ProviderError('Slow down.', { code: 'rate_limited', provider: 'p', retryAfterMs: 3_600_000 });
    }, fast);
    await queue.enqueue(table);
    await queue.enqueue({ tenantId: 8, tableName: 'work_items' });
    await expect
      .poll(() => queue.status())
      .toMatchObject([{ tenantId: 7, state: 'waiting', failedRuns: 0, isStuck: false }]);
    const [paused] = await queue.status();
    expect(paused!.startAfter.getTime()).toBeGreaterThan(Date.now() + 3_000_000);
  });

  it('tries a passing failure again later, and shows one that will not pass', async () => {
    queue.work(async ({ tenantId }) => {
      if (tenantId === 7) {
        throw new ProviderError('Away.', { code: 'unavailable', provider: 'p', isRetryable: true });
      }
      throw new Error('A mistake in the source.');
    }, fast);
    await queue.enqueue(table);
    await queue.enqueue({ tenantId: 8, tableName: 'work_items' });
    await expect
      .poll(async () =>
        (await queue.status()).map(({ tenantId, state, failedRuns, lastError }) => ({
          tenantId,
          state,
          failedRuns,
          lastError,
        })),
      )
      .toEqual(
        expect.arrayContaining([
          { tenantId: 7, state: 'waiting', failedRuns: 1, lastError: null },
          { tenantId: 8, state: 'failed', failedRuns: 0, lastError: 'A mistake in the source.' },
        ]),
      );
  });

  it('leaves the jobs of a worker that is closed to others', async () => {
    const other = await SyncQueue.open({ pool, schema });
    let started = 0;
    const worker = queue.work(
      ({ signal }) =>
        new Promise((_, reject) => {
          started++;
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
      fast,
    );
    await queue.enqueue(table);
    await expect.poll(() => started).toBe(1);
    await worker.close();
    expect(await queue.status()).toMatchObject([{ state: 'waiting', failedRuns: 0 }]);
    let finished = 0;
    other.work(async () => finished++, fast);
    await expect.poll(() => finished).toBe(1);
    await other.close();
  });

  it('cancels a sync whose connection breaks, since its lock is gone with it', async () => {
    const reasons: unknown[] = [];
    queue.work(
      ({ signal }) =>
        new Promise((resolve, reject) => {
          if (reasons.length > 0) return resolve(undefined);
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            reject(signal.reason);
          });
        }),
      fast,
    );
    await queue.enqueue(table);
    const holder = () =>
      pool.query(`select pid from pg_locks where locktype = 'advisory' and granted and database is not null`);
    await expect.poll(async () => (await holder()).rows.length).toBe(1);
    await pool.query('select pg_terminate_backend($1)', [(await holder()).rows[0].pid]);
    await expect.poll(() => reasons.length, { timeout: 20_000 }).toBe(1);
    await untilEmpty();
  });

  it('gives a lock to one holder', async () => {
    const first = await tryLock(pool, 'x');
    expect(await tryLock(pool, 'x')).toBeUndefined();
    await first!.release();
    const second = await tryLock(pool, 'x');
    expect(second).toBeDefined();
    await second!.release();
  });

  it('checks what it is given', async () => {
    await expect(SyncQueue.open({} as never)).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(SyncQueue.open({ pool, schema: 'a"b' })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(queue.enqueue({ tenantId: 0, tableName: 'x' })).rejects.toMatchObject({ code: 'invalid_input' });
    expect(() => queue.work(undefined as never)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });
});
