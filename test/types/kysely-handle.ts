// Compiled by `npm run types`: every handle that a host can have is accepted without a cast.
import type { Kysely, Transaction } from 'kysely';
import type { Kysely as NextKysely, Transaction as NextTransaction } from 'kysely-0-29';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import type { HostDatabase } from '../helpers/kysely-repository.js';

interface UnrelatedTables {
  people: { id: number };
}

declare const kysely: Kysely<HostDatabase>;
declare const transaction: Transaction<HostDatabase>;
declare const nextKysely: NextKysely<HostDatabase>;
declare const nextTransaction: NextTransaction<HostDatabase>;
declare const unrelated: Kysely<UnrelatedTables>;
declare const untyped: Kysely<unknown>;
// biome-ignore lint/suspicious/noExplicitAny: a host may be as loose as that.
declare const loose: Kysely<any>;

new KyselyIntegrationRepository(kysely);
new KyselyIntegrationRepository(kysely.withSchema('pulse'));
new KyselyIntegrationRepository(transaction);
new KyselyIntegrationRepository(nextKysely);
new KyselyIntegrationRepository(nextTransaction);
// A host may well type only its own tables.
new KyselyIntegrationRepository(unrelated);
new KyselyIntegrationRepository(untyped);
new KyselyIntegrationRepository(loose);

// @ts-expect-error A pool is no handle.
new KyselyIntegrationRepository({ query: async () => ({ rows: [] }) });
// @ts-expect-error
new KyselyIntegrationRepository(undefined);
