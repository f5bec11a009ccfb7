import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { FakeHub } from '../../helpers/fake-hub.js';
import { poolingFiles, tinyBertFiles, tinyBertOnnx } from '../../helpers/tiny-bert.js';

const model = 'acme/tiny-bert';
let hub: FakeHub;
let folder: string;

beforeEach(async () => {
  hub = await FakeHub.start(await tinyBertFiles());
  folder = await mkdtemp(join(tmpdir(), 'local-hub-files-'));
});
afterEach(async () => {
  await hub.stop();
  await rm(folder, { recursive: true });
});

const open = (options: SentenceTransformersOptions = {}) =>
  new SentenceTransformersProvider({
    model,
    cacheFolder: join(folder, 'cache'),
    hubEndpoint: hub.endpoint,
    maxWorkers: 1,
    ...options,
  });
const add = (files: ReadonlyMap<string, Buffer>): void => {
  for (const [name, content] of files) hub.files.set(name, content);
};
const downloaded = (): string[] => hub.downloads.map(({ path }) => basename(path));

describe('names that a Hub lists', () => {
  it('are no way out of the cache: weights beside a graph', async () => {
    hub.files.set('onnx/model.onnx', await tinyBertOnnx());
    hub.foreignNames.push('onnx/model.onnx_data/../../../../../stolen', 'onnx/model.onnx_data\\..\\stolen');
    await using provider = open();
    expect(await provider.embedDocument('a text')).toHaveLength(16);
    expect(existsSync(join(folder, 'stolen'))).toBe(false);
    expect(downloaded().some((name) => name.includes('stolen'))).toBe(false);
  });

  it.each(['../../../../stolen', '/tmp/stolen', 'a\\..\\stolen'])(
    'are no way out of the cache: the module %s',
    async (path) => {
      add(poolingFiles(path, 'cls'));
      await using provider = open();
      await expect(provider.embedDocument('a text')).rejects.toMatchObject({
        code: 'model_unavailable',
        message: expect.stringContaining("leads out of the model's folder"),
      });
      expect(downloaded()).not.toContain('model.safetensors');
    },
  );
});

describe('a description of the repository', () => {
  it.each([
    ['is no JSON', '<html>'],
    ['is null', 'null'],
    ['has no commit', '{"sha":"main","siblings":[]}'],
    ['has no list of files', `{"sha":"${'1'.repeat(40)}","siblings":{}}`],
  ])('that %s is not believed', async (_, description) => {
    hub.description = description;
    await using provider = open();
    await expect(provider.embeddingSpace()).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
      message: expect.stringContaining('the Hub did not describe the model as expected'),
    });
  });
});

describe('the pooling', () => {
  it('is read from where modules.json has it', async () => {
    add(poolingFiles('2_OwnPooling', 'cls'));
    await using provider = open();
    expect((await provider.embeddingSpace()).pooling).toBe('cls');
  });

  it('is not guessed where the file is missing that modules.json names', async () => {
    add(poolingFiles('1_Pooling', 'cls'));
    hub.files.delete('1_Pooling/config.json');
    await using provider = open();
    await expect(provider.embeddingSpace()).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
      message: expect.stringContaining('no 1_Pooling/config.json, which modules.json names'),
    });
    expect(downloaded()).not.toContain('model.safetensors');
  });
});

describe('a mirror that gives no checksums', () => {
  it.each(['config.json', 'tokenizer.json', 'modules.json'])(
    'has its page in place of %s asked for again',
    async (name) => {
      add(poolingFiles('1_Pooling', 'cls'));
      const content = hub.files.get(name)!;
      hub.givesChecksums = false;
      hub.files.set(name, Buffer.from('<html>Please log in</html>'));
      await using provider = open();
      await expect(provider.embeddingSpace()).rejects.toMatchObject({
        code: 'model_unavailable',
        isRetryable: true,
        message: expect.stringContaining(`sent as ${name} is not JSON`),
      });
      hub.files.set(name, content);
      expect(await provider.embeddingSpace()).toMatchObject({ pooling: 'cls', dimension: 16 });
    },
  );
});

describe('weights beside their graph', () => {
  it('are downloaded and are part of the revision', async () => {
    hub.files.set('onnx/model.onnx', await tinyBertOnnx());
    await using plain = open();
    const { revision } = await plain.embeddingSpace();
    const revisions = [revision];
    for (const [index, data] of ['weights one', 'weights two'].entries()) {
      hub.files.set('onnx/model.onnx_data', Buffer.from(data));
      await using provider = open({ cacheFolder: join(folder, `cache ${index}`) });
      revisions.push((await provider.embeddingSpace()).revision);
    }
    expect(new Set(revisions).size).toBe(3);
    expect(downloaded()).toContain('model.onnx_data');
  });
});

describe('prompts of a family', () => {
  const e5 = { model: 'intfloat/e5-small' };

  it('stand before the texts, unless the host says none', async () => {
    await using provider = open(e5);
    await using plain = open({ ...e5, prompts: {} });
    expect(await provider.embedQuery('cats')).toEqual(await plain.embedQuery('query: cats'));
    expect(await provider.embedDocument('cats')).toEqual(await plain.embedQuery('passage: cats'));
    expect((await provider.embeddingSpace()).prompts).toEqual({ query: 'query: ', document: 'passage: ' });
    expect((await plain.embeddingSpace()).prompts).toBeNull();
  });

  it("give way to the model's own", async () => {
    const prompts = { query: 'q: ', document: 'd: ' };
    hub.files.set('config_sentence_transformers.json', Buffer.from(JSON.stringify({ prompts })));
    await using provider = open(e5);
    expect((await provider.embeddingSpace()).prompts).toEqual(prompts);
  });
});
