import { describe, expect, it } from 'vitest';
import { isEmbeddingModelName } from '#src/providers/wex-gateway/model-names.js';
import {
  resolveWexGatewayOptions,
  type WexGatewayOptions,
  wexGatewaySettingsFromIntegration,
} from '#src/providers/wex-gateway/options.js';

const required = { baseUrl: 'https://gateway.example/v1', apiKey: 'key' };

describe('resolveWexGatewayOptions', () => {
  it('fills in the defaults of the platform', () => {
    expect(resolveWexGatewayOptions(required)).toMatchObject({
      embeddingModel: 'azure-text-embedding-3-small',
      textModel: 'azure-gpt-4o-mini',
      batchSize: 100,
      timeoutMs: 120_000,
      maxRetries: 3,
      concurrency: 4,
      failedInputs: 'throw',
    });
  });

  it('knows a base URL in one form', () => {
    const baseUrlOf = (baseUrl: string) => resolveWexGatewayOptions({ ...required, baseUrl }).baseUrl;
    expect(baseUrlOf(' HTTPS://Gateway.example:443/v1// ')).toBe('https://gateway.example/v1');
  });

  it('caps batches at the limit of the API', () => {
    expect(resolveWexGatewayOptions({ ...required, batchSize: 5000 }).batchSize).toBe(2048);
  });

  it.each([
    { baseUrl: 'gateway.example' },
    { baseUrl: 'ftp://gateway.example' },
    { baseUrl: 'https://user:secret@gateway.example' },
    { baseUrl: 'https://gateway.example/openai/deployments/d?api-version=2024-10-21' },
    { textModels: [] as never },
    { headers: ['x'] as never },
    { maxInputTokens: 5 },
    { apiKey: '' },
    { apiKey: 'with space' },
    { apiKey: undefined as unknown as string },
    { batchSize: 0 },
    { batchSize: 1.5 },
    { timeoutMs: Number.NaN },
    { timeoutMs: 2 ** 31 },
    { maxRetries: -1 },
    { temperature: 3 },
    { failedInputs: 'ignore' as 'throw' },
    { embeddingModel: '' },
  ] satisfies Partial<WexGatewayOptions>[])('refuses %j, naming the option and not its value', (options) => {
    const [option] = Object.keys(options) as [string];
    const resolve = () => resolveWexGatewayOptions({ ...required, ...options });
    expect(resolve).toThrow(`Expected \`${option}\` to be`);
    expect(resolve).not.toThrow(/secret|with space|ignore/);
  });
});

describe('wexGatewaySettingsFromIntegration', () => {
  const settingsOf = (aiModel: string | null, aiModelConfig: Record<string, unknown> = {}) =>
    wexGatewaySettingsFromIntegration({ id: 12, aiModel, aiModelConfig });

  it('reads the keys of the platform, with its units', () => {
    const config = { timeout: 30, batch_size: 50, max_retries: 0, temperature: 0.3, max_tokens: 1000, dimensions: 256 };
    expect(settingsOf(null, config)).toEqual({
      timeoutMs: 30_000,
      batchSize: 50,
      maxRetries: 0,
      temperature: 0.3,
      maxTokens: 1000,
      dimensions: 256,
    });
  });

  it('takes the model of the row for what its name says, unless a key says otherwise', () => {
    expect(settingsOf('azure-text-embedding-3-small')).toEqual({ embeddingModel: 'azure-text-embedding-3-small' });
    expect(settingsOf('azure-gpt-4o-mini')).toEqual({ textModel: 'azure-gpt-4o-mini' });
    expect(settingsOf('azure-gpt-4o-mini', { embedding_model: 'house-vectors', text_model: 'other' })).toEqual({
      embeddingModel: 'house-vectors',
      textModel: 'other',
    });
  });

  it('uses a model whose name says neither, as of a deployment, for both', () => {
    expect(settingsOf('prod-eu')).toEqual({ embeddingModel: 'prod-eu', textModel: 'prod-eu' });
  });

  it('reads models with parameters of their own, under the keys of a row', () => {
    const models = { simple: 'gpt-4o-mini', complex: { model: 'o3', temperature: null, reasoning_effort: 'high' } };
    expect(settingsOf(null, { models, top_p: 0.9, extra_body: { a: 1 } })).toEqual({
      textModels: { simple: 'gpt-4o-mini', complex: { model: 'o3', temperature: null, reasoningEffort: 'high' } },
      topP: 0.9,
      extraBody: { a: 1 },
    });
    expect(() => settingsOf(null, { models: { complex: { model: 'o3', effort: 'high' } } })).toThrow('models');
  });

  it('leaves keys alone that are not its own, and says so', () => {
    const lines: unknown[] = [];
    const debug = (fields: unknown) => lines.push(fields);
    const ignore = () => {};
    const row = { id: 12, aiModel: null, aiModelConfig: { normalize_embeddings: true, batch_size: 5 } };
    const logger = { debug, info: ignore, warn: ignore, error: ignore };
    expect(wexGatewaySettingsFromIntegration(row, logger)).toEqual({ batchSize: 5 });
    expect(lines).toEqual([{ integrationId: 12, ignoredKeys: ['normalize_embeddings'] }]);
  });

  it.each([
    [{ batch_size: '100' }, '`ai_model_config.batch_size` of integration 12', 'a string of 3 characters'],
    [{ timeout: 0 }, '`ai_model_config.timeout`', 'in seconds, got 0'],
    [{ timeout: '30' }, '`ai_model_config.timeout`', 'a string of 2 characters'],
    [{ max_retries: -1 }, '`ai_model_config.max_retries`', 'got -1'],
    [{ embedding_model: 7 }, '`ai_model_config.embedding_model`', 'got 7'],
  ])('refuses %j, naming the key, the row and what came', (config, ...parts) => {
    for (const part of parts) expect(() => settingsOf(null, config)).toThrow(part);
    expect(() => settingsOf(null, config)).toThrow(expect.objectContaining({ code: 'invalid_config' }));
  });
});

describe('isEmbeddingModelName', () => {
  it.each([
    'azure-text-embedding-3-small',
    'text-embedding-ada-002',
    'all-MiniLM-L6-v2',
    'sentence-transformers/all-mpnet-base-v2',
    'BAAI/bge-m3',
    'intfloat/multilingual-e5-large',
    'nomic-embed-text',
    'voyage-3',
    'all-minilm:22m',
    'bge:latest',
    'm3e-base',
    'jina-clip-v2',
  ])('%s is one', (model) => expect(isEmbeddingModelName(model)).toBe(true));

  it.each(['azure-gpt-4o-mini', 'gpt-5', 'o3-mini', 'claude-sonnet', 'llama-3.1-8b', 'mistral-large', 'house-model'])(
    '%s is not one',
    (model) => expect(isEmbeddingModelName(model)).toBe(false),
  );
});
