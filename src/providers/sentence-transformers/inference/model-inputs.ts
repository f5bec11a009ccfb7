import type { ModelManifest } from '../model/model-manifest.js';
import { unusableModel } from '../model/unusable-model.js';
import type { SessionLike } from './onnx-session.js';

const inputNames = ['input_ids', 'attention_mask', 'token_type_ids', 'position_ids'] as const;
export type InputName = (typeof inputNames)[number];

/** Texts of one run, padded to the longest. */
export interface PaddedTexts {
  /** The texts' token ids, one text after the other and without padding. */
  readonly tokenIds: Int32Array;
  readonly lengths: Int32Array;
  readonly sequence: number;
  readonly padTokenId: number;
}

/** @throws an error with code `model_unavailable` that names an input which cannot be given: its values would have to be guessed. */
export function inputsOf(session: SessionLike, manifest: ModelManifest): readonly InputName[] {
  for (const { name, type } of session.inputMetadata) {
    if (!inputNames.includes(name as InputName)) {
      throw unusableModel(manifest, `${manifest.modelFile} has an input ${name}; known are ${inputNames.join(', ')}`);
    }
    if (type !== 'int64') {
      throw unusableModel(manifest, `the input ${name} of ${manifest.modelFile} is ${type}, expected int64`);
    }
  }
  const names = session.inputMetadata.map(({ name }) => name as InputName);
  if (!names.includes('input_ids')) throw unusableModel(manifest, `${manifest.modelFile} has no input input_ids`);
  return names;
}

/** `lengths.length` x `sequence` values. */
export function inputValues(name: InputName, texts: PaddedTexts): BigInt64Array {
  const { tokenIds, lengths, sequence, padTokenId } = texts;
  const values = new BigInt64Array(lengths.length * sequence);
  if (name === 'token_type_ids') return values;
  // The low words of little-endian 64-bit integers: twenty times as fast as making BigInts.
  const words = new Int32Array(values.buffer);
  let from = 0;
  for (let row = 0; row < lengths.length; row++) {
    const length = lengths[row]!;
    for (let column = 0; column < sequence; column++) {
      const isPadding = column >= length;
      const word = 2 * (row * sequence + column);
      if (name === 'attention_mask') words[word] = isPadding ? 0 : 1;
      else if (name === 'position_ids') words[word] = column;
      else words[word] = isPadding ? padTokenId : tokenIds[from + column]!;
    }
    from += length;
  }
  return values;
}
