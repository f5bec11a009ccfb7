/**
 * An ETL service's bulk load: makes the work items of several tenants searchable, a page at a time, from where the last load stopped.
 *
 *   npm run build && npx tsx examples/etl-service/main.ts
 *
 * DATABASE_URL, QDRANT_HOST, WEX_AI_GATEWAY_BASE_URL and WEX_AI_GATEWAY_API_KEY as in the main job.
 */
import {
  FernetCipher,
  HybridProviderManager,
  KyselyIntegrationRepository,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  VectorIndex,
} from '@pulse/ai-providers';
import type { Kysely } from 'kysely';
import { openDatabase } from '../shared/database.js';
import { gatewayFromEnvironment, setGatewayIntegration } from '../shared/gateway-integration.js';
import { loadWorkItems } from './load-work-items.js';
import { addWorkItems, createTables, deleteWorkItem, type EtlDatabase } from './work-items.js';

const tenants = [7, 8];

await using database = await openDatabase(process.env.DATABASE_URL);
const db = database.db as unknown as Kysely<EtlDatabase>;
await createTables(db);
const credentialCipher = new FernetCipher(FernetCipher.generateKey());
for (const tenantId of tenants) {
  await setGatewayIntegration(database.db, tenantId, gatewayFromEnvironment(), credentialCipher);
  await addWorkItems(db, tenantId, 100);
}

await using store = process.env.QDRANT_HOST
  ? PulseQdrantClient.fromEnv()
  : new PulseQdrantClient({ location: ':memory:' });
await using factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(database.db),
  kinds: standardProviderKinds({ credentialCipher }),
});
const manager = new HybridProviderManager({ factory });
const index = new VectorIndex({ manager, store });

// SIGTERM stops the load; what is stored stays, and the next run goes on from there.
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort(new Error('The service was told to stop.')));

async function loadAll(label: string): Promise<void> {
  for (const tenantId of tenants) {
    const { loaded, deleted, refused } = await loadWorkItems(db, index, { tenantId, signal: stop.signal });
    console.log(`${label}, tenant ${tenantId}: ${loaded} loaded, ${deleted} deleted, ${refused.length} refused`);
  }
}

for (const tenantId of tenants) await manager.initializeProviders(tenantId);
await loadAll('First load');
await addWorkItems(db, tenants[0]!, 5);
await deleteWorkItem(db, tenants[0]!);
await loadAll('Second load');

for (const tenantId of tenants) {
  const [hit] = await index.search('bills with mistakes', { tenantId, tableName: 'work_items' });
  console.log(`Tenant ${tenantId} finds: ${hit?.metadata.title} (${hit?.score.toFixed(3)})`);
}
await factory.flushUsage();
const { rows, texts } = await db
  .selectFrom('ai_usage_trackings')
  .select((eb) => [eb.fn.countAll<number>().as('rows'), eb.fn.sum<string>('input_count').as('texts')])
  .executeTakeFirstOrThrow();
console.log(`${rows} usage rows account for ${texts} texts`);
