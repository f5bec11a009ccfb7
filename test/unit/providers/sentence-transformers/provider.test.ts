import { describe, expect, it } from 'vitest';
import type { Integration } from '#src/core/ports/integration-repository.js';
import { sentenceTransformersKind } from '#src/providers/sentence-transformers/kind.js';
import { resolveOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';

/** A folder that does not exist: whatever is thrown here was thrown before a file was looked for. */
const nowhere = { modelFolders: { 'all-MiniLM-L6-v2': '/nonexistent/model' }, cacheFolder: '/nonexistent/cache' };

const weights = { packageName: '@acme/weights', sha256: '0'.repeat(64), maxTokens: 128 };

describe('options', () => {
  it.each([
    [60_000, 60_000],
    [1e12, 2 ** 31 - 1],
    [Number.POSITIVE_INFINITY, 2 ** 31 - 1],
  ])('idleTimeoutMs %d is one that a timer can take', (idleTimeoutMs, expected) => {
    expect(resolveOptions({ idleTimeoutMs }).engine.idleTimeoutMs).toBe(expected);
  });

  it.each([
    [undefined, undefined],
    [{}, null],
    [{ query: '', document: '' }, null],
    [{ query: 'q: ' }, { query: 'q: ', document: '' }],
  ])('prompts %j are %j in the embedding space', (prompts, expected) => {
    expect(resolveOptions({ prompts }).prompts).toEqual(expected);
  });

  it.each([
    ['sentence-transformers/tiny', 'tiny'],
    ['tiny', 'sentence-transformers/tiny'],
  ])('a model named %s is the one that folders and packages name %s', (model, name) => {
    const options = { model, modelFolders: { [name]: '/models/tiny' }, weightsPackages: { [name]: weights } };
    const { source } = resolveOptions(options).engine;
    expect(source.modelFolder).toBe('/models/tiny');
    expect(source.weightsPackages[source.hubId]).toEqual(weights);
  });

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
    [{ modelFolder: '/models/mine' }, /`model` beside `modelFolder`/],
    [{ revision: '../main' }, /`revision` to be the name of a branch/],
    [{ revision: '/etc' }, /`revision` to be the name of a branch/],
    [{ revision: 'a\\b' }, /`revision` to be the name of a branch/],
    [{ prompts: { query: 7 as never } }, /`prompts` to be an object of two strings/],
    [{ prompts: { passage: 'p: ' } as never }, /`prompts` to be an object of two strings/],
    [{ prompts: 'query: ' as never }, /`prompts` to be an object of two strings/],
    [{ prompts: [] as never }, /`prompts` to be an object of two strings/],
    [{ prompts: null as never }, /`prompts` to be an object of two strings/],
    [
      { weightsPackages: { 'acme/a': { ...weights, sha256: undefined as never } } },
      /\['acme\/a'\]\.sha256` to be 64 hex/,
    ],
    [{ weightsPackages: { 'acme/a': { ...weights, packageName: '' } } }, /\.packageName` to be a non-empty string/],
    [{ weightsPackages: { 'acme/a': { ...weights, maxTokens: 0 } } }, /\.maxTokens` to be a positive/],
    [{ weightsPackages: { 'acme/a': null as never } }, /\.packageName`/],
    [{ weightsPackages: { '../a': weights } }, /model id/],
    [{ modelFolders: { '../a': '/models' } }, /model id/],
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
    { prompts: 'query: ' },
    { prompts: { passage: 'passage: ' } },
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
