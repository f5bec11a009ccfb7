import { PGlite } from '@electric-sql/pglite';
import { Kysely, PostgresDialect } from 'kysely';
import { Kysely as NextKysely, PGliteDialect as NextPGliteDialect } from 'kysely-0-29';
import { PGliteDialect } from 'kysely-pglite-dialect';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KyselyIntegrationRepository } from '#src/repositories/kysely/kysely-integration-repository.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { integrationRepositoryContract } from '#src/testing/integration-repository-contract.js';
import { type HostDatabase, kyselyFixture } from '../helpers/kysely-repository.js';
import { readSchema, startPostgres } from '../helpers/postgres.js';

const testApi = { afterAll, beforeAll, describe, expect, it };

integrationRepositoryContract(testApi, {
  name: 'memory',
  open: async () => {
    const repository = new MemoryIntegrationRepository();
    return {
      repository,
      addIntegration: async ({ aiModelConfig, costConfig, ...row }) =>
        repository.saveIntegration({
          ...row,
          ...(aiModelConfig ? { aiModelConfig } : {}),
          ...(costConfig ? { costConfig } : {}),
        }).id,
      readUsage: async (tenantId) =>
        repository.usage
          .filter((usage) => usage.tenantId === tenantId)
          .map(({ tenantId: _tenant, createdAt: _time, ...usage }) => usage),
      close: async () => {},
    };
  },
});

integrationRepositoryContract(testApi, {
  name: 'Kysely on PGlite',
  open: async () => {
    const database = new PGlite();
    await database.exec(await readSchema());
    const db = new Kysely<HostDatabase>({ dialect: new PGliteDialect(database) });
    return kyselyFixture(db, () => db.destroy());
  },
});

integrationRepositoryContract(testApi, {
  name: 'Kysely 0.29 on PGlite',
  open: async () => {
    const database = new PGlite();
    await database.exec(await readSchema());
    const db = new NextKysely<HostDatabase>({ dialect: new NextPGliteDialect({ pglite: database }) });
    return { ...kyselyFixture(db as never, () => db.destroy()), repository: new KyselyIntegrationRepository(db) };
  },
});

integrationRepositoryContract(testApi, {
  name: 'Kysely on PostgreSQL',
  open: async () => {
    const server = await startPostgres();
    const db = new Kysely<HostDatabase>({ dialect: new PostgresDialect({ pool: server.openPool({ max: 8 }) }) });
    return kyselyFixture(db, async () => {
      await db.destroy();
      await server.remove();
    });
  },
});
