import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { localModelOptionsFromEnv } from '#src/providers/sentence-transformers/options-from-env.js';

const HTTPS_PROXY = 'http://proxy:3128';

describe('localModelOptionsFromEnv', () => {
  it('reads the cache and token that Python has when nothing is set', () => {
    const { isOffline, ...others } = localModelOptionsFromEnv({ HF_HOME: '', HTTPS_PROXY: ' ', HOME: '/home/a' });
    expect(isOffline).toBe(false);
    expect(Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined))).toEqual({
      sharedCacheFolder: join('/home/a/.cache/huggingface/hub'),
      hubTokenFile: join('/home/a/.cache/huggingface/token'),
    });
  });

  it.each([
    [{ HF_HUB_CACHE: '/models', HF_HOME: '/hf' }, '/models', '/hf/token'],
    [{ HUGGINGFACE_HUB_CACHE: '/models' }, '/models', '/home/a/.cache/huggingface/token'],
    [{ XDG_CACHE_HOME: '/cache' }, '/cache/huggingface/hub', '/cache/huggingface/token'],
    [{ HF_HUB_CACHE: '~/models', HF_TOKEN_PATH: '~/token' }, '/home/a/models', '/home/a/token'],
  ])('%j is where Python has its cache and its token', (env, sharedCacheFolder, hubTokenFile) => {
    const options = localModelOptionsFromEnv({ HOME: '/home/a', ...env });
    expect(options).toMatchObject({ sharedCacheFolder: join(sharedCacheFolder), hubTokenFile: join(hubTokenFile) });
  });

  it('expands ~ in HF_HOME, as Python does', () => {
    expect(localModelOptionsFromEnv({ HF_HOME: '~/models' })).toMatchObject({
      cacheFolder: join(homedir(), 'models', 'pulse-ai-providers'),
      sharedCacheFolder: join(homedir(), 'models', 'hub'),
    });
    expect(localModelOptionsFromEnv({ HF_HOME: '/data/~x' }).sharedCacheFolder).toBe(join('/data/~x', 'hub'));
  });

  it('takes the newline of a file off HF_TOKEN', () => {
    expect(localModelOptionsFromEnv({ HF_TOKEN: ' hf_secret\n' }).hubToken).toBe('hf_secret');
  });

  it.each([[{ HF_ENDPOINT: 'hf-mirror.com' }, /`HF_ENDPOINT` to be an http or https URL/]])(
    '%j names the variable',
    (env, message) => {
      expect(() => localModelOptionsFromEnv(env)).toThrow(message);
    },
  );

  it.each([
    [{ HTTPS_PROXY, HTTP_PROXY: 'http://other:1' }, HTTPS_PROXY],
    [{ https_proxy: HTTPS_PROXY }, HTTPS_PROXY],
    [{ ALL_PROXY: HTTPS_PROXY }, HTTPS_PROXY],
    [{ ALL_PROXY: 'socks5://proxy:1080' }, 'socks5://proxy:1080'],
    [{ HTTP_PROXY: 'http://other:1' }, undefined],
    [{ HF_ENDPOINT: 'http://mirror:8080', HTTP_PROXY: 'http://other:1' }, 'http://other:1'],
    [{ HF_ENDPOINT: 'http://mirror:8080', HTTPS_PROXY }, undefined],
  ])('%j has the proxy of the endpoint', (env, proxy) => {
    expect(localModelOptionsFromEnv(env).proxy).toBe(proxy);
  });

  it.each([
    ['huggingface.co', true],
    ['HuggingFace.CO', true],
    ['.huggingface.co', true],
    ['*.huggingface.co', true],
    ['localhost huggingface.co', true],
    ['localhost, huggingface.co:443', true],
    ['co', true],
    ['*', true],
    ['huggingface.co:8443', false],
    ['hub.huggingface.co', false],
    ['face.co', false],
    [',', false],
  ])('NO_PROXY=%s', (NO_PROXY, isExempt) => {
    expect(localModelOptionsFromEnv({ HTTPS_PROXY, NO_PROXY }).proxy).toBe(isExempt ? undefined : HTTPS_PROXY);
  });
});
