import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Dtype, modelFileNames } from '../onnx/dtype.js';

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
