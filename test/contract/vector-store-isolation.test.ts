import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestApi } from '#src/testing/test-api.js';
import { vectorStoreIsolation } from '#src/testing/vector-store-isolation.js';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { isolationFixture } from '../helpers/isolation-fixture.js';
import { openServerStore, qdrantServerUrl, removeTables } from '../helpers/qdrant-server.js';

const testApi = { afterAll, beforeAll, describe, expect, it };
const modes = ['collection', 'shared'] as const;

for (const mode of modes) {
  vectorStoreIsolation(testApi, {
    name: `PulseQdrantClient in memory, mode ${mode}`,
    fastCheck: fc,
    attackCount: 10_000,
    open: async () => {
      const store = new PulseQdrantClient({ location: ':memory:' });
      return isolationFixture(store, mode, () => store.close());
    },
  });
}

const url = qdrantServerUrl('the isolation suite of PulseQdrantClient');
if (url !== undefined) {
  for (const mode of modes) {
    vectorStoreIsolation(testApi, {
      name: `PulseQdrantClient on ${url}, mode ${mode}`,
      fastCheck: fc,
      attackCount: 200,
      open: async () => {
        const store = openServerStore(url);
        return isolationFixture(store, mode, async (tenantIds) => {
          await store.close();
          await removeTables(url, tenantIds);
        });
      },
    });
  }
}

/** Runs a suite and tells which of its tests failed. */
async function failuresOf(suite: (api: TestApi) => void): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = [];
  const before: (() => Promise<void>)[] = [];
  const after: (() => Promise<void>)[] = [];
  suite({
    describe: (_, body) => body(),
    it: (name, body) => void tests.push({ name, body }),
    expect,
    beforeAll: (body) => void before.push(body),
    afterAll: (body) => void after.push(body),
  });
  const failures: string[] = [];
  for (const body of before) await body().catch(() => failures.push('beforeAll'));
  for (const { name, body } of tests) {
    if (name.startsWith('moveTenant')) continue;
    await body().catch(() => failures.push(name));
  }
  for (const body of after) await body();
  return failures;
}

// biome-ignore lint/suspicious/noExplicitAny: requests of any form
type Sabotage = (request: any) => any;
// biome-ignore lint/suspicious/noExplicitAny: requests of any form
const withoutTenant: Sabotage = (request: any) => ({ ...request, filter: { must: request.filter.must.slice(1) } });
// biome-ignore lint/suspicious/noExplicitAny: requests of any form
const callerFilterAlone: Sabotage = (request: any) => ({
  ...request,
  filter: request.filter.must[1] ?? request.filter,
});
// biome-ignore lint/suspicious/noExplicitAny: requests of any form
const tenantOptional: Sabotage = (request: any) => ({ ...request, filter: { should: request.filter.must } });

const sabotages: [name: string, method: keyof QdrantClientLike, sabotage: Sabotage][] = [
  ['a search without the tenant', 'query', withoutTenant],
  ['a search in which the caller’s filter replaces the tenant', 'query', callerFilterAlone],
  ['a search in which the tenant is one of several', 'query', tenantOptional],
  ['a batch search without the tenant', 'queryBatch', ({ searches }) => ({ searches: searches.map(withoutTenant) })],
  ['a group search without the tenant', 'queryGroups', withoutTenant],
  ['a scroll without the tenant', 'scroll', withoutTenant],
  ['a count without the tenant', 'count', withoutTenant],
  ['a facet without the tenant', 'facet', withoutTenant],
  ['a delete without the tenant', 'delete', withoutTenant],
  ['a delete in which the tenant is one of several', 'delete', tenantOptional],
  [
    'an upsert under ids that leave the tenant out',
    'upsert',
    (request) => ({
      ...request,
      // biome-ignore lint/suspicious/noExplicitAny: requests of any form
      points: request.points.map((point: any, i: number) => ({ ...point, id: i })),
    }),
  ],
];

describe('the isolation suite has teeth', () => {
  it.each(sabotages)('it fails on %s', async (_, method, sabotage) => {
    const failures = await failuresOf((api) => {
      vectorStoreIsolation(api, {
        name: 'sabotaged',
        fastCheck: fc,
        attackCount: 200,
        open: async () => {
          const local = await LocalQdrantClient.open({ location: ':memory:' });
          const client = new Proxy(local as unknown as QdrantClientLike, {
            get(target, key) {
              // A client for one caller would not be seen.
              if (key === 'forCaller') return undefined;
              const value = Reflect.get(target, key, target);
              if (typeof value !== 'function') return value;
              if (key !== method) return value.bind(target);
              return (name: string, request: unknown) => value.call(target, name, sabotage(request));
            },
          });
          const store = new PulseQdrantClient({ client });
          return isolationFixture(store, 'shared', () => store.close());
        },
      });
    });
    expect(failures).not.toEqual([]);
  });

  it('passes if nothing is sabotaged', async () => {
    const failures = await failuresOf((api) => {
      vectorStoreIsolation(api, {
        name: 'sound',
        fastCheck: fc,
        attackCount: 200,
        open: async () => {
          const store = new PulseQdrantClient({ location: ':memory:' });
          return isolationFixture(store, 'shared', () => store.close());
        },
      });
    });
    expect(failures).toEqual([]);
  });

  it('fails on a store with a method that it has no case for', async () => {
    class Careless extends PulseQdrantClient {
      async readEverything(): Promise<string> {
        return 'everything';
      }
    }
    const failures = await failuresOf((api) => {
      vectorStoreIsolation(api, {
        name: 'careless',
        fastCheck: fc,
        attackCount: 1,
        open: async () => {
          const store = new Careless({ location: ':memory:' });
          return isolationFixture(store, 'shared', () => store.close());
        },
      });
    });
    expect(failures).toEqual(['has a case for every method']);
  });
});
