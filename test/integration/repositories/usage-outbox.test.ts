import { Kysely, PostgresDialect, sql } from 'kysely';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import type { TenantUsage } from '#src/core/ports/integration-repository.js';
import { ProviderFactory, type ProviderFactoryOptions } from '#src/core/routing/provider-factory.js';
import { RepositoryError } from '#src/errors.js';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import { fakeKind } from '../../helpers/fake-provider.js';
import { bundleUsageWriter, killUsageWriter } from '../../helpers/kill-usage-writer.js';
import { addIntegration, type HostDatabase, readUsage } from '../../helpers/kysely-repository.js';
import { type PostgresServer, startPostgres } from '../../helpers/postgres.js';

let server: PostgresServer;
let pool: pg.Pool;
let db: Kysely<HostDatabase>;
let tenantId = 5000;

beforeAll(async () => {
  server = await startPostgres();
  pool = server.openPool({ max: 10 });
  db = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool }) });
});
afterAll(async () => {
  await db.destroy();
  await server.remove();
});
beforeEach(async () => {
  tenantId++;
  await addIntegration(db, {
    tenantId,
    provider: 'wex_ai_gateway',
    aiModel: 'm',
    costConfig: { cost_per_1k_tokens: 1 },
  });
});

function openManager(handle: Kysely<HostDatabase> = db, options: Partial<ProviderFactoryOptions> = {}) {
  const repository = new KyselyIntegrationRepository(handle);
  const factory = new ProviderFactory({ repository, kinds: [fakeKind('wex_ai_gateway')], ...options });
  return { factory, manager: new HybridProviderManager({ factory }), repository };
}

const usageRow = (usageId: string, more: Partial<TenantUsage['usage']> = {}): TenantUsage => ({
  tenantId,
  usage: {
    provider: 'wex_ai_gateway',
    operation: 'embedding',
    modelName: 'm',
    inputCount: 1,
    inputTokens: 7,
    outputTokens: 0,
    cost: '0.0070',
    requestMetadata: { usage_id: usageId },
    occurredAt: new Date('2026-11-27T23:59:59Z'),
    ...more,
  },
});
const idsOf = async () => (await readUsage(db, tenantId)).map(({ requestMetadata }) => requestMetadata.usage_id);

describe('recordUsageRows', () => {
  it('writes all rows with the time of their use, or none of them', async () => {
    const { repository } = openManager();
    await repository.recordUsageRows([usageRow('a'), usageRow('b')]);
    const { rows } = await pool.query('select created_at from ai_usage_trackings where tenant_id = $1', [tenantId]);
    expect(rows.map(({ created_at }) => created_at.toISOString())).toEqual(Array(2).fill('2026-11-27T23:59:59.000Z'));
    const broken = usageRow('d', { cost: 'not a number' });
    await expect(repository.recordUsageRows([usageRow('c'), broken])).rejects.toMatchObject({
      code: 'repository_failed',
      isAboutRow: true,
      isRetryable: false,
    });
    expect(await idsOf()).toEqual(['a', 'b']);
  });

  it('writes a row whose earlier write may have gone through only if it is not there', async () => {
    const { repository } = openManager();
    await repository.recordUsageRows([usageRow('a')]);
    await repository.recordUsageRows([usageRow('a'), usageRow('b')], { mayExist: true });
    await repository.recordUsageRows([usageRow('a'), usageRow('b')], { mayExist: true });
    expect(await idsOf()).toEqual(['a', 'b']);
  });

  it('is ended by the database while the table is locked, and leaves no statement behind', async () => {
    const { repository } = openManager();
    const migration = await pool.connect();
    await migration.query('begin; lock table ai_usage_trackings in access exclusive mode');
    await expect(repository.recordUsageRows([usageRow('a')])).rejects.toMatchObject({
      isRetryable: true,
      isAboutRow: false,
    });
    const { rows } = await pool.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'");
    expect(rows).toEqual([]);
    await migration.query('rollback');
    migration.release();
    const { rows: settings } = await pool.query("select current_setting('statement_timeout') as value");
    expect(settings).toEqual([{ value: '0' }]);
  });

  it('a refused row leaves the host’s transaction usable, and takes no statement of the host back', async () => {
    const { repository: outside } = openManager();
    await db.transaction().execute(async (transaction) => {
      const repository = new KyselyIntegrationRepository(transaction);
      const own = (name: string) =>
        transaction
          .insertInto('integrations')
          .values({ tenant_id: tenantId, provider: name, type: 'data_source' } as never)
          .execute();
      const refused = repository.recordUsageRows([usageRow('refused', { cost: 'not a number' })]);
      // Asked for while the savepoint is open.
      await Promise.all([expect(refused).rejects.toBeInstanceOf(RepositoryError), own('jira'), own('github')]);
      await Promise.all([repository.recordUsageRows([usageRow('kept')]), own('gitlab')]);
    });
    expect(await idsOf()).toEqual(['kept']);
    const { rows } = await pool.query(
      "select provider from integrations where tenant_id = $1 and type = 'data_source' order by id",
      [tenantId],
    );
    expect(rows.map(({ provider }) => provider)).toEqual(['jira', 'github', 'gitlab']);
    expect(outside.isTransaction).toBe(false);
  });
});

describe('the manager inside a transaction of the host', () => {
  it('has written its rows when the call returns, and they are the transaction’s', async () => {
    const rollBack = new Error('the host changed its mind');
    const work = db.transaction().execute(async (transaction) => {
      const { manager, factory } = openManager(transaction);
      await manager.generateText('Hello', { tenantId });
      expect(await readUsage(transaction, tenantId)).toHaveLength(1);
      await factory.close();
      throw rollBack;
    });
    await expect(work).rejects.toBe(rollBack);
    expect(await readUsage(db, tenantId)).toEqual([]);
  });
});

describe('handles and mapping', () => {
  it('reads rows from one handle and writes usage to the other', async () => {
    const replica = new Kysely<HostDatabase>({
      dialect: new PostgresDialect({
        pool: server.openPool({ max: 2, options: '-c default_transaction_read_only=on' }),
      }),
    });
    const repository = new KyselyIntegrationRepository({ read: replica, write: db });
    expect(await repository.listActiveIntegrations(tenantId)).toHaveLength(1);
    await repository.recordUsageRows([usageRow('a')]);
    expect(await idsOf()).toEqual(['a']);
    await expect(new KyselyIntegrationRepository(replica).recordUsageRows([usageRow('b')])).rejects.toMatchObject({
      isRetryable: true,
    });
    await replica.destroy();
  });

  it('reads the rows of a platform that names and keeps things otherwise, and makes rows of the same form', async () => {
    await sql`create schema if not exists platform`.execute(db);
    await sql`drop table if exists platform.integrations`.execute(db);
    await sql`create table platform.integrations (id bigserial primary key, tenant_id bigint not null, provider text not null,
      type text not null, password text, settings jsonb, active boolean)`.execute(db);
    const settings = {
      model_path: 'azure-gpt-4o',
      gateway_url: 'https://gw.test/v1',
      prices: { cost_per_1k_tokens: 2 },
      batch_size: 5,
    };
    await sql`insert into platform.integrations (tenant_id, provider, type, settings, active) values
      (${tenantId}, 'WEX AI Gateway', 'AI', ${JSON.stringify(settings)}::text::jsonb, true), (${tenantId}, 'Jira', 'Data', null, true)`.execute(
      db,
    );
    const repository = new KyselyIntegrationRepository(db.withSchema('platform'), {
      types: ['AI', 'Embedding'],
      providerNames: { 'WEX AI Gateway': 'wex_ai_gateway', 'Local model': 'sentence_transformers' },
      columns: {
        baseUrl: 'settings.gateway_url',
        aiModel: 'settings.model_path',
        aiModelConfig: 'settings',
        costConfig: 'settings.prices',
        fallbackIntegrationId: null,
      },
    });
    const [gateway] = await repository.listActiveIntegrations(tenantId);
    expect(gateway).toMatchObject({
      tenantId,
      provider: 'wex_ai_gateway',
      baseUrl: 'https://gw.test/v1',
      aiModel: 'azure-gpt-4o',
      aiModelConfig: { batch_size: 5 },
      costConfig: { cost_per_1k_tokens: 2 },
      fallbackIntegrationId: null,
    });
    expect(await repository.findIntegration(tenantId, gateway!.id)).toEqual(gateway);
    const local = await repository.createDefaultLocalIntegration(tenantId);
    expect(await repository.createDefaultLocalIntegration(tenantId)).toEqual(local);
    expect(local).toMatchObject({
      provider: 'sentence_transformers',
      aiModel: 'all-MiniLM-L6-v2',
      costConfig: { cost_per_1k_tokens: 0 },
    });
    const { rows } = await pool.query('select provider, type, settings from platform.integrations where id = $1', [
      local.id,
    ]);
    expect(rows).toMatchObject([
      { provider: 'Local model', type: 'AI', settings: { model_path: 'all-MiniLM-L6-v2', batch_size: 32 } },
    ]);
  });

  it.each([
    [{ types: [] }, 'types'],
    [{ columns: { aiModel: 'settings..model' } }, 'columns.aiModel'],
    [{ columns: { model: 'x' } }, 'model'],
    [{ type: 'AI' }, 'type'],
  ])('refuses the mapping %j', (mapping, name) => {
    expect(() => new KyselyIntegrationRepository(db, mapping as never)).toThrow(name);
  });
});

describe('a default local integration', () => {
  it('is made for a tenant that has rows of any type, and for no other number', async () => {
    const { repository } = openManager();
    expect(await repository.tenantExists(tenantId)).toBe(true);
    expect(await repository.tenantExists(4242)).toBe(false);
    const kinds = [fakeKind('sentence_transformers', { isLocal: true })];
    const { manager } = openManager(db, { kinds });
    const embed = (id: number) => manager.generateEmbeddings(['a'], { tenantId: id });
    await expect(embed(4242)).rejects.toMatchObject({ code: 'integration_not_found' });
    expect(await repository.listActiveIntegrations(4242)).toEqual([]);
    expect((await embed(tenantId)).provider).toBe('sentence_transformers');
    await manager.initializeProviders(4243);
    expect((await embed(4243)).provider).toBe('sentence_transformers');
    const never = openManager(db, { kinds, createDefaultLocal: 'never' });
    await expect(never.manager.initializeProviders(4244)).rejects.toMatchObject({ code: 'integration_not_found' });
  });
});

describe('a process that is killed', () => {
  it.each([
    ['write-through', 0],
    // 100 ms of gathering, and a write that the database ends after 5 s.
    ['background', 5100],
  ])('%s loses no call that returned earlier than its interval', async (durability, intervalMs) => {
    const { file, remove } = await bundleUsageWriter();
    const { connectionString } = server;
    for (const afterCalls of [3, 40, 900]) {
      tenantId++;
      await addIntegration(db, { tenantId, provider: 'wex_ai_gateway' });
      const killed = await killUsageWriter(pool, { file, connectionString, tenantId, durability, afterCalls });
      expect(killed.toldCount).toBeGreaterThanOrEqual(afterCalls);
      expect(killed.doubleCount).toBe(0);
      expect(killed.lostMs).toBeLessThanOrEqual(intervalMs);
      if (intervalMs === 0) expect(killed.lostCount).toBe(0);
      if (afterCalls === 900) expect(killed.lostCount).toBeLessThan(killed.toldCount / 2);
    }
    await remove();
  });
});
