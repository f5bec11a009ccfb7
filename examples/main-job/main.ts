/**
 * The main job, end to end: embed passages of text that is on every machine, keep them apart by tenant, search them, and read back what it
 * cost. Needs no server, key or network. `npm start` runs it; these variables swap a part for a real one:
 *
 *   WEX_AI_GATEWAY_BASE_URL and WEX_AI_GATEWAY_API_KEY   embeddings from the gateway instead of the local model
 *   QDRANT_HOST (QDRANT_PORT, QDRANT_TIMEOUT, QDRANT_API_KEY)   vectors in that Qdrant server instead of in memory
 *   DATABASE_URL   the two tables in that PostgreSQL instead of an embedded one
 */
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  FernetCipher,
  HybridProviderManager,
  KyselyIntegrationRepository,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  toHtml,
  usageReport,
  VectorIndex,
} from '@pulse/ai-providers';
import { openDatabase } from '../shared/database.js';
import { gatewayFromEnvironment, setGatewayIntegration } from '../shared/gateway-integration.js';
import { ingest } from './ingest.js';
import { readPassages } from './passages.js';
import { printHits, printIsolation, printUsage, title } from './report.js';
import { tenants } from './tenants.js';

const startedAt = new Date();
const gateway = gatewayFromEnvironment();
const usesQdrantServer = process.env.QDRANT_HOST !== undefined;
// One collection holds vectors of one model only, so a run through the gateway has a table of its own.
const tableName = gateway === undefined ? 'readme_passages' : 'readme_passages_gateway';

title('Pulse AI providers: the main job');
console.log(
  `Embeddings  ${gateway === undefined ? 'all-MiniLM-L6-v2 in this process, free' : `gateway at ${gateway.baseUrl}`}`,
);
console.log(
  `Vectors     ${usesQdrantServer ? `Qdrant at ${process.env.QDRANT_HOST}` : 'in-process engine, in memory'}`,
);
console.log(
  `Database    ${process.env.DATABASE_URL === undefined ? 'embedded PostgreSQL (PGlite)' : 'PostgreSQL at DATABASE_URL'}`,
);

await using database = await openDatabase(process.env.DATABASE_URL);
const credentialCipher = new FernetCipher(FernetCipher.generateKey());
for (const { tenantId } of tenants) await setGatewayIntegration(database.db, tenantId, gateway, credentialCipher);

await using store = usesQdrantServer ? PulseQdrantClient.fromEnv() : new PulseQdrantClient({ location: ':memory:' });
await using factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(database.db),
  kinds: standardProviderKinds({ credentialCipher }),
});
const manager = new HybridProviderManager({ factory });
const index = new VectorIndex({ manager, store });

title('1. Embed and store');
for (const tenant of tenants) {
  // Says that the tenant exists: it gets an integration with the local model if it has none.
  await manager.initializeProviders(tenant.tenantId);
  const passages = await readPassages(tenant.packages, tenant.passageCount);
  await ingest(index, { tenantId: tenant.tenantId, tableName, label: tenant.name, passages });
}

title('2. Search');
for (const tenant of tenants) {
  for (const query of tenant.queries) {
    printHits(tenant.name, query, await index.search(query, { tenantId: tenant.tenantId, tableName, limit: 3 }));
  }
}

title('3. Tenants see only their own');
await printIsolation(index, store, tableName);

title('4. Health, without a billed call');
for (const { tenantId, name } of tenants) {
  for (const { provider, status, detail } of await manager.health(tenantId))
    console.log(`${name}: ${provider} is ${status}. ${detail}`);
}

title('5. Usage and cost, read back from ai_usage_trackings');
await factory.flushUsage();
await printUsage(database.db, startedAt);
const report = await usageReport(database.db, { from: startedAt, to: new Date(Date.now() + 1_000) });
const page = join(tmpdir(), 'pulse-ai-usage.html');
await writeFile(page, toHtml(report));
console.log(`\nThe same as a page with charts: ${page}`);
console.log(`\nDone in ${((Date.now() - startedAt.getTime()) / 1000).toFixed(1)} s.`);
