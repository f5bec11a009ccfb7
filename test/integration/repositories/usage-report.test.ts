import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { CamelCasePlugin, Kysely, ParseJSONResultsPlugin, sql } from 'kysely';
import { PGliteDialect } from 'kysely-pglite-dialect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUsageReport } from '#src/core/cost/usage-report.js';
import { toHtml } from '#src/core/cost/usage-report-html.js';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import { readUsage } from '#src/repositories/memory/read-usage.js';
import { usageReport } from '#src/usage-report.js';
import { usageMonth } from '../../helpers/usage-month.js';

const month = { from: new Date('2026-11-01'), to: new Date('2026-12-01') };
const by = ['tenant', 'provider', 'model', 'operation', 'day', 'tag'] as const;
const stored = usageMonth().map(({ usage, tenantId, createdAt }) => ({ ...usage, tenantId, createdAt }));
const memory = { readUsage: async (query: Parameters<typeof readUsage>[1]) => readUsage(stored, query) };

describe('a usage report from the database', () => {
  const lite = PGlite.create();
  let db: Kysely<Record<string, never>>;

  beforeAll(async () => {
    db = new Kysely({ dialect: new PGliteDialect(await lite) });
    const schema = await readFile(new URL('../../fixtures/schema.sql', import.meta.url), 'utf8');
    await (await lite).exec(schema);
    for (const { tenantId, createdAt, ...usage } of stored) {
      await sql`insert into ai_usage_trackings (tenant_id, provider, operation, model_name, input_count, input_tokens, output_tokens, cost, request_metadata, created_at)
        values (${tenantId}, ${usage.provider}, ${usage.operation}, ${usage.modelName}, ${usage.inputCount}, ${usage.inputTokens}, ${usage.outputTokens}, ${usage.cost},
        ${JSON.stringify(usage.requestMetadata)}::text::jsonb, ${createdAt})`.execute(db);
    }
  });
  afterAll(async () => {
    await db.destroy();
  });

  it.each(['UTC', 'Europe/Berlin', 'America/Los_Angeles', 'Asia/Kolkata'])(
    'is the same as that in memory, in %s',
    async (timeZone) => {
      for (const tenantId of [undefined, 3]) {
        const options = { ...month, by, timeZone, tenantId };
        const [fromDatabase, fromMemory] = [await usageReport(db, options), await readUsageReport(memory, options)];
        expect(fromDatabase.rows).toEqual(fromMemory.rows);
        expect(fromDatabase.total).toEqual(fromMemory.total);
        expect(toHtml(fromDatabase)).toBe(toHtml(fromMemory));
      }
    },
  );

  it("does not depend on the handle's plugins", async () => {
    const expected = await readUsageReport(memory, { ...month, by });
    for (const plugin of [new CamelCasePlugin(), new ParseJSONResultsPlugin()]) {
      const repository = new KyselyIntegrationRepository(db.withPlugin(plugin));
      expect((await usageReport(repository, { ...month, by })).rows).toEqual(expected.rows);
    }
  });

  it('takes what other writers put into the JSON for what it is', async () => {
    await sql`insert into ai_usage_trackings (tenant_id, provider, operation, cost, request_metadata)
      values (99, 'x', 'embedding', 0.5, '{"cost_usd": "a lot", "duration_ms": {}, "tags": [1], "saved_cost_usd": "1e999"}'),
             (99, 'x', 'embedding', 0.5, null), (99, 'x', 'embedding', null, '[]'), (99, 'x', 'embedding', 0.25, '"text"')`.execute(
      db,
    );
    const report = await usageReport(db, {
      from: new Date('2026-01-01'),
      to: new Date('2100-01-01'),
      tenantId: 99,
      by,
    });
    expect(report.total).toMatchObject({ requests: 4, cost: '1.25', unknownCostRequests: 1, p50Ms: null, saved: '0' });
  });
});
