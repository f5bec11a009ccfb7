import { describe, expect, it } from 'vitest';
import type { Integration } from '#src/core/ports/integration-repository.js';
import { openAiKind, wexGatewayKind } from '#src/providers/wex-gateway/kind.js';

const integration: Integration = {
  id: 12,
  tenantId: 1,
  provider: 'wex_ai_gateway',
  baseUrl: 'https://gateway.example/v1',
  password: 'encrypted',
  aiModel: 'azure-text-embedding-3-small',
  aiModelConfig: {},
  costConfig: {},
  fallbackIntegrationId: null,
  active: true,
};

/** Kinds whose requests end up here instead of on the network. */
function kinds() {
  const requests: { url: string; authorization: string | null; body: Record<string, unknown> }[] = [];
  const options = {
    credentialCipher: { decrypt: async (token: string) => `decrypted-${token}` },
    fetch: async (url: string | URL | Request, init?: RequestInit) => {
      const authorization = new Headers(init?.headers).get('authorization');
      requests.push({ url: String(url), authorization, body: JSON.parse(String(init?.body)) });
      return Response.json({ data: [{ index: 0, embedding: [1, 0] }] });
    },
  };
  const create = (kind: ReturnType<typeof wexGatewayKind>, row: Partial<Integration>) =>
    kind.create({ integration: { ...integration, ...row }, usageRecorder: { record: async () => {} } });
  return { wex: wexGatewayKind(options), openAi: openAiKind(options), create, requests };
}

describe('wexGatewayKind', () => {
  it('makes a provider of the row: its address, its decrypted key, its model', async () => {
    const { wex, create, requests } = kinds();
    const provider = await create(wex, { aiModelConfig: { dimensions: 2 } });
    expect(provider.id).toBe('wex_ai_gateway:12');
    expect(requests).toEqual([]);
    await provider.generateEmbeddings(['a']);
    expect(requests).toMatchObject([
      {
        url: 'https://gateway.example/v1/embeddings',
        authorization: 'Bearer decrypted-encrypted',
        body: { model: 'azure-text-embedding-3-small', dimensions: 2 },
      },
    ]);
  });

  it.each([
    [{ baseUrl: null }, 'base_url'],
    [{ password: null }, 'password'],
    [{ baseUrl: 'no url' }, '`base_url`'],
    [{ aiModelConfig: { batch_size: 'many' } }, 'batch_size'],
  ])('refuses a row with %j', async (row, part) => {
    const { wex, create } = kinds();
    const failure = await Promise.resolve(create(wex, row)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'invalid_config', message: expect.stringContaining(part) });
    expect(failure).toMatchObject({ message: expect.stringContaining('12') });
  });

  it.each([
    ['azure-text-embedding-3-small', {}, true, false],
    ['azure-gpt-4o-mini', {}, false, true],
    ['azure-gpt-4o-mini', { embedding_model: 'azure-text-embedding-3-small' }, true, true],
    [null, {}, true, true],
  ])(
    'a row with model %s and %j is made for embeddings: %s, for text: %s',
    (aiModel, aiModelConfig, embedding, text) => {
      const row = { ...integration, aiModel, aiModelConfig };
      const { wex } = kinds();
      expect([wex.isMadeFor?.(row, 'embedding'), wex.isMadeFor?.(row, 'text')]).toEqual([embedding, text]);
    },
  );
});

describe('the connection of a row', () => {
  const sentBy = async (more: Partial<Parameters<typeof wexGatewayKind>[0]>, row: Partial<Integration>) => {
    const sent: Headers[] = [];
    const kind = wexGatewayKind({
      credentialCipher: { decrypt: async (token: string) => `decrypted-${token}` },
      fetch: async (_, init) => {
        sent.push(new Headers(init?.headers));
        return Response.json({ data: [{ index: 0, embedding: [1, 0] }] });
      },
      ...more,
    });
    const provider = await kind.create({
      integration: { ...integration, ...row },
      usageRecorder: { record: async () => {} },
    });
    await provider.generateEmbeddings(['a']);
    await provider.generateEmbeddings(['b']);
    return sent;
  };

  it('has the decrypted values of `secret_headers`, next to the plain ones', async () => {
    const aiModelConfig = { headers: { 'x-route': 'eu' }, secret_headers: { 'x-portkey-api-key': 'token' } };
    const [headers] = await sentBy({}, { aiModelConfig });
    expect(headers?.get('x-portkey-api-key')).toBe('decrypted-token');
    expect(headers?.get('x-route')).toBe('eu');
    const bad = sentBy({}, { aiModelConfig: { secret_headers: { a: 1 } } });
    await expect(bad).rejects.toMatchObject({
      code: 'invalid_config',
      message: expect.stringContaining('secret_headers'),
    });
  });

  it('may have a key that expires, which is asked for before each request', async () => {
    let count = 0;
    const connectionFor = ({ id }: Integration) => (id === 12 ? { apiKey: async () => `key-${++count}` } : undefined);
    const sent = await sentBy({ connectionFor }, { password: null });
    expect(sent.map((headers) => headers.get('authorization'))).toEqual(['Bearer key-1', 'Bearer key-2']);
  });
});

describe('openAiKind', () => {
  it('knows the address and the models of OpenAI', async () => {
    const { openAi, create, requests } = kinds();
    const provider = await create(openAi, { provider: 'openai', baseUrl: null, aiModel: null });
    await provider.generateEmbeddings(['a']);
    expect(requests).toMatchObject([
      { url: 'https://api.openai.com/v1/embeddings', body: { model: 'text-embedding-3-small' } },
    ]);
  });

  it('sends no key to a server of the row that needs none', async () => {
    const { openAi, create, requests } = kinds();
    const provider = await create(openAi, { provider: 'openai', baseUrl: 'http://localhost:11434/v1', password: null });
    await provider.generateEmbeddings(['a']);
    expect(requests).toMatchObject([{ url: 'http://localhost:11434/v1/embeddings', authorization: null }]);
  });

  it('refuses a row without a key for OpenAI itself', async () => {
    const { openAi, create } = kinds();
    const made = Promise.resolve(create(openAi, { provider: 'openai', baseUrl: null, password: null }));
    await expect(made).rejects.toMatchObject({ code: 'invalid_config' });
  });
});
