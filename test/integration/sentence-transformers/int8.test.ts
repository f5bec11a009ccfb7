import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddingSpaceId } from '#src/core/embedding-space.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { textsOfManyKinds } from '../../helpers/kinds-of-text.js';
import { cosine, readMiniLmReference } from '../../helpers/mini-lm-reference.js';
import { ndcgAt10, readRetrievalSet } from '../../helpers/retrieval-set.js';

const golden = readMiniLmReference();
const retrievalSet = readRetrievalSet();
let cacheFolder: string;
let int8: SentenceTransformersProvider;
let fp32: SentenceTransformersProvider;

beforeAll(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'local-int8-'));
  int8 = new SentenceTransformersProvider({ cacheFolder, dtype: 'int8' });
  fp32 = new SentenceTransformersProvider({ cacheFolder, dtype: 'fp32' });
});
afterAll(async () => {
  await int8.close();
  await fp32.close();
  await rm(cacheFolder, { recursive: true });
});

describe('fp16', () => {
  it('stays nearer to Python than int8, also where the CPU has to stand in for a GPU', async () => {
    await using fp16 = new SentenceTransformersProvider({ cacheFolder, dtype: 'fp16' });
    const { embeddings, embeddingSpace } = await fp16.generateEmbeddings(golden.texts);
    const cosines = embeddings.map((vector, index) => cosine(vector, golden.vectors[index]!));
    expect(Math.min(...cosines)).toBeGreaterThanOrEqual(0.999);
    expect(embeddingSpace.dtype).toBe('fp16');
  });
});

describe('int8', () => {
  it('stays near to Python in float32: cosine 0.996 on average and 0.99 at least', async () => {
    const { embeddings } = await int8.generateEmbeddings(golden.texts);
    const cosines = embeddings.map((vector, index) => cosine(vector, golden.vectors[index]!));
    expect(cosines.reduce((sum, value) => sum + value, 0) / cosines.length).toBeGreaterThanOrEqual(0.996);
    expect(Math.min(...cosines)).toBeGreaterThanOrEqual(0.99);
  });

  it('stays near to float32 on texts that its scales were not computed from', async () => {
    const texts = [...retrievalSet.passages, ...retrievalSet.queries];
    const exact = (await fp32.generateEmbeddings(texts)).embeddings;
    const cosines = (await int8.generateEmbeddings(texts)).embeddings.map((vector, i) => cosine(vector, exact[i]!));
    expect(cosines.reduce((sum, value) => sum + value, 0) / cosines.length).toBeGreaterThanOrEqual(0.996);
    expect(Math.min(...cosines)).toBeGreaterThanOrEqual(0.99);
  });

  it('stays near to float32 on every kind of text: cosine 0.996 on average and 0.985 at least', async () => {
    const kinds = textsOfManyKinds(11, 6);
    const texts = [...kinds.values()].flat();
    // Once the worst: rows of one token, which the first scales cut.
    texts.push('\u2013'.repeat(11), '\u30b5'.repeat(34), '. '.repeat(300), 'na '.repeat(64), '| --- | --- |');
    const exact = (await fp32.generateEmbeddings(texts)).embeddings;
    const cosines = (await int8.generateEmbeddings(texts)).embeddings.map((vector, i) => cosine(vector, exact[i]!));
    for (const [index, value] of cosines.entries()) expect(value, texts[index]).toBeGreaterThanOrEqual(0.985);
    expect(cosines.reduce((sum, value) => sum + value, 0) / cosines.length).toBeGreaterThanOrEqual(0.996);
  });

  it('gives a text bit for bit the same vector alone, in any batch and in any worker', async () => {
    const texts = [...golden.texts, ...retrievalSet.passages];
    const together = (await int8.generateEmbeddings(texts)).embeddings;
    const reversed = (await int8.generateEmbeddings([...texts].reverse())).embeddings.reverse();
    await using otherWorkers = new SentenceTransformersProvider({
      cacheFolder,
      dtype: 'int8',
      maxWorkers: 3,
      maxTokensPerRun: 2000,
    });
    const elsewhere = (await otherWorkers.generateEmbeddings(texts.concat(texts))).embeddings;
    for (const [index, text] of texts.entries()) {
      const alone = (await int8.generateEmbeddings([text])).embeddings[0]!;
      for (const other of [together[index]!, reversed[index]!, elsewhere[index]!, elsewhere[texts.length + index]!]) {
        expect(Buffer.from(other.slice().buffer).equals(Buffer.from(alone.slice().buffer)), `text ${index}`).toBe(true);
      }
    }
  });

  it('computes exactly, also on a CPU whose int8 products can overflow', async () => {
    const models = join(cacheFolder, 'sentence-transformers--all-MiniLM-L6-v2');
    const built = (await readdir(models)).find((name) => name.includes('int8'))!;
    const file = join(models, built, 'onnx', 'model_int8.onnx');
    const input_ids = new Tensor(
      'int64',
      BigInt64Array.from({ length: 64 }, (_, index) => BigInt(2000 + index * 7)),
      [2, 32],
    );
    const hidden = async (precise: '0' | '1') => {
      const session = await InferenceSession.create(file, { extra: { session: { x64quantprecision: precise } } });
      const { last_hidden_state } = await session.run({ input_ids });
      await session.release();
      return Buffer.from((last_hidden_state!.data as Float32Array).buffer);
    };
    // The runtime's own way around the overflow, which is slower and does nothing on a CPU with VNNI.
    expect((await hidden('0')).equals(await hidden('1'))).toBe(true);
  });

  it('loses at most half a point of nDCG@10 to float32', async () => {
    const score = async (provider: SentenceTransformersProvider): Promise<number> => {
      const queries = await provider.generateEmbeddings(retrievalSet.queries, { inputType: 'query' });
      const passages = await provider.generateEmbeddings(retrievalSet.passages);
      return ndcgAt10(queries.embeddings, passages.embeddings, retrievalSet.relevance);
    };
    const [exact, quantized] = [await score(fp32), await score(int8)];
    expect(exact).toBeGreaterThan(0.6);
    expect(quantized).toBeGreaterThanOrEqual(exact - 0.005);
    console.log(`nDCG@10: fp32 ${exact.toFixed(4)}, int8 ${quantized.toFixed(4)}`);
  });

  it('is an embedding space of its own', async () => {
    const [exact, quantized] = [await fp32.embeddingSpace(), await int8.embeddingSpace()];
    expect(quantized).toEqual({ ...exact, dtype: 'int8' });
    expect(embeddingSpaceId(quantized)).not.toBe(embeddingSpaceId(exact));
  });
});
