// Compiled by `npm run types`: the handles of a CommonJS host, whose Kysely declarations are other ones.
import type { Kysely, Transaction } from 'kysely';
import type { KyselyIntegrationRepository as Repository } from '../../src/repositories/kysely/kysely-integration-repository.js' with {
  'resolution-mode': 'import',
};

declare const KyselyIntegrationRepository: typeof Repository;
declare const kysely: Kysely<{ integrations: { id: number } }>;
declare const transaction: Transaction<{ integrations: { id: number } }>;

void new KyselyIntegrationRepository(kysely);
void new KyselyIntegrationRepository(transaction);
