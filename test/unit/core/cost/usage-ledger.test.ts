import { describe, expect, it } from 'vitest';
import { UsageLedger } from '#src/core/cost/usage-ledger.js';
import type { UsageRecord } from '#src/core/ports/integration-repository.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { integrationOf } from '../../../helpers/fake-provider.js';

const integration = integrationOf({ id: 1, provider: 'wex_ai_gateway', costConfig: { cost_per_1k_tokens: 1 } });
const event = (inputCount: number) =>
  ({ operation: 'embedding', model: 'm', inputCount, inputTokens: 1, outputTokens: 0 }) as const;

function setUp() {
  const repository = new MemoryIntegrationRepository();
  const logged: Record<string, unknown>[] = [];
  const log = (fields: Readonly<Record<string, unknown>>) => void logged.push(fields);
  const ledger = new UsageLedger({ repository, logger: { debug: log, info: log, warn: log, error: log } });
  const { recordUsage } = repository;
  return {
    repository,
    ledger,
    logged,
    recorder: ledger.recorderFor(integration),
    counts: () => repository.usage.map((row) => row.inputCount),
    breakDatabase: () => {
      repository.recordUsage = () => Promise.reject(new Error('connection lost'));
    },
    mendDatabase: () => {
      repository.recordUsage = recordUsage;
    },
  };
}

describe('UsageLedger', () => {
  it('writes rows that failed with the next one, in their order and once', async () => {
    const { recorder, ledger, counts, breakDatabase, mendDatabase, logged } = setUp();
    breakDatabase();
    await recorder.record(event(1));
    await recorder.record(event(2));
    expect([ledger.pendingCount, counts(), logged.length]).toEqual([2, [], 2]);
    mendDatabase();
    await recorder.record(event(3));
    expect([ledger.pendingCount, counts()]).toEqual([0, [1, 2, 3]]);
  });

  it('loses none of many concurrent records', async () => {
    const { recorder, counts, repository } = setUp();
    const { recordUsage } = repository;
    repository.recordUsage = async (tenantId: number, usage: UsageRecord) => {
      await new Promise(setImmediate);
      await recordUsage.call(repository, tenantId, usage);
    };
    await Promise.all(Array.from({ length: 50 }, (_, at) => recorder.record(event(at + 1))));
    expect(counts()).toEqual(Array.from({ length: 50 }, (_, at) => at + 1));
  });

  it('flush() says that rows could not be written, and keeps them', async () => {
    const { recorder, ledger, breakDatabase } = setUp();
    breakDatabase();
    await recorder.record(event(1));
    await expect(ledger.flush()).rejects.toThrow('connection lost');
    expect(ledger.pendingCount).toBe(1);
  });

  it('keeps at most 10,000 rows, and puts those that it drops into the log', async () => {
    const { recorder, ledger, counts, breakDatabase, mendDatabase, logged } = setUp();
    breakDatabase();
    await Promise.all(Array.from({ length: 10_001 }, (_, at) => recorder.record(event(at))));
    expect(ledger.pendingCount).toBe(10_000);
    expect(logged.filter((fields) => 'usage' in fields)).toMatchObject([{ tenantId: 1, usage: { inputCount: 0 } }]);
    mendDatabase();
    await ledger.flush();
    expect(counts()).toHaveLength(10_000);
    expect(counts()[0]).toBe(1);
  });

  it('refuses prices that are none when the recorder is made', () => {
    const { ledger } = setUp();
    const broken = integrationOf({ id: 7, provider: 'openai', costConfig: { cost_per_1k_tokens: -1 } });
    expect(() => ledger.recorderFor(broken)).toThrow(/integration 7/);
  });
});
