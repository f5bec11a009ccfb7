/**
 * An ETL service: keeps the work items of many tenants searchable. Start it as often as there is work for; the
 * processes share the jobs.
 *
 *   npm run build
 *   npx tsx examples/etl-service/setup.ts     makes the tables and some work items
 *   npx tsx examples/etl-service/main.ts      until SIGTERM
 *
 * DATABASE_URL (a PostgreSQL), QDRANT_HOST and QDRANT_PORT (a Qdrant server), FERNET_KEY (of the encrypted API keys).
 */
import { once } from 'node:events';
import {
  FernetCipher,
  HybridProviderManager,
  KyselyIntegrationRepository,
  KyselySyncStore,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  VectorIndex,
} from '@pulse/ai-providers';
import { SyncQueue } from '@pulse/ai-providers/jobs';
import { openEtlDatabase, pagesOfWorkItems } from './work-items.js';

await using database = openEtlDatabase();
const { db, pool } = database;
const credentialCipher = new FernetCipher(process.env.FERNET_KEY ?? '');
await using store = PulseQdrantClient.fromEnv();
await using factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(db),
  kinds: standardProviderKinds({ credentialCipher }),
});
const index = new VectorIndex({ manager: new HybridProviderManager({ factory }), store });
const syncStore = new KyselySyncStore(db);
await using queue = await SyncQueue.open({ pool });

queue.work(async ({ tenantId, tableName, signal }) => {
  const options = { tenantId, tableName, syncStore, deleteMissing: true, signal };
  const { embeddedCount, skippedCount, deletedCount, deadLetterCount, cost } = await index.sync(
    pagesOfWorkItems(db, tenantId),
    options,
  );
  console.log(JSON.stringify({ tenantId, embeddedCount, skippedCount, deletedCount, deadLetterCount, cost }));
});

const tenants = await db.selectFrom('work_items').select('tenant_id').distinct().execute();
for (const { tenant_id: tenantId } of tenants) await queue.enqueue({ tenantId, tableName: 'work_items' });
// SIGTERM cancels the syncs that run, and leaves their jobs to other processes.
await once(process, 'SIGTERM');
