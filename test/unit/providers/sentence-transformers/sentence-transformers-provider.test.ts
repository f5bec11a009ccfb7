import { describe, expect, it } from 'vitest';
import type { Integration } from '../../../../src/core/integration-repository.js';
import { sentenceTransformersKind } from '../../../../src/providers/sentence-transformers/sentence-transformers-kind.js';
import { SentenceTransformersProvider } from '../../../../src/providers/sentence-transformers/sentence-transformers-provider.js';

/** A folder that does not exist: whatever is thrown here was thrown before a file was looked for. */
const nowhere = { modelFolder: '/nonexistent/model', cacheFolder: '/nonexistent/cache' };

describe('options', () => {
  it.each([
    [{ model: '' }, /`model` to be a non-empty string, got an empty string/],
    [{ model: '../etc/passwd' }, /model id/],
    [{ model: '..' }, /model id/],
    [{ model: 'a/b/c' }, /model id/],
    [{ model: 'C:\\models' }, /model id/],
    [{ batchSize: 0 }, /`batchSize` to be a positive safe integer, got 0/],
    [{ batchSize: '32' as never }, /got a string of 2 characters/],
    [{ maxWorkers: 1.5 }, /`maxWorkers`/],
    [{ threadsPerWorker: -1 }, /`threadsPerWorker`/],
    [{ maxTokensPerRun: Number.NaN }, /`maxTokensPerRun`/],
    [{ idleTimeoutMs: 0 }, /`idleTimeoutMs`/],
    [{ normalizeEmbeddings: 'yes' as never }, /`normalizeEmbeddings` to be a boolean/],
    [{ cacheFolder: '' }, /`cacheFolder`/],
    [{ id: '' }, /`id`/],
  ])('%j is refused', (options, message) => {
    expect(() => new SentenceTransformersProvider(options)).toThrow(message);
  });
});

describe('bad input', () => {
  const provider = new SentenceTransformersProvider(nowhere);

  it.each([
    [['ok', ''], 1],
    [['ok', 'ok', 7 as never], 2],
    [[null as never], 0],
  ])('%j is refused at its position before any file is read', async (texts, position) => {
    await expect(provider.generateEmbeddings(texts)).rejects.toMatchObject({ code: 'invalid_input', position });
  });

  it('another model than its own is refused', async () => {
    const code = 'invalid_input';
    await expect(provider.generateEmbeddings(['a'], { model: 'all-mpnet-base-v2' })).rejects.toMatchObject({ code });
    await expect(provider.embeddingSpace({ model: 'all-mpnet-base-v2' })).rejects.toThrow(/all-MiniLM-L6-v2 only/);
  });

  it('an aborted signal is rethrown untouched', async () => {
    const reason = new Error('mine');
    const call = provider.generateEmbeddings(['a'], { signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toBe(reason);
  });

  it('a closed provider says so', async () => {
    const closed = new SentenceTransformersProvider({ ...nowhere, id: 'sentence_transformers:3' });
    await closed.close();
    await closed.close();
    await expect(closed.generateEmbeddings(['a'])).rejects.toMatchObject({
      code: 'aborted_by_close',
      provider: 'sentence_transformers:3',
    });
  });
});

describe('sentenceTransformersKind', () => {
  const integration: Integration = {
    id: 12,
    tenantId: 1,
    provider: 'sentence_transformers',
    baseUrl: null,
    password: null,
    aiModel: null,
    aiModelConfig: {},
    costConfig: {},
    fallbackIntegrationId: null,
    active: true,
  };
  const usageRecorder = { record: async () => {} };
  const create = (row: Partial<Integration>) =>
    sentenceTransformersKind(nowhere).create({ integration: { ...integration, ...row }, usageRecorder });

  it('names the provider after its row', async () => {
    expect((await create({})).id).toBe('sentence_transformers:12');
  });

  it.each([
    { batch_size: 'many' },
    { batch_size: 0 },
    { normalize_embeddings: 1 },
    { dtype: 'float32' },
    { dimensions: 0.5 },
    { revision: '' },
  ])('a row with %j is invalid_config and names the row', async (aiModelConfig) => {
    await expect(async () => create({ aiModelConfig })).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('integration 12'),
    });
  });

  it('keys of other programs in ai_model_config are no error', async () => {
    expect(await create({ aiModelConfig: { temperature: 0.3, batch_size: 16 } })).toBeDefined();
  });
});
