import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CamelCasePlugin, Kysely, ParseJSONResultsPlugin, PostgresDialect, sql } from 'kysely';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UsageRecord } from '#src/core/ports/integration-repository.js';
import { type AiProviderError, InvalidInputError, RepositoryError } from '#src/errors.js';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import { addIntegration, type HostDatabase, readUsage } from '../../helpers/kysely-repository.js';
import { type PostgresServer, startPostgres } from '../../helpers/postgres.js';

const usage: UsageRecord = {
  provider: 'wex_ai_gateway',
  operation: 'embedding',
  modelName: 'azure-text-embedding-3-small',
  inputCount: 1,
  inputTokens: 7,
  outputTokens: 0,
  cost: '0.0000',
  requestMetadata: {},
};

let server: PostgresServer;
let pool: pg.Pool;
let db: Kysely<HostDatabase>;
let repository: KyselyIntegrationRepository;
let tenantId = 0;

const openKysely = (options?: pg.PoolConfig) =>
  new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool: server.openPool(options) }) });

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

beforeAll(async () => {
  server = await startPostgres();
  pool = server.openPool({ max: 10 });
  db = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool }) });
  repository = new KyselyIntegrationRepository(db);
});
afterAll(async () => {
  await db.destroy();
  await server.remove();
});
beforeEach(() => {
  tenantId++;
});

/** Waits until as many sessions as given wait for an advisory lock: a fact of the server, not a delay. */
async function untilWaiting(sessions: number): Promise<void> {
  for (;;) {
    const { rows } = await sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory'
    `.execute(db);
    if (rows[0]!.count >= sessions) return;
  }
}

describe('createDefaultLocalIntegration', () => {
  it('makes one row for each tenant when several processes ask at the same time', { timeout: 120_000 }, async () => {
    const tenants = [101, 102, 103].map(String);
    const script = fileURLToPath(new URL('../../helpers/create-default-integrations.ts', import.meta.url));
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, ['--import', 'tsx', script, server.connectionString, ...tenants], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
    const outputs = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    for (const output of outputs) expect((await output.next()).value).toBe('ready');
    const exits = children.map((child) => once(child, 'exit'));
    for (const child of children) child.stdin.write('go\n');
    const seen = await Promise.all(outputs.map(async (output) => JSON.parse((await output.next()).value) as string[]));
    expect((await Promise.all(exits)).map(([code]) => code)).toEqual([0, 0, 0]);
    const rows = await db
      .selectFrom('integrations')
      .select(['tenant_id', 'id'])
      .where('tenant_id', 'in', tenants.map(Number))
      .execute();
    expect(rows).toHaveLength(tenants.length);
    const stored = rows.map((row) => `${row.tenant_id}:${row.id}`).toSorted();
    for (const ids of seen) expect(ids.toSorted()).toEqual(stored);
  });

  it("is part of the host's transaction, and another caller waits for its outcome", async () => {
    const transaction = await db.startTransaction().execute();
    const inside = await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    const outside = repository.createDefaultLocalIntegration(tenantId);
    await untilWaiting(1);
    await transaction.commit().execute();
    expect((await outside).id).toBe(inside.id);
  });

  it('leaves nothing behind when that transaction is rolled back, and the waiting caller makes the row', async () => {
    const transaction = await db.startTransaction().execute();
    const inside = await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    const outside = repository.createDefaultLocalIntegration(tenantId);
    await untilWaiting(1);
    await transaction.rollback().execute();
    const created = await outside;
    expect(created.id).not.toBe(inside.id);
    expect((await repository.listActiveIntegrations(tenantId)).map(({ id }) => id)).toEqual([created.id]);
  });

  it('does not make tenants wait for each other', async () => {
    const transaction = await db.startTransaction().execute();
    await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    await repository.createDefaultLocalIntegration(tenantId + 50_000);
    await transaction.rollback().execute();
  });

  it('refuses a snapshot that cannot show what another process has just made', async () => {
    await db
      .transaction()
      .setIsolationLevel('repeatable read')
      .execute(async (transaction) => {
        const inside = new KyselyIntegrationRepository(transaction);
        expect(await inside.listActiveIntegrations(tenantId)).toEqual([]);
        await repository.createDefaultLocalIntegration(tenantId);
        const error = await errorOf(inside.createDefaultLocalIntegration(tenantId));
        expect(error).toBeInstanceOf(RepositoryError);
        expect(error).toMatchObject({ isRetryable: false, operation: 'createDefaultLocalIntegration' });
        expect(String(error)).toContain('REPEATABLE READ');
      });
    expect(await repository.listActiveIntegrations(tenantId)).toHaveLength(1);
  });

  it('works on a server that starts transactions with another isolation level', async () => {
    const strict = openKysely({ options: '-c default_transaction_isolation=serializable' });
    const strictRepository = new KyselyIntegrationRepository(strict);
    const calls = Array.from({ length: 6 }, () => strictRepository.createDefaultLocalIntegration(tenantId));
    expect(new Set((await Promise.all(calls)).map(({ id }) => id)).size).toBe(1);
    await strict.destroy();
  });

  it('needs no second connection while it holds one', async () => {
    const narrow = openKysely({ max: 1 });
    const calls = [1, 2, 3].map((offset) =>
      new KyselyIntegrationRepository(narrow).createDefaultLocalIntegration(tenantId + offset * 10_000),
    );
    expect(await Promise.all(calls)).toHaveLength(3);
    await narrow.destroy();
  });

  it('gives up at an abort while it waits, and leaves the connection usable', async () => {
    const transaction = await db.startTransaction().execute();
    await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    const controller = new AbortController();
    const reason = new Error('the caller went away');
    const waiting = errorOf(repository.createDefaultLocalIntegration(tenantId, { signal: controller.signal }));
    await untilWaiting(1);
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    await transaction.commit().execute();
    expect(await repository.listActiveIntegrations(tenantId)).toHaveLength(1);
  });
});

describe('recordUsage', () => {
  it("is part of the host's transaction", async () => {
    const reason = new Error('roll back');
    const outcome = db.transaction().execute(async (transaction) => {
      await new KyselyIntegrationRepository(transaction).recordUsage(tenantId, usage);
      expect(await readUsage(transaction, tenantId)).toHaveLength(1);
      throw reason;
    });
    expect(await errorOf(outcome)).toBe(reason);
    expect(await readUsage(db, tenantId)).toEqual([]);
  });

  it('stores counts above the INTEGER range as its maximum and exactly in the metadata', async () => {
    await repository.recordUsage(tenantId, { ...usage, inputTokens: 3_000_000_000, outputTokens: 2_000_000_000 });
    const [row] = await readUsage(db, tenantId);
    expect(row).toMatchObject({ inputTokens: 2_147_483_647, outputTokens: 2_000_000_000, totalTokens: 2_147_483_647 });
    expect(row?.requestMetadata).toEqual({
      exact_counts: {
        input_count: 1,
        input_tokens: 3_000_000_000,
        output_tokens: 2_000_000_000,
        total_tokens: 5_000_000_000,
      },
    });
  });

  it('keeps the row whose values the columns cannot hold', async () => {
    await repository.recordUsage(tenantId, {
      ...usage,
      modelName: `nul \0 ${'🙂'.repeat(200)}`,
      inputTokens: Number.NaN,
      outputTokens: 1.5,
      cost: '12345678.0000',
      requestMetadata: { 'nul \0 key': 'nul \0 value', half: '\ud83d', pair: '🙂', path: 'C:\\u0000\\', big: 12n },
    });
    const [row] = await readUsage(db, tenantId);
    expect(row).toMatchObject({ inputTokens: null, outputTokens: 1, totalTokens: null, cost: '999999.9999' });
    expect([...row!.modelName]).toHaveLength(100);
    expect(row?.requestMetadata).toMatchObject({
      'nul \ufffd key': 'nul \ufffd value',
      half: '\ufffd',
      pair: '🙂',
      path: 'C:\\u0000\\',
      big: '12',
    });
  });
});

describe("the host's handle", () => {
  it('may have plugins, which do not change what is read', async () => {
    const row = {
      aiModelConfig: { batch_size: 2, nested: { snake_case: 1 } },
      costConfig: { cost_per_1k_tokens: 1e-5 },
    };
    const id = await addIntegration(db, { tenantId, provider: 'wex_ai_gateway', baseUrl: 'https://a.test', ...row });
    const expected = await repository.findIntegration(tenantId, id);
    expect(expected).toMatchObject({ ...row, tenantId, baseUrl: 'https://a.test' });
    for (const plugin of [new CamelCasePlugin(), new ParseJSONResultsPlugin()]) {
      const withPlugin = new KyselyIntegrationRepository(db.withPlugin(plugin));
      expect(await withPlugin.findIntegration(tenantId, id)).toEqual(expected);
      await withPlugin.recordUsage(tenantId, { ...usage, requestMetadata: { snake_case: { a_b: 1 } } });
      const local = await withPlugin.createDefaultLocalIntegration(tenantId);
      expect(await repository.findIntegration(tenantId, local.id)).toEqual(local);
    }
    expect((await readUsage(db, tenantId)).map(({ requestMetadata }) => requestMetadata)).toEqual([
      { snake_case: { a_b: 1 } },
      { snake_case: { a_b: 1 } },
    ]);
  });

  it('may point to another schema', async () => {
    await sql`create schema other`.execute(db);
    await sql`create table other.integrations (like public.integrations including all)`.execute(db);
    await sql`create table other.ai_usage_trackings (like public.ai_usage_trackings including all)`.execute(db);
    const other = new KyselyIntegrationRepository(db.withSchema('other'));
    const { id } = await other.createDefaultLocalIntegration(tenantId);
    await other.recordUsage(tenantId, usage);
    expect((await other.listActiveIntegrations(tenantId)).map((row) => row.id)).toEqual([id]);
    expect(await repository.listActiveIntegrations(tenantId)).toEqual([]);
    expect(await readUsage(db, tenantId)).toEqual([]);
    expect(await readUsage(db.withSchema('other'), tenantId)).toHaveLength(1);
  });

  it('may be a readonly one for reading', async () => {
    const readonly = openKysely({ options: '-c default_transaction_read_only=on' });
    const reader = new KyselyIntegrationRepository(readonly);
    expect(await reader.listActiveIntegrations(tenantId)).toEqual([]);
    expect(await errorOf(reader.recordUsage(tenantId, usage))).toMatchObject({
      code: 'repository_failed',
      isRetryable: true,
    });
    await readonly.destroy();
  });
});

describe('bad input', () => {
  it('refuses ids that no INTEGER column holds, before any I/O', async () => {
    const closed = openKysely();
    await closed.destroy();
    const unreachable = new KyselyIntegrationRepository(closed);
    const tooLarge = 2_147_483_648;
    for (const call of [
      unreachable.listActiveIntegrations(tooLarge),
      unreachable.findIntegration(tooLarge, 1),
      unreachable.findIntegration(1, tooLarge),
      unreachable.createDefaultLocalIntegration(tooLarge),
      unreachable.recordUsage(tooLarge, usage),
    ]) {
      expect(await errorOf(call)).toMatchObject({
        code: 'invalid_input',
        message: expect.stringContaining('2147483647'),
      });
    }
    for (const id of [0, -1, 1.5, '1', undefined] as number[]) {
      expect(await errorOf(unreachable.findIntegration(1, id))).toMatchObject({ code: 'invalid_input' });
    }
    expect(await repository.listActiveIntegrations(2_147_483_647)).toEqual([]);
  });

  it.each([[undefined], [null], ['postgresql://user:secret@host/db'], [{}]])('refuses an invalid handle', (db) => {
    const create = () => new KyselyIntegrationRepository(db as never);
    expect(create).toThrow(InvalidInputError);
    expect(create).not.toThrow(/secret/);
  });

  it.each([['[1]'], ['"{\\"batch_size\\": 3}"'], ['7']])('names the row whose configuration is %s', async (json) => {
    const id = await addIntegration(db, { tenantId, provider: 'wex_ai_gateway' });
    await sql`update integrations set ai_model_config = ${json}::text::jsonb where id = ${id}`.execute(db);
    const good = await addIntegration(db, { tenantId, provider: 'openai' });
    const [broken, other] = await repository.listActiveIntegrations(tenantId);
    expect(broken?.problem).toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining(`integration ${id}`),
    });
    expect(String(broken?.problem)).not.toContain('batch_size');
    expect([other?.id, other?.problem]).toEqual([good, undefined]);
  });
});

describe('failures of the database', () => {
  it('is a typed error that says what is missing', async () => {
    const elsewhere = new KyselyIntegrationRepository(db.withSchema('nowhere'));
    const error = await errorOf(elsewhere.listActiveIntegrations(tenantId));
    expect(error).toBeInstanceOf(RepositoryError);
    expect(error).toMatchObject({ code: 'repository_failed', operation: 'listActiveIntegrations', isRetryable: false });
    expect(String(error)).toMatch(/listActiveIntegrations failed: the table is missing.*42P01/);
    expect((error as AiProviderError).cause).toBeInstanceOf(Error);
  });

  it.each([
    ['a wrong password', () => ({ password: 'wrong-secret-password' }), false, /credentials.*28P01/],
    ['an unknown database', () => ({ database: 'nowhere' }), false, /does not exist.*3D000/],
    [
      'a port where nobody listens',
      () => ({ port: 1 }),
      true,
      /refused the connection.*ECONNREFUSED at 127\.0\.0\.1:1/,
    ],
    ['an unknown host', () => ({ host: 'database.invalid' }), true, /(ENOTFOUND|EAI_AGAIN) at database\.invalid/],
  ])('%s', async (_, override, isRetryable, message) => {
    const { connectionString: _unused, ...config } = { connectionString: '', host: '127.0.0.1', port: server.port };
    const handle = new Kysely<HostDatabase>({
      dialect: new PostgresDialect({
        pool: server.openPool({
          connectionString: undefined,
          user: 'postgres',
          password: 'password',
          database: 'postgres',
          ...config,
          ...override(),
        }),
      }),
    });
    const error = await errorOf(new KyselyIntegrationRepository(handle).listActiveIntegrations(tenantId));
    expect(error).toMatchObject({ code: 'repository_failed', isRetryable });
    expect(String(error)).toMatch(message);
    expect(String(error)).not.toContain('wrong-secret-password');
    await handle.destroy();
  });

  it('a constraint that refuses the row: not retryable, and no value in the message', async () => {
    await sql`alter table ai_usage_trackings add constraint no_secret check (model_name <> 'secret-model')`.execute(db);
    const error = await errorOf(repository.recordUsage(tenantId, { ...usage, modelName: 'secret-model' }));
    await sql`alter table ai_usage_trackings drop constraint no_secret`.execute(db);
    expect(error).toMatchObject({ code: 'repository_failed', isRetryable: false });
    expect(String(error)).toMatch(/23514/);
    expect(String(error)).not.toContain('secret-model');
  });

  it('a statement timeout: retryable', async () => {
    const impatient = openKysely({ options: '-c lock_timeout=50' });
    const transaction = await db.startTransaction().execute();
    await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    const error = await errorOf(new KyselyIntegrationRepository(impatient).createDefaultLocalIntegration(tenantId));
    await transaction.rollback().execute();
    expect(error).toMatchObject({ code: 'repository_failed', isRetryable: true });
    expect(String(error)).toContain('55P03');
    await impatient.destroy();
  });

  it('a connection that is ended under a call, or a handle that the host has closed', async () => {
    const doomed = openKysely({ max: 1, application_name: 'doomed' });
    const doomedRepository = new KyselyIntegrationRepository(doomed);
    const transaction = await db.startTransaction().execute();
    await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId);
    const waiting = errorOf(doomedRepository.createDefaultLocalIntegration(tenantId));
    await untilWaiting(1);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'doomed'`.execute(db);
    expect(await waiting).toMatchObject({ code: 'repository_failed', isRetryable: true });
    await transaction.rollback().execute();
    expect(await doomedRepository.listActiveIntegrations(tenantId)).toEqual([]);
    await doomed.destroy();
    const error = await errorOf(doomedRepository.listActiveIntegrations(tenantId));
    expect(error).toMatchObject({ code: 'repository_failed', isRetryable: false });
    expect(String(error)).toContain('the host has closed the handle');
  });

  it('a server that stops in the middle: retryable, naming it, and well again when it is back', {
    timeout: 120_000,
  }, async () => {
    const other = await startPostgres();
    const handle = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool: other.openPool({ max: 4 }) }) });
    const otherRepository = new KyselyIntegrationRepository(handle);
    const { id } = await otherRepository.createDefaultLocalIntegration(tenantId);
    const transaction = await handle.startTransaction().execute();
    await new KyselyIntegrationRepository(transaction).createDefaultLocalIntegration(tenantId + 1);
    const waiting = errorOf(otherRepository.createDefaultLocalIntegration(tenantId + 1));
    await other.stop();
    expect(await waiting).toMatchObject({ code: 'repository_failed', isRetryable: true });
    await errorOf(transaction.rollback().execute());
    const error = await errorOf(otherRepository.listActiveIntegrations(tenantId));
    expect(error).toMatchObject({ code: 'repository_failed', isRetryable: true });
    expect(String(error)).toContain(`127.0.0.1:${other.port}`);
    await other.start();
    expect((await otherRepository.listActiveIntegrations(tenantId)).map((row) => row.id)).toEqual([id]);
    expect(await otherRepository.listActiveIntegrations(tenantId + 1)).toEqual([]);
    await handle.destroy();
    await other.remove();
  });
});
