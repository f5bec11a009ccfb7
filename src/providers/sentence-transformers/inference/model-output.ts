import type { ModelManifest } from '../model/model-manifest.js';
import { unusableModel } from '../model/unusable-model.js';
import { floatBitsOfHalf } from '../onnx/half-float.js';
import type { SessionLike, TensorLike } from './onnx-session.js';

/** In the order of preference: what is pooled here is pooled as the model's files say. */
const outputNames = ['last_hidden_state', 'token_embeddings', 'sentence_embedding'];

/** @throws an error with code `model_unavailable` where no output is known to hold embeddings. */
export function outputOf(session: SessionLike, manifest: ModelManifest): string {
  const name = outputNames.find((candidate) => session.outputNames.includes(candidate));
  if (name !== undefined) return name;
  throw unusableModel(
    manifest,
    `${manifest.modelFile} has the outputs ${session.outputNames.join(', ')}; one of ${outputNames.join(', ')} is wanted`,
  );
}

/**
 * The values of an output as float32.
 *
 * @param shape - Texts and tokens of the run.
 * @throws an error with code `model_unavailable` unless it has one vector a token, or one a text.
 */
export function outputValues(
  name: string,
  { type, data, dims }: TensorLike,
  [count, sequence]: readonly [number, number],
  manifest: ModelManifest,
): Float32Array {
  const { dimension } = manifest;
  const expected = dims.length === 2 ? [count, dimension] : [count, sequence, dimension];
  if (dims.join() !== expected.join()) {
    throw unusableModel(
      manifest,
      `its output ${name} has the shape ${dims.join(' x ')}, expected ${expected.join(' x ')}`,
    );
  }
  if (type === 'float32') return data as Float32Array;
  if (type === 'float16') return widened(data as Uint16Array);
  throw unusableModel(manifest, `its output ${name} is ${type}, expected float32 or float16`);
}

/** The value of each binary16 number. */
let floats: Float32Array | undefined;

/** @param halves - Their bits; newer versions of Node have an array of their own for them. */
function widened(halves: Uint16Array): Float32Array {
  floats ??= new Float32Array(Uint32Array.from({ length: 65_536 }, (_, half) => floatBitsOfHalf(half)).buffer);
  const table = floats;
  const bits = new Uint16Array(halves.buffer, halves.byteOffset, halves.length);
  return Float32Array.from(bits, (half) => table[half]!);
}
