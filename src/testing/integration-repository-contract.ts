import type { Integration, IntegrationRepository, UsageRecord } from '../core/ports/integration-repository.js';
import { defaultLocalIntegration } from '../core/routing/default-local-integration.js';
import { isAiProviderError } from '../errors.js';
import type { TestApi } from './test-api.js';

/** A row of `integrations` that the suite wants to exist. What is undefined is left to the column's default. */
export interface IntegrationFixture {
  readonly tenantId: number;
  readonly provider: string;
  /** @default 'ai_provider' */
  readonly type?: string;
  readonly baseUrl?: string | null;
  readonly password?: string | null;
  readonly aiModel?: string | null;
  readonly aiModelConfig?: Readonly<Record<string, unknown>> | null;
  readonly costConfig?: Readonly<Record<string, unknown>> | null;
  readonly fallbackIntegrationId?: number | null;
  /** @default true */
  readonly active?: boolean | null;
}

export interface RecordedUsage extends UsageRecord {
  readonly totalTokens: number | null;
}

/** A repository together with the ways around it that the suite needs to prepare and to look. */
export interface IntegrationRepositoryFixture {
  readonly repository: IntegrationRepository;
  /** Inserts a row and returns its id. */
  addIntegration(row: IntegrationFixture): Promise<number>;
  /** The tenant's recorded usage in the order of recording; `cost` as a decimal string with four decimals. */
  readUsage(tenantId: number): Promise<readonly RecordedUsage[]>;
  close(): Promise<void>;
}

export interface IntegrationRepositoryContractOptions {
  readonly name: string;
  open(): Promise<IntegrationRepositoryFixture>;
}

/**
 * The conformance suite of {@link IntegrationRepository}: what the library relies on, for an implementation of your
 * own.
 *
 * @example
 * import { afterAll, beforeAll, describe, expect, it } from 'vitest';
 * const testApi = { afterAll, beforeAll, describe, expect, it };
 * integrationRepositoryContract(testApi, { name: 'mine', open: openMyRepository });
 */
export function integrationRepositoryContract(testApi: TestApi, options: IntegrationRepositoryContractOptions): void {
  const { describe, it, expect, beforeAll, afterAll } = testApi;

  describe(`IntegrationRepository contract: ${options.name}`, () => {
    let fixture: IntegrationRepositoryFixture;
    // Every test has tenants of its own, so that the tests need no clean-up between them and may run in any order.
    let tenantCount = 0;
    const newTenant = () => 1000 + ++tenantCount;

    beforeAll(async () => {
      fixture = await options.open();
    });
    afterAll(async () => {
      await fixture.close();
    });

    describe('listActiveIntegrations', () => {
      it('is empty for a tenant without integrations', async () => {
        expect(await fixture.repository.listActiveIntegrations(newTenant())).toEqual([]);
      });

      it('returns every column as it was stored', async () => {
        const tenantId = newTenant();
        const fallbackId = await fixture.addIntegration({ tenantId, provider: 'sentence_transformers' });
        const row = fullIntegration(tenantId, fallbackId);
        const id = await fixture.addIntegration(row);
        const [, found] = await fixture.repository.listActiveIntegrations(tenantId);
        expect(found).toEqual({ ...row, id, active: true });
      });

      it('reads empty and NULL columns as null and {}', async () => {
        const tenantId = newTenant();
        const id = await fixture.addIntegration({
          tenantId,
          provider: 'openai',
          aiModelConfig: null,
          costConfig: null,
        });
        expect(await fixture.repository.listActiveIntegrations(tenantId)).toEqual([
          emptyIntegration(tenantId, id, 'openai'),
        ]);
      });

      it('orders by id', async () => {
        const tenantId = newTenant();
        const ids = [];
        for (const provider of ['openai', 'wex_ai_gateway', 'sentence_transformers', 'anthropic']) {
          ids.push(await fixture.addIntegration({ tenantId, provider }));
        }
        const listed = await fixture.repository.listActiveIntegrations(tenantId);
        expect(listed.map(({ id }) => id)).toEqual(ids.toSorted((a, b) => a - b));
      });

      it('leaves out inactive rows, NULL included', async () => {
        const tenantId = newTenant();
        await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway', active: false });
        await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway', active: null });
        const id = await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway', active: true });
        const listed = await fixture.repository.listActiveIntegrations(tenantId);
        expect(listed.map((row) => row.id)).toEqual([id]);
      });

      it('leaves out rows of other types', async () => {
        const tenantId = newTenant();
        await fixture.addIntegration({ tenantId, provider: 'jira', type: 'data_source' });
        await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway', type: 'notification' });
        expect(await fixture.repository.listActiveIntegrations(tenantId)).toEqual([]);
      });

      it("leaves out other tenants' rows", async () => {
        const [tenantId, other] = [newTenant(), newTenant()];
        await fixture.addIntegration({ tenantId: other, provider: 'wex_ai_gateway' });
        const id = await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway' });
        const listed = await fixture.repository.listActiveIntegrations(tenantId);
        expect(listed.map((row) => [row.id, row.tenantId])).toEqual([[id, tenantId]]);
      });
    });

    describe('findIntegration', () => {
      it('finds a row by id', async () => {
        const tenantId = newTenant();
        const id = await fixture.addIntegration(fullIntegration(tenantId, null));
        const found = await fixture.repository.findIntegration(tenantId, id);
        expect(found).toEqual({ ...fullIntegration(tenantId, null), id, active: true });
      });

      it('finds inactive rows and says so, NULL included', async () => {
        const tenantId = newTenant();
        for (const active of [false, null]) {
          const id = await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway', active });
          expect((await fixture.repository.findIntegration(tenantId, id))?.active).toBe(false);
        }
      });

      it("does not find another tenant's row", async () => {
        const id = await fixture.addIntegration({ tenantId: newTenant(), provider: 'wex_ai_gateway' });
        expect(await fixture.repository.findIntegration(newTenant(), id)).toBe(undefined);
      });

      it('does not find a row of another type, nor one that does not exist', async () => {
        const tenantId = newTenant();
        const id = await fixture.addIntegration({ tenantId, provider: 'jira', type: 'data_source' });
        expect(await fixture.repository.findIntegration(tenantId, id)).toBe(undefined);
        expect(await fixture.repository.findIntegration(tenantId, 2_000_000_000)).toBe(undefined);
      });
    });

    describe('createDefaultLocalIntegration', () => {
      it('makes an active row with the defaults, which is then listed', async () => {
        const tenantId = newTenant();
        const created = await fixture.repository.createDefaultLocalIntegration(tenantId);
        expect(created).toEqual({
          ...emptyIntegration(tenantId, created.id, defaultLocalIntegration.provider),
          aiModel: defaultLocalIntegration.aiModel,
          aiModelConfig: defaultLocalIntegration.aiModelConfig,
          costConfig: defaultLocalIntegration.costConfig,
        });
        expect(await fixture.repository.listActiveIntegrations(tenantId)).toEqual([created]);
      });

      it('makes it once, also for concurrent callers', async () => {
        const tenantId = newTenant();
        const calls = Array.from({ length: 8 }, () => fixture.repository.createDefaultLocalIntegration(tenantId));
        const ids = new Set((await Promise.all(calls)).map(({ id }) => id));
        expect(ids.size).toBe(1);
        expect((await fixture.repository.listActiveIntegrations(tenantId)).length).toBe(1);
      });

      it('makes one for each tenant', async () => {
        const tenants = [newTenant(), newTenant(), newTenant()];
        const created = await Promise.all(
          tenants.map((tenantId) => fixture.repository.createDefaultLocalIntegration(tenantId)),
        );
        expect(created.map(({ tenantId }) => tenantId)).toEqual(tenants);
        expect(new Set(created.map(({ id }) => id)).size).toBe(tenants.length);
      });

      it('returns an existing row as it is, also an inactive one', async () => {
        const tenantId = newTenant();
        const provider = defaultLocalIntegration.provider;
        const id = await fixture.addIntegration({ tenantId, provider, aiModel: 'all-mpnet-base-v2', active: false });
        const found = await fixture.repository.createDefaultLocalIntegration(tenantId);
        expect([found.id, found.aiModel, found.active]).toEqual([id, 'all-mpnet-base-v2', false]);
      });

      it('prefers an active row to an inactive one', async () => {
        const tenantId = newTenant();
        const provider = defaultLocalIntegration.provider;
        await fixture.addIntegration({ tenantId, provider, active: null });
        const id = await fixture.addIntegration({ tenantId, provider });
        await fixture.addIntegration({ tenantId, provider });
        expect((await fixture.repository.createDefaultLocalIntegration(tenantId)).id).toBe(id);
      });

      it('does not take a row of another type, tenant or provider for it', async () => {
        const tenantId = newTenant();
        const provider = defaultLocalIntegration.provider;
        const others = [
          await fixture.addIntegration({ tenantId, provider, type: 'data_source' }),
          await fixture.addIntegration({ tenantId: newTenant(), provider }),
          await fixture.addIntegration({ tenantId, provider: 'wex_ai_gateway' }),
        ];
        const { id } = await fixture.repository.createDefaultLocalIntegration(tenantId);
        expect(others.includes(id)).toBe(false);
      });
    });

    describe('recordUsage', () => {
      it('stores everything, once a call and for its tenant only', async () => {
        const [tenantId, other] = [newTenant(), newTenant()];
        const usage = fullUsage();
        await fixture.repository.recordUsage(tenantId, usage);
        await fixture.repository.recordUsage(other, { ...usage, modelName: 'another-model' });
        expect(await fixture.readUsage(tenantId)).toEqual([{ ...usage, totalTokens: 19 }]);
      });

      it('keeps unknown counts and costs unknown', async () => {
        const tenantId = newTenant();
        const usage: UsageRecord = { ...fullUsage(), inputTokens: null, outputTokens: 5, cost: null };
        await fixture.repository.recordUsage(tenantId, usage);
        expect(await fixture.readUsage(tenantId)).toEqual([{ ...usage, totalTokens: null }]);
      });

      it('keeps zeros', async () => {
        const tenantId = newTenant();
        const usage: UsageRecord = { ...fullUsage(), inputCount: 0, inputTokens: 0, outputTokens: 0, cost: '0.0000' };
        await fixture.repository.recordUsage(tenantId, usage);
        expect(await fixture.readUsage(tenantId)).toEqual([{ ...usage, totalTokens: 0 }]);
      });

      it('loses nothing under concurrent calls', async () => {
        const tenantId = newTenant();
        const counts = Array.from({ length: 20 }, (_, index) => index + 1);
        await Promise.all(
          counts.map((inputCount) => fixture.repository.recordUsage(tenantId, { ...fullUsage(), inputCount })),
        );
        const recorded = await fixture.readUsage(tenantId);
        expect(recorded.map(({ inputCount }) => inputCount).toSorted((a, b) => a - b)).toEqual(counts);
      });
    });

    describe('every method', () => {
      const methods: [string, (tenantId: number, signal?: AbortSignal) => Promise<unknown>][] = [
        ['listActiveIntegrations', (id, signal) => fixture.repository.listActiveIntegrations(id, { signal })],
        ['findIntegration', (id, signal) => fixture.repository.findIntegration(id, 1, { signal })],
        [
          'createDefaultLocalIntegration',
          (id, signal) => fixture.repository.createDefaultLocalIntegration(id, { signal }),
        ],
        ['recordUsage', (id, signal) => fixture.repository.recordUsage(id, fullUsage(), { signal })],
      ];

      for (const [name, call] of methods) {
        it(`${name} refuses an invalid tenant id`, async () => {
          for (const tenantId of [0, -1, 1.5, Number.NaN, 2 ** 53, '1', null, undefined, {}] as number[]) {
            const error = await errorOf(call(tenantId));
            expect(isAiProviderError(error) && error.code).toBe('invalid_input');
          }
        });

        it(`${name} rethrows the reason of an aborted signal untouched and does nothing`, async () => {
          const tenantId = newTenant();
          const reason = new Error('the caller went away');
          expect(await errorOf(call(tenantId, AbortSignal.abort(reason)))).toBe(reason);
          expect(await fixture.readUsage(tenantId)).toEqual([]);
          expect(await fixture.repository.listActiveIntegrations(tenantId)).toEqual([]);
        });
      }
    });
  });
}

function fullIntegration(tenantId: number, fallbackIntegrationId: number | null) {
  return {
    tenantId,
    provider: 'wex_ai_gateway',
    baseUrl: 'https://gateway.test/v1',
    password: 'gAAAAAexample-token==',
    aiModel: 'azure-text-embedding-3-small',
    aiModelConfig: {
      batch_size: 100,
      temperature: 0.1,
      nested: { snake_case: [1, null, true, 'ünï 🙂 "quoted" \\ back'], camelCase: {} },
    },
    costConfig: { cost_per_1k_tokens: 0.00002, text: '0.1234567890123456789', models: { 'gpt-4o': { a_b: 1e-7 } } },
    fallbackIntegrationId,
  } satisfies IntegrationFixture;
}

function emptyIntegration(tenantId: number, id: number, provider: string): Integration {
  return {
    id,
    tenantId,
    provider,
    baseUrl: null,
    password: null,
    aiModel: null,
    aiModelConfig: {},
    costConfig: {},
    fallbackIntegrationId: null,
    active: true,
  };
}

function fullUsage(): UsageRecord {
  return {
    provider: 'wex_ai_gateway',
    operation: 'text_generation',
    modelName: 'azure-gpt-4o-mini',
    inputCount: 1,
    inputTokens: 12,
    outputTokens: 7,
    cost: '0.1235',
    requestMetadata: { cost_usd: '0.12345678901234567890', request_id: 'ünï 🙂', nested: { list: [1, null, false] } },
  };
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return undefined;
}
