import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Integration } from '#src/core/ports/integration-repository.js';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import { sentenceTransformersKind } from '#src/providers/sentence-transformers/kind.js';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { BatchQueue } from '#src/providers/sentence-transformers/scheduling/batch-queue.js';
import { cosine } from '../../helpers/mini-lm-reference.js';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';
import { onRequest } from '../../helpers/worker-requests.js';

let folder: string;
let modelFolder: string;
const workers: Worker[] = [];
const remember = (worker: Worker): void => void workers.push(worker);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-engine-'));
  modelFolder = join(folder, 'model');
  await writeFiles(modelFolder, await tinyBertFiles());
  process.on('worker', remember);
});
afterEach(() => void workers.splice(0));
afterAll(async () => {
  process.off('worker', remember);
  await rm(folder, { recursive: true });
});

const open = (options: SentenceTransformersOptions = {}) =>
  new SentenceTransformersProvider({ model: 'acme/tiny', modelFolder, cacheFolder: folder, ...options });
const texts = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `text ${'word '.repeat(index % 40)}${index}`);

describe('priorities', () => {
  it('a small call overtakes a bulk job', async () => {
    await using provider = open({ maxWorkers: 1 });
    await provider.embedQuery('warm');
    const finished: string[] = [];
    const bulk = provider.generateEmbeddings(texts(3000)).then(() => finished.push('bulk'));
    await provider.generateEmbeddings(['small']).then(() => finished.push('small'));
    await bulk;
    expect(finished).toEqual(['small', 'bulk']);
  });

  it('bulk jobs of several callers share the workers, and each gets its own vectors', async () => {
    await using provider = open({ maxWorkers: 2 });
    const calls = [texts(300), texts(500).reverse(), texts(100)];
    const results = await Promise.all(calls.map((call) => provider.generateEmbeddings(call)));
    const alone = new Map<string, Float32Array>();
    for (const text of texts(100)) alone.set(text, await provider.embedDocument(text));
    results.forEach(({ embeddings }, call) => {
      embeddings.forEach((vector, index) => {
        const expected = alone.get(calls[call]![index]!);
        if (expected !== undefined) expect(cosine(vector, expected)).toBeGreaterThan(0.99999);
      });
    });
  });
});

describe('calls', () => {
  it('are not disturbed by a host that changes its array meanwhile', async () => {
    await using provider = open();
    const own = ['one', 'two', 'three'];
    const call = provider.generateEmbeddings(own);
    own.length = 0;
    expect((await call).embeddings).toHaveLength(3);
  });

  it('keep their vectors where the bookkeeping fails, and say so in the log', async () => {
    const logged: unknown[] = [];
    const log = (fields: object, message: string): void => void logged.push({ ...fields, message });
    await using provider = open({
      usageRecorder: { record: () => Promise.reject(new Error('no database')) },
      logger: { debug: log, info: log, warn: log, error: log },
    });
    expect((await provider.generateEmbeddings(['one'])).embeddings[0]).toHaveLength(16);
    expect(logged).toMatchObject([{ provider: 'sentence_transformers', message: expect.stringContaining('recorded') }]);
  });

  it('take texts of a megabyte', async () => {
    await using provider = open();
    const { usage } = await provider.generateEmbeddings(['word '.repeat(200_000), 'x'.repeat(1_000_000), 'short']);
    expect(usage.inputTokens).toBe(128 + 3 + 3);
  });
});

describe('abort', () => {
  it('takes what was not begun out of the queue', async () => {
    await using provider = open({ maxWorkers: 1 });
    await provider.embedQuery('warm');
    const abort = new AbortController();
    const reason = new Error('enough');
    const bulk = provider.generateEmbeddings(texts(20_000), { signal: abort.signal });
    abort.abort(reason);
    await expect(bulk).rejects.toBe(reason);
    // A second bulk job of the same size would have to wait for all of the first.
    const finished: string[] = [];
    const after = provider.generateEmbeddings(texts(50)).then(() => finished.push('after'));
    const long = provider.generateEmbeddings(texts(5000)).then(() => finished.push('long'));
    await Promise.all([after, long]);
    expect(finished).toEqual(['after', 'long']);
  });
});

describe('an abort of many calls', () => {
  it('takes their texts out of the queue at once, not one call after the other', async () => {
    await using provider = open({ maxWorkers: 1 });
    await provider.embedQuery('warm');
    const abort = new AbortController();
    const calls = texts(500).map((text) => provider.embedQuery(text, { signal: abort.signal }));
    const settled = Promise.allSettled(calls);
    await setImmediate();
    const remove = vi.spyOn(BatchQueue.prototype, 'remove');
    abort.abort();
    await settled;
    expect(remove.mock.calls.length).toBeLessThanOrEqual(4);
    remove.mockRestore();
  });
});

describe('the limits that a host sets', () => {
  it('maxTokensPerRun bounds every run, padding counted', async () => {
    await using provider = open({ maxWorkers: 1, maxTokensPerRun: 100 });
    await provider.embedQuery('warm');
    const padded: number[] = [];
    onRequest(workers.at(-1)!, (request) => {
      if (request.type === 'run') padded.push(Math.max(...request.texts.lengths) * request.texts.lengths.length);
    });
    await provider.generateEmbeddings(texts(200));
    expect(padded.length).toBeGreaterThan(20);
    expect(Math.max(...padded)).toBeLessThanOrEqual(100);
  });

  it.runIf(process.platform === 'linux')('threadsPerWorker is how many threads compute in a worker', async () => {
    const threads = (): number => readdirSync('/proc/self/task').length;
    const started = async (threadsPerWorker: number): Promise<number> => {
      const before = threads();
      await using provider = open({ maxWorkers: 1, threadsPerWorker });
      await provider.embedQuery('warm');
      return threads() - before;
    };
    const one = await started(1);
    expect((await started(3)) - one).toBe(2);
  });
});

describe('workers', () => {
  it('end when nothing is asked for a while, and start again', async () => {
    await using provider = open({ maxWorkers: 2, idleTimeoutMs: 50 });
    await provider.generateEmbeddings(texts(2000));
    const started = workers.length;
    await Promise.all(workers.map((worker) => new Promise((ended) => worker.once('exit', ended))));
    expect(await provider.embedQuery('again')).toHaveLength(16);
    expect(workers).toHaveLength(started + 2);
  });

  it('are shared by all rows that name one model, until the last one is closed', async () => {
    const usage: UsageEvent[] = [];
    const kind = sentenceTransformersKind({
      cacheFolder: folder,
      modelFolders: { 'acme/tiny': modelFolder },
      maxWorkers: 1,
    });
    const create = async (id: number, aiModelConfig: Record<string, unknown>) => {
      const integration = { id, tenantId: id, aiModel: 'acme/tiny', aiModelConfig } as unknown as Integration;
      const usageRecorder = { record: async (event: UsageEvent) => void usage.push(event) };
      return kind.create({ integration, usageRecorder });
    };
    const first = await create(1, { batch_size: 8 });
    const second = await create(2, { batch_size: 32, normalize_embeddings: false });
    const [one, two] = await Promise.all([first.generateEmbeddings(['a b c']), second.generateEmbeddings(['a b c'])]);
    // One that tokenises and one that runs.
    expect(workers).toHaveLength(2);
    expect(Math.hypot(...one.embeddings[0]!)).toBeCloseTo(1, 5);
    expect(Math.hypot(...two.embeddings[0]!)).not.toBeCloseTo(1, 2);
    expect(cosine(one.embeddings[0]!, two.embeddings[0]!)).toBeCloseTo(1, 5);
    await first.close();
    expect((await second.generateEmbeddings(['still here'])).usage.inputCount).toBe(1);
    expect(usage.map(({ inputTokens }) => inputTokens)).toEqual([5, 5, 4]);
    const ended = Promise.all(workers.map((worker) => new Promise((end) => worker.once('exit', end))));
    await second.close();
    await ended;
  });
});

describe("what the model's files say", () => {
  const variant = async (files: Record<string, unknown>): Promise<string> => {
    const target = await mkdtemp(join(folder, 'variant-'));
    const contents = Object.entries(files).map(([name, value]) => [name, Buffer.from(JSON.stringify(value))] as const);
    await writeFiles(target, new Map([...(await tinyBertFiles()), ...contents]));
    return target;
  };

  it('queries and documents get their prompts, in one space', async () => {
    const prompts = { query: 'query: ', passage: 'passage: ' };
    const withPrompts = await variant({ 'config_sentence_transformers.json': { prompts } });
    await using provider = open({ modelFolder: withPrompts });
    await using plain = open();
    expect(cosine(await provider.embedQuery('cats'), await plain.embedDocument('query: cats'))).toBeCloseTo(1, 6);
    expect(cosine(await provider.embedDocument('cats'), await plain.embedQuery('passage: cats'))).toBeCloseTo(1, 6);
    expect((await provider.embeddingSpace()).prompts).toEqual({ query: 'query: ', document: 'passage: ' });
    await using chosen = open({ prompts: { query: 'q: ', document: '' } });
    expect(cosine(await chosen.embedQuery('cats'), await plain.embedDocument('q: cats'))).toBeCloseTo(1, 6);
  });

  it('a prompt is left out of the mean where the model says so', async () => {
    const files = {
      'config_sentence_transformers.json': { prompts: { query: 'query: ' } },
      '1_Pooling/config.json': { pooling_mode_mean_tokens: true, include_prompt: false },
    };
    await using provider = open({ modelFolder: await variant(files), normalizeEmbeddings: false });
    await using first = open({
      modelFolder: await variant({ '1_Pooling/config.json': { pooling_mode_cls_token: true } }),
    });
    await using all = open({ normalizeEmbeddings: false });
    const [kept, mean] = [await provider.embedQuery('cats'), await all.embedDocument('query: cats')];
    // [CLS], the first of the five tokens [CLS] query : cats [SEP], has a share in the one mean and not in the other.
    const start = await first.embedDocument('query: cats');
    expect(cosine(kept, mean)).toBeLessThan(1 - 1e-5);
    expect(cosine(kept, start)).toBeLessThan(cosine(mean, start));
    expect((await first.embeddingSpace()).pooling).toBe('cls');
  });

  it('dimensions cuts before it normalises', async () => {
    await using whole = open();
    await using cut = open({ dimensions: 4 });
    const [long, short] = [await whole.embedDocument('cats'), await cut.embedDocument('cats')];
    expect(short).toHaveLength(4);
    expect(Math.hypot(...short)).toBeCloseTo(1, 6);
    expect(cosine(short, long.subarray(0, 4))).toBeCloseTo(1, 6);
    expect((await cut.embeddingSpace()).dimension).toBe(4);
    await using tooMany = open({ dimensions: 17 });
    await expect(tooMany.embedDocument('cats')).rejects.toMatchObject({ code: 'invalid_input' });
  });

  it('max_seq_length and the positions bound a text', async () => {
    await using provider = open({ modelFolder: await variant({ 'sentence_bert_config.json': { max_seq_length: 8 } }) });
    const { usage } = await provider.generateEmbeddings(['one two three four five six seven eight nine']);
    expect(usage.inputTokens).toBe(8);
    await using plain = open();
    expect((await plain.generateEmbeddings(['word '.repeat(500)])).usage.inputTokens).toBe(128);
  });

  it('an architecture that no graph can be built for is named', async () => {
    const config = { model_type: 'mpnet', hidden_size: 16, max_position_embeddings: 128 };
    await using provider = open({ modelFolder: await variant({ 'config.json': config }) });
    await expect(provider.embedDocument('a')).rejects.toMatchObject({
      code: 'model_unavailable',
      message: expect.stringContaining('mpnet'),
    });
  });

  it('a damaged model file is an error that names the folder', async () => {
    const broken = await variant({});
    await writeFile(join(broken, 'model.safetensors'), 'not a model');
    await using provider = open({ modelFolder: broken });
    await expect(provider.embedDocument('a')).rejects.toMatchObject({ code: 'model_unavailable', isRetryable: false });
    await writeFiles(broken, new Map([['onnx/model.onnx', Buffer.from('not a model')]]));
    await using another = open({ modelFolder: broken });
    await expect(another.embedDocument('a')).rejects.toMatchObject({ name: 'ProviderError' });
  });
});
