import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddingSpaceId } from '#src/core/embedding-space.js';
import { externalDataOf } from '#src/providers/sentence-transformers/model/model-files.js';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { poolingFiles, tinyBertFiles, tinyBertOnnx, writeFiles } from '../../helpers/tiny-bert.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-space-'));
});
afterAll(() => rm(folder, { recursive: true }));

const dataEntry = (name: string) =>
  Buffer.concat([Buffer.from('\n\x08location\x12', 'latin1'), Buffer.from([name.length]), Buffer.from(name)]);

async function makeModel(change: (modelFolder: string) => Promise<unknown>): Promise<string> {
  const modelFolder = await mkdtemp(join(folder, 'model-'));
  await writeFiles(modelFolder, new Map([...(await tinyBertFiles()), ...poolingFiles('1_Pooling', 'mean')]));
  await writeFiles(modelFolder, new Map([['onnx/model.onnx', await tinyBertOnnx()]]));
  await rm(join(modelFolder, 'model.safetensors'));
  await change(modelFolder);
  return modelFolder;
}

async function spaceOf(modelFolder: string, options: SentenceTransformersOptions = {}): Promise<string> {
  await using provider = new SentenceTransformersProvider({
    model: 'acme/tiny',
    modelFolder,
    cacheFolder: join(folder, 'cache'),
    ...options,
  });
  return embeddingSpaceId(await provider.embeddingSpace());
}

describe('the embedding space', () => {
  const json = (name: string, change: (value: Record<string, unknown>) => void) => async (modelFolder: string) => {
    const file = join(modelFolder, name);
    const value = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Record<string, unknown>;
    change(value);
    await writeFile(file, JSON.stringify(value));
  };
  it.each<[string, (modelFolder: string) => Promise<unknown>]>([
    ['graph', (modelFolder) => appendFile(join(modelFolder, 'onnx/model.onnx'), Buffer.of(0x32, 1, 0x61))],
    [
      'tokenizer',
      json('tokenizer.json', (value) => {
        value.added_tokens = [];
      }),
    ],
    [
      'length',
      json('sentence_bert_config.json', (value) => {
        value.max_seq_length = 20;
      }),
    ],
    [
      'pooling',
      json('1_Pooling/config.json', (value) => {
        value.pooling_mode = 'cls';
      }),
    ],
    [
      'share of the prompt in the pooling',
      json('1_Pooling/config.json', (value) => {
        value.include_prompt = false;
      }),
    ],
    [
      'prompts',
      json('config_sentence_transformers.json', (value) => {
        value.prompts = { query: 'q: ' };
      }),
    ],
  ])('is another one with another %s, and the same with the same files', async (_, change) => {
    const [original, same, other] = await Promise.all(
      [async () => {}, async () => {}, change].map(async (each) => spaceOf(await makeModel(each))),
    );
    expect(same).toBe(original);
    expect(other).not.toBe(original);
  });

  it('is another one with other weights in a file that the graph names', async () => {
    const withData = (content: string) =>
      makeModel(async (modelFolder) => {
        // A field that is not read, as a newer version of the format may have: it names the file all the same.
        const entry = dataEntry('weights.bin');
        await appendFile(
          join(modelFolder, 'onnx/model.onnx'),
          Buffer.concat([Buffer.of(0xf2, 0x7f, entry.length), entry]),
        );
        await writeFile(join(modelFolder, 'onnx/weights.bin'), content);
      });
    const [one, same, other] = [await withData('1'), await withData('1'), await withData('2')];
    expect(await spaceOf(same!)).toBe(await spaceOf(one!));
    expect(await spaceOf(other!)).not.toBe(await spaceOf(one!));
  });
});

describe('files that a graph names', () => {
  it('are found at every place in it, also across the pieces that it is read in', async () => {
    for (const padding of [0, 1, (1 << 20) - 20, (1 << 20) - 5, 1 << 20, (2 << 20) - 12]) {
      const file = join(folder, `graph-${padding}`);
      await writeFile(
        file,
        Buffer.concat([Buffer.alloc(padding), dataEntry('weights.bin'), Buffer.alloc(3), dataEntry('./b')]),
      );
      expect(await externalDataOf(file), `${padding} bytes before`).toEqual(['b', 'weights.bin']);
    }
  });

  it('are none in one without any', async () => {
    const file = join(folder, 'plain');
    await writeFile(file, 'the location of nothing');
    expect(await externalDataOf(file)).toEqual([]);
  });
});
