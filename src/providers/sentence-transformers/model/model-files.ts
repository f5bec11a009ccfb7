import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dtype } from '../dtype.js';

/**
 * Under which names a format lies in a model's folder, in the order of preference: as the exporters of optimum and sentence-transformers write them, of
 * several for one format the one for this kind of processor first.
 */
export const modelFileNames: Readonly<Record<Dtype, readonly string[]>> = {
  fp32: ['onnx/model.onnx', 'model.onnx', 'onnx/model_O2.onnx', 'onnx/model_O3.onnx', 'onnx/model_O1.onnx'],
  int8: int8Names(process.arch),
  fp16: ['onnx/model_fp16.onnx', 'onnx/model_O4.onnx'],
};

/** @param arch - As `process.arch` has it. */
function int8Names(arch: string): readonly string[] {
  const arm = ['onnx/model_qint8_arm64.onnx'];
  const intel = ['onnx/model_qint8_avx512_vnni.onnx', 'onnx/model_qint8_avx512.onnx', 'onnx/model_quint8_avx2.onnx'];
  const any = ['onnx/model_int8.onnx', 'onnx/model_quantized.onnx', 'onnx/model_uint8.onnx'];
  // Any of them runs on any processor, only slower.
  return [...any.slice(0, 2), ...(arch === 'arm64' ? [...arm, ...intel] : [...intel, ...arm]), ...any.slice(2)];
}

/**
 * A path that a model's repository or one of its files names, such as `1_Pooling/config.json`.
 *
 * @throws an Error unless it stays inside of the model's folder: whoever runs a Hub could otherwise write any file of this machine.
 */
export function requirePathInside(path: string): string {
  if (!/^\/|\\|\0|(^|\/)\.\.(\/|$)/.test(path)) return path;
  throw new Error(`the path ${JSON.stringify(path)} leads out of the model's folder`);
}

/**
 * The files that hold a model's weights: ready-made ONNX with the data beside it, or safetensors to build ONNX from.
 *
 * @param files - Paths in the model's folder, with forward slashes.
 * @returns undefined where there are none; the file that the others belong to comes first.
 */
export function chooseWeights(files: readonly string[], dtype: Dtype): readonly string[] | undefined {
  const ready = modelFileNames[dtype].find((name) => files.includes(name));
  // Weights of more than 2 GB lie beside the graph, in one file or several.
  if (ready !== undefined) return [ready, ...files.filter((name) => isDataOf(ready, name)).sort()];
  return files.includes('model.safetensors') ? ['model.safetensors'] : undefined;
}

function isDataOf(modelFile: string, name: string): boolean {
  return name.startsWith(modelFile) && /^(_data(_\d+)?|\.data)$/.test(name.slice(modelFile.length));
}

/** What {@link chooseWeights} chooses from, of a folder on disk. */
export async function listWeights(folder: string): Promise<readonly string[]> {
  const namesIn = (path: string): Promise<string[]> => readdir(join(folder, path)).catch(() => []);
  const [top, onnx] = await Promise.all([namesIn(''), namesIn('onnx')]);
  return [...top, ...onnx.map((name) => `onnx/${name}`)];
}

/**
 * The names of the files that an ONNX graph keeps its weights in, next to itself. A graph names them in entries with the key `location`
 * (onnx.proto, `TensorProto.external_data`); they are looked for as bytes, since a graph may keep tensors in many places.
 */
export async function externalDataOf(modelFile: string): Promise<readonly string[]> {
  const names = new Set<string>();
  let carried = Buffer.alloc(0);
  for await (const chunk of createReadStream(modelFile, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.concat([carried, chunk as Buffer]);
    for (let at = bytes.indexOf(locationKey); at >= 0; at = bytes.indexOf(locationKey, at + 1)) {
      const name = locationAt(bytes, at + locationKey.length);
      if (name !== undefined) names.add(name);
    }
    // An entry may lie across two chunks.
    carried = bytes.subarray(-(locationKey.length + longestLocation + 2));
  }
  return [...names].sort();
}

/** The field `key` of a `StringStringEntryProto`, and the tag of the field `value` after it. */
const locationKey = Buffer.from('\x0a\x08location\x12', 'latin1');
const longestLocation = 1000;

function locationAt(bytes: Buffer, start: number): string | undefined {
  let [length, at] = [0, start];
  for (let shift = 0; shift <= 14; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) return undefined;
    length |= (byte & 127) << shift;
    if (byte < 128) break;
  }
  if (length === 0 || length > longestLocation || at + length > bytes.length) return undefined;
  return bytes.toString('utf8', at, at + length).replace(/^\.\//, '');
}

export interface BuildOnnxOptions {
  readonly weightsFile: string;
  readonly configFile: string;
  /** The SHA-256 of the weights file. */
  readonly sha256: string;
  readonly dtype: Dtype;
}

/** Builds a model's ONNX file from its weights; see onnx/build-onnx.ts. */
export type BuildOnnx = (file: string, options: BuildOnnxOptions) => Promise<void>;
