import type { Integration, IntegrationRepository } from '../core/ports/integration-repository.js';
import {
  type IntegrationReview,
  type IntegrationTest,
  testIntegration,
  validateIntegration,
} from '../core/routing/test-integration.js';
import { FernetCipher } from '../credential-ciphers/fernet/fernet-cipher.js';
import type { KyselyHandle } from '../repositories/kysely/kysely-handle.js';
import { KyselyIntegrationRepository } from '../repositories/kysely/kysely-integration-repository.js';
import { standardProviderKinds } from '../standard-provider-kinds.js';
import { withDatabase } from './database.js';
import { type Check, type Given, messageOf } from './doctor-checks.js';

/** As many as a person reads; the rest is counted. */
const maxTenants = 50;

const tables = {
  integrations:
    'id, tenant_id, provider, type, base_url, password, ai_model, ai_model_config, cost_config, fallback_integration_id, active',
  ai_usage_trackings:
    'tenant_id, provider, operation, model_name, input_count, input_tokens, output_tokens, total_tokens, cost, request_metadata, created_at',
} as const;

/**
 * The two tables with their columns, and each row of type `ai_provider`: its settings, its key, and on request a call.
 */
export async function checkDatabase(given: Given): Promise<Check[]> {
  const { DATABASE_URL: url } = given.env;
  if (!url) return [{ name: 'database', status: 'skipped', detail: 'DATABASE_URL is not set.' }];
  try {
    return await withDatabase('pulse-ai doctor', url, async (db) => {
      const checks: Check[] = [];
      for (const [table, columns] of Object.entries(tables)) checks.push(await checkTable(db, table, columns));
      if (checks.some(({ status }) => status === 'problem')) return checks;
      return [...checks, ...(await checkRows(db, given))];
    });
  } catch (error) {
    return [{ name: 'database', status: 'problem', detail: messageOf(error) }];
  }
}

type Database = Parameters<Parameters<typeof withDatabase>[2]>[0];

/** The builder's methods that are called here; this library has no types for the host's tables. */
interface Select {
  select(columns: readonly string[]): Select;
  distinct(): Select;
  where(column: string, operator: string, value: unknown): Select;
  orderBy(column: string): Select;
  limit(count: number): Select;
  execute(): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

const selectFrom = (db: Database, table: string) =>
  (db as unknown as { selectFrom(name: string): Select }).selectFrom(table);

async function checkTable(db: Database, table: string, columns: string): Promise<Check> {
  const name = `table ${table}`;
  try {
    await selectFrom(db, table).select(columns.split(', ')).limit(0).execute();
    return { name, status: 'ok', detail: 'it has every column that is read and written.' };
  } catch (error) {
    const detail = `${messageOf(error)}. The tables are in examples/shared/schema.sql of the package.`;
    return { name, status: 'problem', detail };
  }
}

async function checkRows(db: Database, given: Given): Promise<Check[]> {
  const found = await selectFrom(db, 'integrations')
    .select(['tenant_id'])
    .distinct()
    .where('type', '=', 'ai_provider')
    .where('active', '=', true)
    .orderBy('tenant_id')
    .execute();
  if (found.length === 0)
    return [{ name: 'integrations', status: 'warning', detail: 'no active row of type ai_provider.' }];
  const key = given.env[given.keyName];
  if (!key) {
    const detail = `Set ${given.keyName} to the encryption key of \`password\`, or name its variable with --key-env.`;
    return [{ name: 'integrations', status: 'problem', detail }];
  }
  const kinds = standardProviderKinds({ credentialCipher: new FernetCipher(key) });
  const repository: IntegrationRepository = new KyselyIntegrationRepository(db as KyselyHandle);
  const checks: Check[] = [];
  for (const { tenant_id: tenantId } of found.slice(0, maxTenants)) {
    for (const row of await repository.listActiveIntegrations(Number(tenantId))) {
      checks.push(await checkRow(row, kinds, given.makesCalls));
    }
  }
  if (found.length > maxTenants) {
    checks.push({
      name: 'integrations',
      status: 'skipped',
      detail: `the rows of ${found.length - maxTenants} more tenants`,
    });
  }
  return checks;
}

async function checkRow(
  row: Integration,
  kinds: ReturnType<typeof standardProviderKinds>,
  makesCall: boolean,
): Promise<Check> {
  const name = `integration ${row.id} (${row.provider}, tenant ${row.tenantId})`;
  const review: IntegrationReview & Partial<IntegrationTest> = makesCall
    ? await testIntegration(row, kinds)
    : await validateIntegration(row, kinds);
  const sentences = [...review.problems, ...review.warnings];
  if (review.problems.length > 0) return { name, status: 'problem', detail: sentences.join(' ') };
  if (sentences.length > 0) return { name, status: 'warning', detail: sentences.join(' ') };
  if (review.latencyMs === undefined) return { name, status: 'ok', detail: 'its settings and its key can be used.' };
  const size = review.dimension === undefined ? '' : ` with ${review.dimension} dimensions`;
  return { name, status: 'ok', detail: `${review.model} answered${size} in ${review.latencyMs} ms.` };
}
