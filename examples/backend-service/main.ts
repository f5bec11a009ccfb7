/**
 * A backend service with interactive requests: notes of many tenants, searched by meaning, and summaries.
 *
 *   npm run build && npx tsx examples/backend-service/main.ts
 *   curl -X PUT  localhost:3000/tenants/7/notes/1 -d '{"text": "The import stopped at record 1,337"}'
 *   curl         localhost:3000/tenants/7/notes?q=failed+imports
 *   curl -X POST localhost:3000/tenants/7/summaries -d '{"text": "…"}'     (needs a gateway)
 *   curl         localhost:3000/tenants/7/health
 *
 * PORT; DATABASE_URL, QDRANT_HOST, WEX_AI_GATEWAY_BASE_URL and WEX_AI_GATEWAY_API_KEY as in the main job. With a gateway, TENANTS (such as
 * `7,8`) get an integration with it.
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import {
  FernetCipher,
  HybridProviderManager,
  KyselyIntegrationRepository,
  type Logger,
  ProviderFactory,
  PulseQdrantClient,
  standardProviderKinds,
  VectorIndex,
} from '@pulse/ai-providers';
import { openDatabase } from '../shared/database.js';
import { gatewayFromEnvironment, setGatewayIntegration } from '../shared/gateway-integration.js';
import { createBackendServer } from './server.js';

const print =
  (level: string): Logger['info'] =>
  ({ error, ...fields }, message) =>
    console.log(JSON.stringify({ level, message, ...fields, ...(error ? { error: String(error) } : {}) }));
// A service has pino or winston here, which fit as they are.
const logger: Logger = { debug: () => {}, info: print('info'), warn: print('warn'), error: print('error') };

await using database = await openDatabase(process.env.DATABASE_URL);
const credentialCipher = new FernetCipher(process.env.ENCRYPTION_KEY ?? FernetCipher.generateKey());
const gateway = gatewayFromEnvironment();
for (const tenantId of (process.env.TENANTS ?? '').split(',').filter(Boolean).map(Number)) {
  await setGatewayIntegration(database.db, tenantId, gateway, credentialCipher);
}

// One of each for the whole process; they hold the connections, the model and the circuit breakers.
await using store = process.env.QDRANT_HOST
  ? PulseQdrantClient.fromEnv()
  : new PulseQdrantClient({ location: ':memory:' });
await using factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(database.db),
  kinds: standardProviderKinds({ credentialCipher }),
  // Any tenant number will do here. A real service has found the tenant by its session, and keeps the default.
  createDefaultLocal: 'always',
  logger,
});
const manager = new HybridProviderManager({ factory, logger });
const index = new VectorIndex({ manager, store });

const server = createBackendServer({ manager, index, logger }).listen(Number(process.env.PORT ?? 3000));
await once(server, 'listening');
logger.info({ port: (server.address() as AddressInfo).port }, 'Listening.');

await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
logger.info({}, 'Stopping: requests under way are finished first.');
server.close();
server.closeIdleConnections();
await once(server, 'close');
// `await using` now closes the factory (its model and its usage rows), the store and the database, in this order.
