import { type AddLinear, addFloatLinear } from './bert-graph.js';
import type { GraphBuilder } from './graph-builder.js';

/** How the input of a linear layer becomes 8-bit integers; measured once over calibration texts. */
export interface Int8InputScales {
  /** The lowest and highest value after smoothing; what lies outside is cut. */
  readonly low: number;
  readonly high: number;
  /**
   * SmoothQuant's factor of each channel, as base64 of bytes on a logarithmic scale: 2^((byte - 128) / 16). The channel is divided by it
   * and the weights are multiplied by it, so that outliers move from the activations, which share one scale, to the weights, which have
   * one scale an output. https://arxiv.org/abs/2211.10438
   */
  readonly smoothing: string;
}

/** By the `inputName` of the layers; `float32` for layers that lose too much in 8 bits. */
export type Int8Scales = Readonly<Record<string, Int8InputScales | 'float32'>>;

/** 2^(k/16), written out: `Math.pow` may differ in the last bit between machines, and with it a rounded weight. */
const sixteenths = [
  1,
  1.0442737824274138,
  1.0905077326652577,
  1.1387886347566916,
  1.189207115002721,
  1.241857812073484,
  1.2968395546510096,
  1.3542555469368927,
  Math.SQRT2,
  1.4768261459394993,
  1.5422108254079407,
  1.6104903319492543,
  1.681792830507429,
  1.7562521603732995,
  1.8340080864093424,
  1.9152065613971472,
] as const;

export function decodeSmoothing(base64: string): Float32Array {
  return Float32Array.from(Buffer.from(base64, 'base64'), (byte) => {
    const exponent = byte - 128;
    return sixteenths[((exponent % 16) + 16) % 16]! * 2 ** Math.floor(exponent / 16);
  });
}

export function encodeSmoothing(factors: ArrayLike<number>): string {
  const bytes = Array.from(factors, (factor) => Math.max(0, Math.min(255, Math.round(Math.log2(factor) * 16) + 128)));
  return Buffer.from(bytes).toString('base64');
}

/**
 * 8-bit products with static activation scales and one weight scale an output. Every row is computed by itself and integers add exactly, so
 * a text's vector does not depend on what else is in the run, as it does with dynamic scales, which span the run.
 */
export function int8Linear(scales: Int8Scales): AddLinear {
  const quantizedInputs = new Map<string, QuantizedInput>();
  return (graph, input, layer) => {
    const { name, inputName, weight, bias, inputSize, outputSize } = layer;
    const inputScales = scales[inputName];
    if (inputScales === 'float32') return addFloatLinear(graph, input, layer);
    if (inputScales === undefined) throw new Error(`there are no int8 scales for ${inputName}`);
    const smoothing = decodeSmoothing(inputScales.smoothing);
    let quantized = quantizedInputs.get(inputName);
    if (quantized === undefined) {
      quantized = quantizeInput(graph, input, inputName, inputScales, smoothing);
      quantizedInputs.set(inputName, quantized);
    }
    const { values, scales: weightScales } = quantizeWeights(weight, smoothing, inputSize, outputSize);
    return graph.node(
      'MatMulIntegerToFloat',
      [
        quantized.values,
        graph.tensor(`${name}.weight`, 'int8', [inputSize, outputSize], values),
        quantized.scale,
        graph.floats(`${name}.weight_scale`, [outputSize], weightScales),
        quantized.zeroPoint,
        graph.tensor(`${name}.weight_zero_point`, 'int8', [outputSize], new Int8Array(outputSize)),
        graph.floats(`${name}.bias`, [outputSize], bias),
      ],
      { domain: 'com.microsoft' },
    );
  };
}

interface QuantizedInput {
  readonly values: string;
  readonly scale: string;
  readonly zeroPoint: string;
}

function quantizeInput(
  graph: GraphBuilder,
  input: string,
  name: string,
  { low, high }: Int8InputScales,
  smoothing: Float32Array,
): QuantizedInput {
  const step = (high - low) / 255;
  const scale = graph.scalar(`${name}.scale`, step);
  const zeroPoint = graph.tensor(`${name}.zero_point`, 'uint8', [], Uint8Array.of(Math.round(-low / step)));
  const inverse = graph.floats(
    `${name}.smoothing`,
    [smoothing.length],
    smoothing.map((factor) => 1 / factor),
  );
  const values = graph.node('QuantizeLinear', [graph.node('Mul', [input, inverse]), scale, zeroPoint]);
  return { values, scale, zeroPoint };
}

/**
 * Symmetric, one scale a column, of the smoothed weights.
 *
 * CPUs without VNNI multiply pairs of neighbours, add both products in 16 bits and cut off what lies beyond 32,767, as 255 x (127 + 127) does: 0.002 of
 * cosine were lost there. So the scale is chosen such that no two neighbours of one sign add up to more than 128, which costs 0.0001 of cosine and makes
 * the products exact, and so the same, on every CPU.
 *
 * @param weight - `rows` x `columns`, row by row.
 */
export function quantizeWeights(weight: Float32Array, smoothing: Float32Array, rows: number, columns: number) {
  const smoothed = new Float32Array(weight.length);
  const scales = new Float32Array(columns);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const index = row * columns + column;
      const value = weight[index]! * smoothing[row]!;
      smoothed[index] = value;
      const neighbour = row % 2 === 1 ? smoothed[index - columns]! : 0;
      const size = Math.abs(value * neighbour > 0 ? value + neighbour : value) / 127;
      if (size > scales[column]!) scales[column] = size;
    }
  }
  const values = new Int8Array(weight.length);
  // Rounding adds half to each of the two at most: 127 becomes 128.
  for (let index = 0; index < values.length; index++) {
    values[index] = Math.round(smoothed[index]! / (scales[index % columns]! || 1));
  }
  return { values, scales };
}
