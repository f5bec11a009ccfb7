import { afterEach, describe, expect, it, vi } from 'vitest';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';

/** What a provider asks for when it embeds one text. */
async function requestOf(make: (fetch: (url: unknown, init?: RequestInit) => Promise<Response>) => WexGatewayProvider) {
  let request: { url: string; authorization: string | null; model: unknown } | undefined;
  const provider = make(async (url, init) => {
    const { model } = JSON.parse(String(init?.body)) as { model: unknown };
    request = { url: String(url), authorization: new Headers(init?.headers).get('authorization'), model };
    return Response.json({ data: [{ index: 0, embedding: [1] }] });
  });
  await provider.generateEmbeddings(['a']);
  return request;
}

describe('WexGatewayProvider.fromEnv', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('reads the address, the key and the models', async () => {
    vi.stubEnv('WEX_AI_GATEWAY_BASE_URL', 'https://gateway.example/v1');
    vi.stubEnv('WEX_AI_GATEWAY_API_KEY', 'key');
    expect(await requestOf((fetch) => WexGatewayProvider.fromEnv({ fetch }))).toEqual({
      url: 'https://gateway.example/v1/embeddings',
      authorization: 'Bearer key',
      model: 'azure-text-embedding-3-small',
    });
    vi.stubEnv('WEX_AI_GATEWAY_EMBEDDING_MODEL', 'another');
    expect(await requestOf((fetch) => WexGatewayProvider.fromEnv({ fetch }))).toMatchObject({ model: 'another' });
  });

  it.each(['WEX_AI_GATEWAY_BASE_URL', 'WEX_AI_GATEWAY_API_KEY'])('names %s if it is missing', (name) => {
    vi.stubEnv('WEX_AI_GATEWAY_BASE_URL', 'https://gateway.example/v1');
    vi.stubEnv('WEX_AI_GATEWAY_API_KEY', 'key');
    vi.stubEnv(name, undefined);
    expect(() => WexGatewayProvider.fromEnv()).toThrow(name);
  });
});

describe('WexGatewayProvider', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("does not take another account's key, organisation or address from the environment", async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-of-somebody-else');
    vi.stubEnv('OPENAI_BASE_URL', 'https://somebody.else');
    vi.stubEnv('OPENAI_ORG_ID', 'org-of-somebody-else');
    const baseUrl = 'https://gateway.example/v1/';
    expect(await requestOf((fetch) => new WexGatewayProvider({ baseUrl, apiKey: null, fetch }))).toMatchObject({
      url: 'https://gateway.example/v1/embeddings',
      authorization: null,
    });
  });

  it('sends the headers of the row', async () => {
    let headers = new Headers();
    const provider = new WexGatewayProvider({
      baseUrl: 'https://gateway.example/v1',
      apiKey: 'key',
      headers: { 'x-route': 'eu' },
      fetch: async (_, init) => {
        headers = new Headers(init?.headers);
        return Response.json({ data: [{ index: 0, embedding: [1] }] });
      },
    });
    await provider.generateEmbeddings(['a']);
    expect(headers.get('x-route')).toBe('eu');
    expect(headers.get('openai-organization')).toBeNull();
  });

  it('prints nothing', async () => {
    const written = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
    const provider = new WexGatewayProvider({
      baseUrl: 'https://gateway.example/v1',
      apiKey: 'key',
      maxRetries: 0,
      fetch: async () => new Response('{"error": {"message": "no"}}', { status: 400 }),
    });
    await expect(provider.generateEmbeddings(['a'])).rejects.toMatchObject({ status: 400 });
    await expect(provider.generateText('a')).rejects.toMatchObject({ status: 400 });
    for (const spy of written) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
  });
});
