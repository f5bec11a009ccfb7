/** One contender of bench/local.ts in a process of its own; prints its measurements as one line of JSON. */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { SentenceTransformersProvider } from '@pulse/ai-providers';
import { type Corpus, quantile, readCorpus } from './local-corpus.js';

type EmbedAll = (texts: readonly string[]) => Promise<unknown>;

const [name = '', modelFolder = '', cacheFolder = '', corpusFile = ''] = process.argv.slice(2);
const corpus = readCorpus(corpusFile);

const contenders: Record<string, () => Promise<EmbedAll>> = {
  'ours fp32': () => ours('fp32'),
  'ours int8': () => ours('int8'),
  'transformers.js fp32': () => transformersJs('fp32', 32),
  'transformers.js int8': () => transformersJs('int8', 32),
  'transformers.js fp32, one at a time': () => transformersJs('fp32', 1),
  'transformers.js int8, one at a time': () => transformersJs('int8', 1),
  'fastembed fp32': fastembed,
};

async function ours(dtype: 'fp32' | 'int8'): Promise<EmbedAll> {
  const provider = new SentenceTransformersProvider({ cacheFolder, dtype });
  return (texts) => provider.generateEmbeddings(texts);
}

async function transformersJs(dtype: 'fp32' | 'int8', batchSize: number): Promise<EmbedAll> {
  const { env, pipeline } = await import('@huggingface/transformers');
  env.allowRemoteModels = false;
  env.localModelPath = modelFolder;
  const extract = await pipeline('feature-extraction', 'all-MiniLM-L6-v2', { dtype });
  return async (texts) => {
    for (let start = 0; start < texts.length; start += batchSize) {
      await extract(texts.slice(start, start + batchSize) as string[], { pooling: 'mean', normalize: true });
    }
  };
}

async function fastembed(): Promise<EmbedAll> {
  const packageName = new URL('./node_modules/fastembed/lib/esm/index.js', import.meta.url).href;
  const { EmbeddingModel, FlagEmbedding } = await import(packageName);
  const model = await FlagEmbedding.init({
    model: EmbeddingModel.CUSTOM,
    modelAbsoluteDirPath: `${modelFolder}/all-MiniLM-L6-v2`,
    modelName: 'onnx/model.onnx',
    maxLength: 256,
  });
  return async (texts) => {
    for await (const _ of model.embed([...texts], 32));
  };
}

/**
 * Ours gets a corpus in one call, since it builds its batches itself; peers run in batches of 32 anyway, and slow ones
 * can stop sooner.
 */
function inCalls(texts: readonly string[]): readonly string[][] {
  const size = name.startsWith('ours') ? texts.length : 64;
  return Array.from({ length: Math.ceil(texts.length / size) }, (_, call) =>
    texts.slice(call * size, (call + 1) * size),
  );
}

/** Texts a second: the texts over and over for at least two seconds, after a warm-up; the median of three rounds. */
async function throughput(embed: EmbedAll, texts: readonly string[]): Promise<number> {
  const calls = inCalls(texts);
  await embed(texts.slice(0, 64));
  const rounds: number[] = [];
  for (let round = 0; round < 3; round++) {
    const started = performance.now();
    let count = 0;
    for (let call = 0; call === 0 || performance.now() - started < 2000; call++) {
      const part = calls[call % calls.length]!;
      await embed(part);
      count += part.length;
    }
    rounds.push((count * 1000) / (performance.now() - started));
  }
  return quantile(rounds, 0.5);
}

/** How long single queries take, and how late the event loop is, while a bulk job runs. */
async function underLoad(embed: EmbedAll, { short }: Corpus) {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  const latencies: number[] = [];
  let isRunning = true;
  const bulk = (async () => {
    for (let call = 0; isRunning; call++) await embed(inCalls(short)[call % inCalls(short).length]!);
  })();
  loop.enable();
  for (let query = 0; query < 60; query++) {
    await new Promise((resume) => setTimeout(resume, 20));
    const started = performance.now();
    await embed([short[query]!]);
    latencies.push(performance.now() - started);
    if (latencies.reduce((sum, value) => sum + value, 0) > 20_000) break;
  }
  loop.disable();
  isRunning = false;
  await bulk;
  return {
    queryP50: quantile(latencies, 0.5),
    queryP99: quantile(latencies, 0.99),
    loopDelayP999: loop.percentile(99.9) / 1e6,
  };
}

const loading = monitorEventLoopDelay({ resolution: 1 });
loading.enable();
const embed = await contenders[name]!();
await embed(['How do I reset my password?']);
const firstVector = performance.now();
loading.disable();
const result = {
  name,
  firstVector,
  loadDelayMax: loading.max / 1e6,
  short: await throughput(embed, corpus.short),
  mixed: await throughput(embed, corpus.mixed),
  long: await throughput(embed, corpus.long),
  ...(await underLoad(embed, corpus)),
  peakMemory: process.resourceUsage().maxRSS / 1024,
};
console.log(`RESULT ${JSON.stringify(result)}`);
process.exit(0);
