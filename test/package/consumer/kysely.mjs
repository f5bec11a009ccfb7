// The repository's conformance suite in a host that uses Node's own test runner, on whichever Kysely is installed.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { PGlite } from '@electric-sql/pglite';
import { KyselyIntegrationRepository } from '@pulse/ai-providers';
import { integrationRepositoryContract } from '@pulse/ai-providers/testing';
import * as kysely from 'kysely';

// Kysely 0.29 brings the dialect; for 0.28 it is a package of its own.
const openDialect = async (pglite) =>
  kysely.PGliteDialect === undefined
    ? new (await import('kysely-pglite-dialect')).PGliteDialect(pglite)
    : new kysely.PGliteDialect({ pglite });
const { sql } = kysely;

integrationRepositoryContract(
  {
    describe,
    it,
    beforeAll: before,
    afterAll: after,
    expect: (actual) => ({
      toBe: (expected) => assert.equal(actual, expected),
      toEqual: (expected) => assert.deepEqual(actual, expected),
    }),
  },
  {
    name: 'Kysely as installed',
    open: async () => {
      const pglite = await PGlite.create();
      await pglite.exec(await readFile(new URL('./schema.sql', import.meta.url), 'utf8'));
      const db = new kysely.Kysely({ dialect: await openDialect(pglite) });
      const json = (value) => (value ? sql`${JSON.stringify(value)}::text::jsonb` : null);
      return {
        repository: new KyselyIntegrationRepository(db),
        addIntegration: async (row) => {
          const { rows } = await sql`
            insert into integrations (tenant_id, provider, type, base_url, password, ai_model, ai_model_config, cost_config,
              fallback_integration_id, active)
            values (${row.tenantId}, ${row.provider}, ${row.type ?? 'ai_provider'}, ${row.baseUrl ?? null}, ${row.password ?? null},
              ${row.aiModel ?? null}, ${json(row.aiModelConfig)}, ${json(row.costConfig)}, ${row.fallbackIntegrationId ?? null},
              ${row.active === undefined ? true : row.active})
            returning id`.execute(db);
          return rows[0].id;
        },
        readUsage: async (tenantId) => {
          const { rows } = await sql`
            select provider, operation, model_name as "modelName", input_count as "inputCount", input_tokens as "inputTokens",
              output_tokens as "outputTokens", total_tokens as "totalTokens", cost, request_metadata as "requestMetadata"
            from ai_usage_trackings where tenant_id = ${tenantId} order by id`.execute(db);
          return rows;
        },
        close: () => db.destroy(),
      };
    },
  },
);
