import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elementType } from '#src/providers/sentence-transformers/onnx/graph-builder.js';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';
import { asOutput, tableOf, tinyOnnx } from '../../helpers/tiny-onnx.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function open(onnx: Buffer, files: Record<string, unknown> = {}, options: SentenceTransformersOptions = {}) {
  const modelFolder = await mkdtemp(join(folder, 'model-'));
  const contents = Object.entries(files).map(([name, value]) => [name, Buffer.from(JSON.stringify(value))] as const);
  await writeFiles(modelFolder, new Map([...(await tinyBertFiles()), ['onnx/model.onnx', onnx], ...contents]));
  return new SentenceTransformersProvider({
    model: 'acme/tiny',
    modelFolder,
    cacheFolder: folder,
    maxWorkers: 1,
    ...options,
  });
}

const vectorOf = async (onnx: Buffer): Promise<number[]> => {
  await using provider = await open(onnx);
  const { embeddings } = await provider.generateEmbeddings(['a cat sat', 'a dog']);
  return [...embeddings[0]!, ...embeddings[1]!];
};

const expectRefused = async (onnx: Buffer, ...parts: readonly string[]): Promise<void> => {
  await using provider = await open(onnx);
  const error = await provider.embedDocument('a cat sat').catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'ProviderError', code: 'model_unavailable', isRetryable: false });
  for (const part of parts) expect((error as Error).message).toContain(part);
};

const plain = tinyOnnx((graph, vectors) => asOutput(graph, vectors, 'last_hidden_state'));

describe('the outputs of an ONNX file that somebody else made', () => {
  it('float16 is widened', async () => {
    const halves = tinyOnnx((graph, vectors) => {
      graph.node('Cast', [vectors], { output: 'last_hidden_state', attributes: { to: elementType.float16 } });
      graph.output('last_hidden_state', 'float16', ['batch', 'sequence', 16]);
    });
    const [expected, vector] = [await vectorOf(plain), await vectorOf(halves)];
    for (const [index, value] of vector.entries()) expect(value).toBeCloseTo(expected[index]!, 3);
  });

  it('one that holds embeddings is taken, wherever it stands', async () => {
    const others = tinyOnnx((graph, vectors) => {
      asOutput(graph, graph.node('Neg', [vectors]), 'logits');
      asOutput(graph, vectors, 'token_embeddings');
    });
    expect(await vectorOf(others)).toEqual(await vectorOf(plain));
  });

  it('one that is pooled already is taken as it is', async () => {
    const pooled = tinyOnnx((graph, vectors) => {
      const first = graph.node('Gather', [vectors, graph.tensor('first', 'int64', [], BigInt64Array.of(0n))], {
        attributes: { axis: 1 },
      });
      asOutput(graph, first, 'sentence_embedding', 2);
    });
    const vectors = await vectorOf(pooled);
    // The first token of both texts is [CLS].
    expect(vectors.slice(0, 16)).toEqual(vectors.slice(16));
    await using provider = await open(pooled, {
      'config_sentence_transformers.json': { prompts: { query: 'query: ' } },
      'modules.json': [
        { path: '', type: 'sentence_transformers.models.Transformer' },
        { path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
      ],
      '1_Pooling/config.json': { pooling_mode_mean_tokens: true, include_prompt: false },
    });
    await expect(provider.embedQuery('cats')).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringContaining('sentence_embedding is pooled with the prompt'),
    });
  });

  it('without embeddings are named', async () => {
    const logits = tinyOnnx((graph, vectors) => asOutput(graph, vectors, 'logits'));
    await expectRefused(logits, 'model.onnx has the outputs logits', 'last_hidden_state');
  });

  it('of another size than the model are refused', async () => {
    const wide = tinyOnnx((graph, vectors) => {
      graph.node('Concat', [vectors, vectors], { output: 'last_hidden_state', attributes: { axis: 2 } });
      graph.output('last_hidden_state', 'float32', ['batch', 'sequence', 32]);
    });
    await expectRefused(wide, 'last_hidden_state has the shape 1 x 5 x 32, expected 1 x 5 x 16');
    const flat = tinyOnnx((graph, vectors) => {
      graph.node('ReduceMean', [vectors], { output: 'sentence_embedding', attributes: { keepdims: 0 } });
      graph.output('sentence_embedding', 'float32', []);
    });
    await expectRefused(flat, 'sentence_embedding has the shape');
  });

  it('of another type are refused', async () => {
    const integers = tinyOnnx((graph, vectors) => {
      graph.node('Cast', [vectors], { output: 'last_hidden_state', attributes: { to: elementType.int32 } });
      graph.output('last_hidden_state', 'int32', ['batch', 'sequence', 16]);
    });
    await expectRefused(integers, 'last_hidden_state is int32');
  });

  it('with a number that is not finite are never handed out', async () => {
    const logarithms = tinyOnnx((graph, vectors) => asOutput(graph, graph.node('Log', [vectors]), 'last_hidden_state'));
    await expectRefused(logarithms, 'last_hidden_state', 'not finite');
  });
});

describe('the inputs of an ONNX file that somebody else made', () => {
  it('position_ids count from 0', async () => {
    const positions = tinyOnnx((graph, vectors) => {
      const ids = graph.input('position_ids', 'int64', ['batch', 'sequence']);
      const row = graph.node('Gather', [tableOf(graph, 'positions', 2), ids]);
      asOutput(graph, graph.node('Add', [vectors, row]), 'last_hidden_state');
    });
    // [CLS] a cat sat [SEP] and [CLS] a dog [SEP]: what the positions add to the mean of a text.
    const add = (count: number) =>
      Array.from({ length: 16 }, (_, column) => {
        let sum = 0;
        for (let row = 0; row < count; row++) sum += 2 * Math.sin(row * 16 + column);
        return sum / count;
      });
    const raw = async (onnx: Buffer) => {
      await using provider = await open(onnx, {}, { normalizeEmbeddings: false });
      return (await provider.generateEmbeddings(['a cat sat', 'a dog'])).embeddings;
    };
    const [without, withPositions] = [await raw(plain), await raw(positions)];
    for (const [text, count] of [5, 4].entries()) {
      add(count).forEach((value, column) => {
        expect(withPositions[text]![column]! - without[text]![column]!).toBeCloseTo(value, 4);
      });
    }
  });

  it('that are not known are named', async () => {
    const other = tinyOnnx((graph, vectors) => {
      const scale = graph.input('scale', 'int64', ['batch', 'sequence']);
      graph.node('Cast', [scale], { attributes: { to: elementType.float32 } });
      asOutput(graph, vectors, 'last_hidden_state');
    });
    await expectRefused(other, 'model.onnx has an input scale', 'position_ids');
  });

  it('of another type are named', async () => {
    const narrow = tinyOnnx((graph, vectors) => asOutput(graph, vectors, 'last_hidden_state'), 'int32');
    await expectRefused(narrow, 'the input input_ids of', 'is int32, expected int64');
  });
});

describe('a file that cannot be loaded is named, with the reason', () => {
  it.each([
    ['a damaged ONNX file', Buffer.from('no model'), 'onnx/model.onnx could not be loaded: Load model from'],
    ['an empty ONNX file', Buffer.alloc(0), 'does not have a graph'],
  ])('%s', (_, onnx, reason) => expectRefused(onnx, reason));

  it('an ONNX file that fails in a run', async () => {
    const failing = tinyOnnx((graph, vectors) => {
      const shape = graph.int64('shape', [7, 7]);
      asOutput(graph, graph.node('Reshape', [vectors, shape]), 'last_hidden_state');
    });
    await expectRefused(failing, 'onnx/model.onnx failed in a run: ', 'Reshape');
  });

  it('a tokenizer', async () => {
    await using provider = await open(plain, { 'tokenizer.json': { version: '1.0' } });
    await expect(provider.embedDocument('a')).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringMatching(/tokenizer\.json could not be loaded: .*"model"/),
    });
  });

  it('CUDA that is not there', async () => {
    await using provider = await open(plain, {}, { device: 'cuda' });
    await expect(provider.embedDocument('a')).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringMatching(/without its CUDA libraries; with `device: 'auto'` it runs on the CPU/),
    });
  });
});

describe('health', () => {
  it.each([
    ['cpu', 'fp32', 'runs on cpu: chosen by the host'],
    ['auto', 'fp32', 'runs on cpu: CUDA cannot be used, onnxruntime-node is installed without its CUDA libraries'],
    ['auto', 'int8', 'runs on cpu: int8 runs on the CPU'],
  ] as const)('says where the model runs and why: %s, %s', async (device, dtype, reason) => {
    const modelFolder = await mkdtemp(join(folder, 'health-'));
    const files = [
      ['onnx/model.onnx', plain],
      ['onnx/model_int8.onnx', plain],
    ] as const;
    await writeFiles(modelFolder, new Map([...(await tinyBertFiles()), ...files]));
    await using provider = new SentenceTransformersProvider({
      model: 'acme/tiny',
      modelFolder,
      device,
      dtype,
      maxWorkers: 1,
    });
    expect((await provider.health()).detail).toContain('is not loaded yet');
    await provider.embedDocument('a');
    expect(await provider.health()).toMatchObject({ status: 'healthy', detail: expect.stringContaining(reason) });
  });
});
