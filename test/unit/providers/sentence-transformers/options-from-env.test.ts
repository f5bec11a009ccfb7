import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { localModelOptionsFromEnv } from '#src/providers/sentence-transformers/options-from-env.js';

const HTTPS_PROXY = 'http://proxy:3128';

describe('localModelOptionsFromEnv', () => {
  it('stands for nothing where nothing is set', () => {
    const { isOffline, ...others } = localModelOptionsFromEnv({ HF_HOME: '', HTTPS_PROXY: ' ' });
    expect(isOffline).toBe(false);
    expect(Object.values(others).filter((value) => value !== undefined)).toEqual([]);
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

  it.each([
    [{ HF_ENDPOINT: 'hf-mirror.com' }, /`HF_ENDPOINT` to be an http or https URL/],
    [{ HTTPS_PROXY: 'proxy:3128' }, /`HTTPS_PROXY` to be an http or https URL/],
    [{ ALL_PROXY: 'socks5://proxy:1080' }, /`ALL_PROXY` to be an http or https URL/],
    [{ HF_ENDPOINT: 'http://mirror', HTTP_PROXY: 'proxy:3128' }, /`HTTP_PROXY` to be an http or https URL/],
  ])('%j names the variable', (env, message) => {
    expect(() => localModelOptionsFromEnv(env)).toThrow(message);
  });

  it.each([
    [{ HTTPS_PROXY, HTTP_PROXY: 'http://other:1' }, HTTPS_PROXY],
    [{ https_proxy: HTTPS_PROXY }, HTTPS_PROXY],
    [{ ALL_PROXY: HTTPS_PROXY }, HTTPS_PROXY],
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
