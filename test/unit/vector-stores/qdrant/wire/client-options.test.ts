import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  optionsFromEnv,
  type PulseQdrantClientOptions,
  resolveOptions,
} from '#src/vector-stores/qdrant/wire/client-options.js';

const client = { query: async () => ({ points: [] }) } as unknown as PulseQdrantClientOptions['client'];

describe('resolveOptions', () => {
  it.each<[PulseQdrantClientOptions, string]>([
    [{}, 'http://localhost:6333'],
    [{ host: 'qdrant' }, 'http://qdrant:6333'],
    [{ host: '::1', port: 7000 }, 'http://[::1]:7000'],
    [{ host: 'qdrant', https: true }, 'https://qdrant:6333'],
    [{ host: 'qdrant', apiKey: 'k' }, 'https://qdrant:6333'],
    [{ host: 'qdrant', apiKey: 'k', https: false }, 'http://qdrant:6333'],
    [{ host: 'localhost', apiKey: 'k' }, 'http://localhost:6333'],
    [{ url: 'http://qdrant' }, 'http://qdrant:6333'],
    [{ url: 'http://qdrant:80' }, 'http://qdrant:80'],
    [{ url: 'https://qdrant.example' }, 'https://qdrant.example:443'],
    [{ url: 'https://qdrant.example:443' }, 'https://qdrant.example:443'],
    [{ url: 'https://qdrant.example', port: 6333 }, 'https://qdrant.example:6333'],
    [{ url: 'https://qdrant.example/a/b/' }, 'https://qdrant.example:443/a/b'],
    [{ url: 'http://[::1]:6334' }, 'http://[::1]:6334'],
    [{ location: ':memory:' }, 'the local engine'],
    [{ client }, 'the injected client'],
  ])('%o is %s', (options, endpoint) => {
    expect(resolveOptions(options)).toMatchObject({ target: { endpoint }, timeoutMs: 120_000 });
  });

  it('takes a folder from where the process is now, and not from where it will be when the engine is opened', () => {
    expect(resolveOptions({ location: 'vectors' }).target).toMatchObject({ location: resolve('vectors') });
    expect(resolveOptions({ location: ':memory:' }).target).toMatchObject({ location: ':memory:' });
  });

  it.each<[string, PulseQdrantClientOptions]>([
    ['two places', { url: 'http://a', host: 'a' }],
    ['a local engine with a key', { location: ':memory:', apiKey: 'k' }],
    ['an injected client with a port', { client, port: 1 }],
    ['an empty location', { location: '' }],
    ['a client that is none', { client: {} as never }],
    ['a URL without a scheme', { url: 'qdrant:6333' }],
    ['another scheme', { url: 'ftp://qdrant' }],
    ['credentials in the URL', { url: 'http://user:secret@qdrant' }],
    ['a query in the URL', { url: 'http://qdrant?api-key=secret' }],
    ['two ports', { url: 'http://qdrant:6333', port: 6334 }],
    ['https beside a URL', { url: 'http://qdrant', https: true }],
    ['a host with a path', { host: 'qdrant/x' }],
    ['a host with a port', { host: 'qdrant:6333' }],
    ['a host with a scheme', { host: 'http://qdrant' }],
    ['port 0', { port: 0 }],
    ['port 65536', { port: 65_536 }],
    ['an empty key', { apiKey: '' }],
    ['a timeout of 0', { timeoutMs: 0 }],
    ['a timeout that a timer cannot hold', { timeoutMs: 2 ** 31 }],
  ])('refuses %s', (_, options) => {
    expect(() => resolveOptions(options)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => resolveOptions(options)).not.toThrowError(/secret/);
  });
});

describe('optionsFromEnv', () => {
  it('reads the platform’s variables; empty ones count as unset', () => {
    expect(optionsFromEnv({})).toEqual({ host: 'localhost' });
    expect(optionsFromEnv({ QDRANT_HOST: '', QDRANT_PORT: '', QDRANT_TIMEOUT: '', QDRANT_API_KEY: '' })).toEqual({
      host: 'localhost',
    });
    expect(optionsFromEnv({ QDRANT_HOST: 'q', QDRANT_PORT: '7', QDRANT_TIMEOUT: '1.5', QDRANT_API_KEY: 'k' })).toEqual({
      host: 'q',
      port: 7,
      timeoutMs: 1500,
      apiKey: 'k',
    });
    expect(optionsFromEnv({ QDRANT_HOST: 'https://q/x' })).toEqual({ url: 'https://q/x' });
  });

  it.each(['x', '-1', '0', '1e3', '123456'])('refuses the port %j by its variable’s name', (QDRANT_PORT) => {
    expect(() => optionsFromEnv({ QDRANT_PORT })).toThrowError(/QDRANT_PORT/);
  });
});
