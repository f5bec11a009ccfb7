import { describe, expect, it } from 'vitest';
import { ProviderFactory } from '#src/core/routing/provider-factory.js';
import { validateIntegration } from '#src/core/routing/test-integration.js';
import { FernetCipher } from '#src/credential-ciphers/fernet/fernet-cipher.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';
import { standardProviderKinds } from '#src/standard-provider-kinds.js';
import { FakeGateway } from '#src/testing/fake-gateway.js';

const credentialCipher = new FernetCipher(FernetCipher.generateKey());
const kinds = standardProviderKinds({ credentialCipher });
const password = credentialCipher.encrypt('a-key');
const draft = { provider: 'wex_ai_gateway', baseUrl: 'https://gateway.test/v1', password };

describe('validateIntegration', () => {
  it('finds nothing wrong with a good row', async () => {
    expect(await validateIntegration(draft, kinds)).toEqual({ isValid: true, problems: [], warnings: [] });
  });

  it.each<[string, object, RegExp]>([
    ['a misspelt provider', { provider: 'wex-gateway' }, /mean `wex_ai_gateway`/],
    ['no password', { password: null }, /`password`/],
    [
      'a password of another key',
      { password: new FernetCipher(FernetCipher.generateKey()).encrypt('x') },
      /`password`/,
    ],
    ['an address without a scheme', { baseUrl: 'gateway.test/v1' }, /`base_url`/],
    ['a negative price', { costConfig: { cost_per_1k_tokens: -1 } }, /cost_per_1k_tokens/],
    ['a setting of the wrong type', { aiModelConfig: { batch_size: 'many' } }, /batch_size/],
  ])('says what is wrong: %s', async (_, fields, problem) => {
    const review = await validateIntegration({ ...draft, ...fields }, kinds);
    expect(review).toMatchObject({ isValid: false, problems: [expect.stringMatching(problem)] });
  });

  it.each<[string, object, RegExp]>([
    ['an address without a version', { baseUrl: 'https://gateway.test' }, /\/v1/],
    ['an address with the operation', { baseUrl: 'https://gateway.test/v1/embeddings' }, /\/embeddings/],
    ['a timeout in milliseconds', { aiModelConfig: { timeout: 120_000 } }, /`ai_model_config.timeout` .*milliseconds/],
    ['a price key without a meaning', { costConfig: { cost_per_1k: 1 } }, /mean `cost_per_1k_tokens`/],
    ['a key of another kind', { provider: 'sentence_transformers', aiModelConfig: { batch_sizes: 1 } }, /`batch_size`/],
  ])('warns: %s', async (_, fields, warning) => {
    const review = await validateIntegration({ ...draft, ...fields }, kinds);
    expect(review).toMatchObject({ isValid: true, warnings: [expect.stringMatching(warning)] });
  });

  it.each([[undefined], [null], [{}], ['wex_ai_gateway']])('refuses %j', async (value) => {
    await expect(validateIntegration(value as never, kinds)).rejects.toMatchObject({ code: 'invalid_input' });
  });
});

describe('testIntegration', () => {
  it('makes one call, which it does not record', async () => {
    await using gateway = await FakeGateway.start({ apiKey: 'a-key' });
    const repository = new MemoryIntegrationRepository();
    await using factory = new ProviderFactory({ repository, kinds });
    const works = await factory.testIntegration({ ...draft, baseUrl: gateway.baseUrl });
    expect(works).toMatchObject({ status: 'works', isValid: true, problems: [], latencyMs: expect.any(Number) });
    expect(works.dimension).toBeGreaterThan(0);
    const text = await factory.testIntegration({ ...draft, baseUrl: gateway.baseUrl, aiModel: 'gpt-4o' });
    expect(text).toMatchObject({ status: 'works', model: 'gpt-4o', dimension: undefined });
    expect(repository.usage).toEqual([]);
  });

  it('tells a row that cannot be called from a call that failed', async () => {
    await using gateway = await FakeGateway.start({ apiKey: 'another-key' });
    await using factory = new ProviderFactory({ repository: new MemoryIntegrationRepository(), kinds });
    expect(await factory.testIntegration({ ...draft, password: null })).toMatchObject({ status: 'invalid' });
    const failed = await factory.testIntegration({ ...draft, baseUrl: gateway.baseUrl });
    expect(failed).toMatchObject({ status: 'fails', code: 'authentication_failed', problems: [expect.any(String)] });
  });
});
