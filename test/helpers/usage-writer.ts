// A process of its own for the tests: makes calls until it is killed, and prints the number of each call that has
// returned.
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { HybridProviderManager } from '#src/core/calls/hybrid-provider-manager.js';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import { fakeKind } from './fake-provider.js';

const [connectionString, tenantId, durability] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString, max: 5 });
const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
const factory = new ProviderFactory({
  repository: new KyselyIntegrationRepository(db),
  kinds: [fakeKind('wex_ai_gateway')],
  usage: { durability: durability as 'background' | 'write-through' },
});
const manager = new HybridProviderManager({ factory });
let next = 0;

async function callForEver(): Promise<never> {
  for (;;) {
    const call = ++next;
    await manager.generateText('Hello', { tenantId: Number(tenantId), tags: { call } });
    // Straight into the pipe: what was printed has left the process, however it ends.
    process.stdout.write(`${call}\n`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
await Promise.all(Array.from({ length: 4 }, callForEver));
