// What every repository does is in test/contract; here is what only this one has.
import { describe, expect, it } from 'vitest';
import type { UsageRecord } from '#src/core/ports/integration-repository.js';
import { InvalidInputError } from '#src/errors.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';

describe('MemoryIntegrationRepository', () => {
  it('numbers the rows that it starts with, around the ids that are given', async () => {
    const repository = new MemoryIntegrationRepository({
      integrations: [
        { tenantId: 1, provider: 'a' },
        { tenantId: 1, provider: 'b', id: 7 },
        { tenantId: 1, provider: 'c' },
      ],
    });
    expect((await repository.listActiveIntegrations(1)).map(({ id, provider }) => [id, provider])).toEqual([
      [1, 'a'],
      [7, 'b'],
      [8, 'c'],
    ]);
  });

  it('replaces a row with the same id', async () => {
    const repository = new MemoryIntegrationRepository();
    const row = repository.saveIntegration({ tenantId: 1, provider: 'wex_ai_gateway' });
    repository.saveIntegration({ ...row, aiModel: 'another', active: false });
    expect(await repository.findIntegration(1, row.id)).toMatchObject({ aiModel: 'another', active: false });
  });

  it('hands out copies', async () => {
    const aiModelConfig = { batch_size: 3 };
    const repository = new MemoryIntegrationRepository({
      integrations: [{ tenantId: 1, provider: 'wex_ai_gateway', aiModelConfig }],
    });
    aiModelConfig.batch_size = 4;
    const [found] = await repository.listActiveIntegrations(1);
    (found!.aiModelConfig as { batch_size: number }).batch_size = 5;
    expect((await repository.findIntegration(1, 1))?.aiModelConfig).toEqual({ batch_size: 3 });
  });

  it('keeps the tenant and the time of what was used, out of reach of the caller', async () => {
    const repository = new MemoryIntegrationRepository();
    const requestMetadata = { request_id: 'a' };
    const usage: UsageRecord = {
      provider: 'wex_ai_gateway',
      operation: 'embedding',
      modelName: 'm',
      inputCount: 1,
      inputTokens: 2,
      outputTokens: 0,
      cost: null,
      requestMetadata,
    };
    await repository.recordUsage(3, usage);
    requestMetadata.request_id = 'b';
    (repository.usage as unknown[]).length = 0;
    expect(repository.usage).toEqual([
      { ...usage, requestMetadata: { request_id: 'a' }, tenantId: 3, totalTokens: 2, createdAt: expect.any(Date) },
    ]);
  });

  it('refuses invalid ids', () => {
    for (const row of [{ tenantId: 0 }, { tenantId: 1, id: 0 }, { tenantId: 1, id: 1.5 }]) {
      expect(() => new MemoryIntegrationRepository({ integrations: [{ provider: 'a', ...row }] })).toThrow(
        InvalidInputError,
      );
    }
  });
});
