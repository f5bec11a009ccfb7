import { describe, expect, it } from 'vitest';
import type { IntegrationRepository } from '#src/core/ports/integration-repository.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import {
  type IntegrationFixture,
  type IntegrationRepositoryFixture,
  integrationRepositoryContract,
} from '#src/testing/integration-repository-contract.js';
import type { TestApi } from '#src/testing/test-api.js';

/** Runs a suite on its own runner and returns the names of the tests that failed. */
async function failuresOf(suite: (testApi: TestApi) => void): Promise<string[]> {
  const tests: { readonly name: string; readonly body: () => Promise<void> }[] = [];
  const before: (() => Promise<void>)[] = [];
  const after: (() => Promise<void>)[] = [];
  const path: string[] = [];
  suite({
    describe: (name, body) => {
      path.push(name);
      body();
      path.pop();
    },
    it: (name, body) => tests.push({ name: [...path, name].join(' > '), body }),
    expect,
    beforeAll: (body) => before.push(body),
    afterAll: (body) => after.push(body),
  });
  for (const body of before) await body();
  const failed: string[] = [];
  for (const { name, body } of tests) await body().catch(() => failed.push(name));
  for (const body of after) await body();
  return failed;
}

type Sabotage = (repository: MemoryIntegrationRepository, rows: IntegrationFixture[]) => Partial<IntegrationRepository>;

function sabotagedFixture(sabotage: Sabotage): IntegrationRepositoryFixture {
  const memory = new MemoryIntegrationRepository();
  const rows: IntegrationFixture[] = [];
  const overrides = sabotage(memory, rows);
  const repository: IntegrationRepository = {
    listActiveIntegrations: (tenantId, options) => memory.listActiveIntegrations(tenantId, options),
    findIntegration: (tenantId, id, options) => memory.findIntegration(tenantId, id, options),
    createDefaultLocalIntegration: (tenantId, options) => memory.createDefaultLocalIntegration(tenantId, options),
    recordUsage: (tenantId, usage, options) => memory.recordUsage(tenantId, usage, options),
    ...overrides,
  };
  return {
    repository,
    addIntegration: async (row) => {
      rows.push(row);
      const { aiModelConfig, costConfig, ...rest } = row;
      return memory.saveIntegration({
        ...rest,
        ...(aiModelConfig ? { aiModelConfig } : {}),
        ...(costConfig ? { costConfig } : {}),
      }).id;
    },
    readUsage: async (tenantId) =>
      memory.usage
        .filter((usage) => usage.tenantId === tenantId)
        .map(({ tenantId: _tenant, createdAt: _time, ...usage }) => usage),
    close: async () => {},
  };
}

/** What is done to a good repository, and a test that has to notice. */
const sabotages: Readonly<Record<string, readonly [noticedBy: string, Sabotage]>> = {
  'lists the rows of every tenant': [
    "leaves out other tenants' rows",
    (memory, rows) => ({
      listActiveIntegrations: async (tenantId, options) => {
        await memory.listActiveIntegrations(tenantId, options);
        const tenants = [...new Set(rows.map((row) => row.tenantId))];
        return (await Promise.all(tenants.map((id) => memory.listActiveIntegrations(id)))).flat();
      },
    }),
  ],
  'finds a row whoever asks': [
    "does not find another tenant's row",
    (memory, rows) => ({
      findIntegration: async (tenantId, id, options) => {
        await memory.findIntegration(tenantId, id, options);
        const found = await Promise.all(rows.map((row) => memory.findIntegration(row.tenantId, id)));
        return found.find((integration) => integration !== undefined);
      },
    }),
  ],
  'lists inactive rows': [
    'leaves out inactive rows',
    (memory, rows) => ({
      listActiveIntegrations: async (tenantId, options) => {
        await memory.listActiveIntegrations(tenantId, options);
        const all = await Promise.all(rows.map((_, index) => memory.findIntegration(tenantId, index + 1)));
        return all.filter((integration) => integration !== undefined);
      },
    }),
  ],
  'takes NULL for active': [
    'finds inactive rows',
    (memory) => ({
      findIntegration: async (tenantId, id, options) => {
        const found = await memory.findIntegration(tenantId, id, options);
        return found && { ...found, active: true };
      },
    }),
  ],
  'lists in no order': [
    'orders by id',
    (memory) => ({
      listActiveIntegrations: async (tenantId, options) =>
        (await memory.listActiveIntegrations(tenantId, options)).toReversed(),
    }),
  ],
  'loses usage': [
    'loses nothing',
    (memory) => {
      let calls = 0;
      return {
        recordUsage: async (tenantId, usage, options) => {
          if (++calls % 5 !== 0) await memory.recordUsage(tenantId, usage, options);
        },
      };
    },
  ],
  'records usage twice': [
    'once a call',
    (memory) => ({
      recordUsage: async (tenantId, usage, options) => {
        await memory.recordUsage(tenantId, usage, options);
        await memory.recordUsage(tenantId, usage, options);
      },
    }),
  ],
  'records an unknown cost as 0': [
    'keeps unknown counts and costs unknown',
    (memory) => ({
      recordUsage: (tenantId, usage, options) =>
        memory.recordUsage(tenantId, { ...usage, cost: usage.cost ?? '0.0000' }, options),
    }),
  ],
  'makes several default integrations': [
    'also for concurrent callers',
    (memory) => ({
      createDefaultLocalIntegration: async (tenantId, options) => {
        const existing = await memory.listActiveIntegrations(tenantId, options);
        await new Promise((resolve) => setImmediate(resolve));
        const local = existing.find((row) => row.provider === 'sentence_transformers');
        return local ?? memory.saveIntegration({ ...(await defaultsFor(tenantId)), tenantId });
      },
    }),
  ],
  'overrules an administrator who switched the local model off': [
    'also an inactive one',
    (memory) => ({
      createDefaultLocalIntegration: async (tenantId, options) => {
        const found = await memory.createDefaultLocalIntegration(tenantId, options);
        return found.active ? found : memory.saveIntegration({ ...found, active: true });
      },
    }),
  ],
  'rounds JSON numbers': [
    'returns every column as it was stored',
    (memory) => ({
      listActiveIntegrations: async (tenantId, options) =>
        (await memory.listActiveIntegrations(tenantId, options)).map((row) => ({
          ...row,
          costConfig: JSON.parse(JSON.stringify(row.costConfig), (_, value) =>
            typeof value === 'number' ? Math.round(value * 1000) / 1000 : value,
          ),
        })),
    }),
  ],
  'wraps the reason of an abort': [
    'recordUsage rethrows the reason',
    (memory) => ({
      recordUsage: async (tenantId, usage, options) => {
        try {
          await memory.recordUsage(tenantId, usage, options);
        } catch (error) {
          throw new Error('It failed.', { cause: error });
        }
      },
    }),
  ],
  'accepts any tenant id': [
    'listActiveIntegrations refuses',
    (memory) => ({
      listActiveIntegrations: async (tenantId, options) =>
        Number.isSafeInteger(tenantId) && tenantId > 0 ? memory.listActiveIntegrations(tenantId, options) : [],
    }),
  ],
};

async function defaultsFor(tenantId: number) {
  const { id: _, ...defaults } = await new MemoryIntegrationRepository().createDefaultLocalIntegration(tenantId);
  return defaults;
}

describe('the IntegrationRepository contract', () => {
  const run = (sabotage: Sabotage) =>
    failuresOf((api) =>
      integrationRepositoryContract(api, { name: 'sabotaged', open: async () => sabotagedFixture(sabotage) }),
    );

  it('passes the repository that is not sabotaged', async () => {
    expect(await run(() => ({}))).toEqual([]);
  });

  it.each(Object.entries(sabotages))('fails a repository that %s', async (_, [noticedBy, sabotage]) => {
    expect((await run(sabotage)).join('\n')).toContain(noticedBy);
  });
});
