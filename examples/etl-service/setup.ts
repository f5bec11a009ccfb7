/** Makes the tables of the ETL service and 100 work items for each of the tenants 7 and 8. */
import { FernetCipher, KyselySyncStore } from '@pulse/ai-providers';
import type { Kysely } from 'kysely';
import { type Database, openDatabase } from '../shared/database.js';
import { gatewayFromEnvironment, setGatewayIntegration } from '../shared/gateway-integration.js';
import { addWorkItems, createTables, type EtlDatabase } from './work-items.js';

await using database = await openDatabase(process.env.DATABASE_URL);
const db = database.db as unknown as Kysely<EtlDatabase>;
await createTables(db);
await KyselySyncStore.createTables(db);
const cipher = new FernetCipher(process.env.FERNET_KEY ?? FernetCipher.generateKey());
for (const tenantId of [7, 8]) {
  await setGatewayIntegration(db as unknown as Kysely<Database>, tenantId, gatewayFromEnvironment(), cipher);
  await addWorkItems(db, tenantId, 100);
}
