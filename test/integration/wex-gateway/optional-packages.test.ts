import { describe, expect, it, vi } from 'vitest';
import { startCallSpan } from '#src/providers/wex-gateway/calls/telemetry.js';
import { planBatches } from '#src/providers/wex-gateway/embeddings/batches.js';

vi.mock('@opentelemetry/api', () => {
  throw new Error('Cannot find package');
});
vi.mock('gpt-tokenizer/encoding/cl100k_base', () => {
  throw new Error('Cannot find package');
});

const model = 'azure-text-embedding-3-small';
const limits = { batchSize: 100, maxRequestTokens: 300_000 };
const long = 'word '.repeat(9000);

describe('without @opentelemetry/api', () => {
  it('nothing is observed', async () => {
    const span = await startCallSpan({ operation: 'chat', model: 'm', provider: 'p', host: 'h' });
    expect(span).toBeUndefined();
  });
});

describe('without gpt-tokenizer', () => {
  it('the server is left to judge how long a text may be', async () => {
    expect((await planBatches([long], model, limits, false)).batches).toHaveLength(1);
  });

  it('the byte bound keeps the tokens of a request within the limit', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `${long}${i}`);
    for (const { tokenCount } of (await planBatches(texts, model, limits, false)).batches) {
      expect(tokenCount).toBeLessThanOrEqual(300_000);
    }
  });

  it('truncation is an error that says what to install', async () => {
    await expect(planBatches([long], model, limits, true)).rejects.toMatchObject({
      code: 'missing_dependency',
      message: expect.stringContaining('npm install gpt-tokenizer'),
    });
  });
});
