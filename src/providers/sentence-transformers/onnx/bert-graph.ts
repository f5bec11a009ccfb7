import { elementType, GraphBuilder } from './graph-builder.js';
import type { Chunks } from './protobuf.js';
import type { Safetensors } from './safetensors.js';

/** The fields of a BERT model's config.json that its graph depends on. */
export interface BertConfig {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly layerNormEpsilon: number;
}

/** @throws an Error that says which architecture came, unless it is a BERT encoder with absolute positions and the exact GELU. */
export function parseBertConfig(config: Readonly<Record<string, unknown>>): BertConfig {
  const { model_type: type, hidden_act: activation = 'gelu', position_embedding_type: positions = 'absolute' } = config;
  if (type !== 'bert' || activation !== 'gelu' || positions !== 'absolute') {
    throw new Error(
      `an ONNX graph can be built from safetensors for BERT encoders (model_type bert, hidden_act gelu, absolute positions), ` +
        `this model has ${String(type)}, ${String(activation)}, ${String(positions)}: it needs a folder with onnx/model.onnx`,
    );
  }
  const number = (name: string): number => {
    const value = config[name];
    if (typeof value !== 'number' || !(value > 0)) throw new Error(`config.json has no positive number ${name}`);
    return value;
  };
  const [hiddenSize, layers, heads] = [
    number('hidden_size'),
    number('num_hidden_layers'),
    number('num_attention_heads'),
  ];
  if (![layers, heads, hiddenSize / heads].every(Number.isInteger)) {
    throw new Error(`config.json has ${layers} layers with ${heads} heads for a hidden_size of ${hiddenSize}`);
  }
  return { hiddenSize, layers, heads, layerNormEpsilon: number('layer_norm_eps') };
}

/** A linear layer as a graph needs it: `output = input * weight + bias`. */
export interface LinearLayer {
  /** As its tensors are named in the checkpoint. */
  readonly name: string;
  /** Equal for layers with the same input. */
  readonly inputName: string;
  /** `inputSize` x `outputSize`, row by row. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly inputSize: number;
  readonly outputSize: number;
}

/** Adds a linear layer's nodes to the graph and returns the name of its result. */
export type AddLinear = (graph: GraphBuilder, input: string, layer: LinearLayer) => string;

export const addFloatLinear: AddLinear = (graph, input, { name, weight, bias, inputSize, outputSize }) => {
  const product = graph.node('MatMul', [input, graph.floats(`${name}.weight`, [inputSize, outputSize], weight)]);
  return graph.node('Add', [product, graph.floats(`${name}.bias`, [outputSize], bias)]);
};

export interface BertGraphOptions {
  /** What the graph computes in; its output is float32 in any case. @default 'float32' */
  readonly floatType?: 'float32' | 'float16';
  /** @default float32 products */
  readonly addLinear?: AddLinear;
  /**
   * Leaves out `attention_mask` and `token_type_ids`: a graph for runs of texts of one length.
   *
   * @default false
   */
  readonly isUnpadded?: boolean;
}

/** The lowest finite numbers: what a masked position's score becomes, as in transformers. */
const lowest = { float32: -3.4028234663852886e38, float16: -65504 } as const;

/**
 * A BERT encoder in the form that models have on the Hub: inputs `input_ids`, `attention_mask` and `token_type_ids` (`batch x sequence`,
 * int64), output `last_hidden_state` (`batch x sequence x hidden`, float32), with the standard operators of opset 20 only.
 */
export function buildBertGraph(weights: Safetensors, config: BertConfig, options: BertGraphOptions = {}): Chunks {
  const { addLinear = addFloatLinear, isUnpadded = false, floatType = 'float32' } = options;
  const graph = new GraphBuilder(floatType);
  const prefix = weights.names.some((name) => name.startsWith('bert.')) ? 'bert.' : '';
  const { hiddenSize, heads } = config;
  const headSize = hiddenSize / heads;

  const load = (name: string): string =>
    graph.floats(name, weights.shape(prefix + name), weights.float32(prefix + name));
  const layerNorm = (input: string, name: string): string =>
    graph.node('LayerNormalization', [input, load(`${name}.weight`), load(`${name}.bias`)], {
      attributes: { axis: -1, epsilon: { float: config.layerNormEpsilon } },
    });
  const linear = (input: string, name: string, inputName = name): string => {
    const [outputSize, inputSize] = weights.shape(`${prefix}${name}.weight`) as [number, number];
    const weight = transpose(weights.float32(`${prefix}${name}.weight`), outputSize, inputSize);
    const bias = weights.float32(`${prefix}${name}.bias`);
    return addLinear(graph, input, { name, inputName, weight, bias, inputSize, outputSize });
  };

  const inputIds = graph.input('input_ids', 'int64', ['batch', 'sequence']);
  const maskScores = isUnpadded ? undefined : addMaskScores(graph);
  const tokenTypeIds = isUnpadded
    ? graph.int64('first_type', [0])
    : graph.input('token_type_ids', 'int64', ['batch', 'sequence']);

  const sequenceLength = graph.node('Slice', [
    graph.node('Shape', [inputIds]),
    graph.int64('one', [1]),
    graph.int64('two', [2]),
  ]);
  const words = addWordVectors(graph, weights, `${prefix}embeddings.word_embeddings.weight`, inputIds);
  const types = graph.node('Gather', [load('embeddings.token_type_embeddings.weight'), tokenTypeIds]);
  const positionTable = load('embeddings.position_embeddings.weight');
  const positions = graph.node('Slice', [positionTable, graph.int64('zero', [0]), sequenceLength]);
  let hidden = layerNorm(graph.node('Add', [graph.node('Add', [words, types]), positions]), 'embeddings.LayerNorm');

  const splitShape = graph.int64('split_heads', [0, 0, heads, headSize]);
  const mergeShape = graph.int64('merge_heads', [0, 0, hiddenSize]);
  const scale = graph.scalar('scale', 1 / Math.sqrt(headSize));
  const splitHeads = (input: string, order: readonly number[]): string =>
    graph.node('Transpose', [graph.node('Reshape', [input, splitShape])], { attributes: { perm: order } });

  for (let layer = 0; layer < config.layers; layer++) {
    const name = `encoder.layer.${layer}`;
    const self = `${name}.attention.self`;
    const query = splitHeads(linear(hidden, `${self}.query`, self), [0, 2, 1, 3]);
    const key = splitHeads(linear(hidden, `${self}.key`, self), [0, 2, 3, 1]);
    const value = splitHeads(linear(hidden, `${self}.value`, self), [0, 2, 1, 3]);
    const scores = graph.node('Mul', [graph.node('MatMul', [query, key]), scale]);
    const masked = maskScores === undefined ? scores : graph.node('Add', [scores, maskScores]);
    const attention = graph.node('Softmax', [masked], { attributes: { axis: -1 } });
    const context = graph.node('Transpose', [graph.node('MatMul', [attention, value])], {
      attributes: { perm: [0, 2, 1, 3] },
    });
    const attended = linear(graph.node('Reshape', [context, mergeShape]), `${name}.attention.output.dense`);
    hidden = layerNorm(graph.node('Add', [attended, hidden]), `${name}.attention.output.LayerNorm`);
    const expanded = graph.node('Gelu', [linear(hidden, `${name}.intermediate.dense`)]);
    const contracted = linear(expanded, `${name}.output.dense`);
    hidden = layerNorm(graph.node('Add', [contracted, hidden]), `${name}.output.LayerNorm`);
  }
  graph.node('Cast', [hidden], { attributes: { to: elementType.float32 }, output: 'last_hidden_state' });
  graph.output('last_hidden_state', 'float32', ['batch', 'sequence', hiddenSize]);
  return graph.toModel(20);
}

/** The table of word vectors is half of a small model: it stays float16 where it came so, and only the rows looked up are widened. */
function addWordVectors(graph: GraphBuilder, weights: Safetensors, name: string, inputIds: string): string {
  const halves = weights.float16(name);
  if (halves === undefined) {
    return graph.node('Gather', [graph.floats(name, weights.shape(name), weights.float32(name)), inputIds]);
  }
  const rows = graph.node('Gather', [graph.tensor(name, 'float16', weights.shape(name), halves), inputIds]);
  return graph.floatType === 'float16' ? rows : graph.node('Cast', [rows], { attributes: { to: elementType.float32 } });
}

/** 0 for a token and the lowest number for padding, to be added to the attention scores: `batch x 1 x 1 x sequence`. */
function addMaskScores(graph: GraphBuilder): string {
  const attentionMask = graph.input('attention_mask', 'int64', ['batch', 'sequence']);
  const spread = graph.node('Unsqueeze', [attentionMask, graph.int64('mask_axes', [1, 2])]);
  const mask = graph.node('Cast', [spread], { attributes: { to: elementType[graph.floatType] } });
  const absent = graph.node('Sub', [graph.scalar('present', 1), mask]);
  return graph.node('Mul', [absent, graph.scalar('lowest', lowest[graph.floatType])]);
}

/** PyTorch keeps a linear layer as output x input, ONNX multiplies by input x output. */
function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const transposed = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) transposed[column * rows + row] = values[row * columns + column]!;
  }
  return transposed;
}
