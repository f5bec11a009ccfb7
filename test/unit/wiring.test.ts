import { describe, expect, it } from 'vitest';
import { FernetCipher } from '#src/credential-ciphers/fernet/fernet-cipher.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { standardProviderKinds } from '#src/standard-provider-kinds.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { integrationOf } from '../helpers/fake-provider.js';

/** What frameworks and plain JavaScript hand over. */
const any = (value: unknown) => value as never;
const url = { baseUrl: 'https://gateway.test/v1', apiKey: 'key' };

describe('a part that is made with something wrong says what it expected', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['kinds without options', () => standardProviderKinds(any(undefined)), /`options`.*credentialCipher/],
    ['kinds without a cipher', () => standardProviderKinds(any({})), /`credentialCipher` to be a CredentialCipher/],
    ['a gateway without options', () => new WexGatewayProvider(any(undefined)), /`options`.*baseUrl/],
    ['a gateway with a misspelt option', () => new WexGatewayProvider(any({ ...url, timeoutms: 1 })), /`timeoutMs`/],
    ['a gateway with a logger that is none', () => new WexGatewayProvider(any({ ...url, logger: {} })), /`debug`/],
    ['a local model by its name', () => new SentenceTransformersProvider(any('bge-small')), /`options`.*model/],
    ['a local model with a misspelt option', () => new SentenceTransformersProvider(any({ modle: 'x' })), /`model`/],
    ['a store with a misspelt option', () => new PulseQdrantClient(any({ locaton: ':memory:' })), /`location`/],
    ['a store with a path for options', () => new PulseQdrantClient(any('./vectors')), /`options`.*location/],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_input', message: expect.stringMatching(message) }));
  });
});

it('a password that the key does not fit is refused with its row', async () => {
  const [wex] = standardProviderKinds({ credentialCipher: new FernetCipher(FernetCipher.generateKey()) });
  const password = new FernetCipher(FernetCipher.generateKey()).encrypt('a key');
  const row = { id: 4711, tenantId: 3, provider: 'wex_ai_gateway', baseUrl: url.baseUrl, password };
  const usageRecorder = { record: async () => {} };
  const made = Promise.resolve(wex!.create({ integration: integrationOf(row), usageRecorder }));
  await expect(made).rejects.toMatchObject({
    code: 'credential_invalid',
    message: expect.stringMatching(/integration 4711 .*tenant 3/),
  });
});
