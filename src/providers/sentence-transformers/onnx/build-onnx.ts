import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { BuildOnnx, BuildOnnxOptions } from '../model/model-files.js';
import { type BertGraphOptions, buildBertGraph, parseBertConfig } from './bert-graph.js';
import { int8Linear } from './int8-linear.js';
import { int8ScalesOf } from './int8-scales-of-weights.js';
import { byteLength, type Chunks } from './protobuf.js';
import { Safetensors } from './safetensors.js';

/**
 * Builds a model's ONNX file from safetensors into `file`.
 *
 * @throws an Error that says why it cannot be built: another architecture than BERT, or a format that there are no scales for.
 */
export const buildOnnx: BuildOnnx = async (file, options) => {
  const config = parseBertConfig(JSON.parse(await readFile(options.configFile, 'utf8')) as Record<string, unknown>);
  const form = graphOptions(options);
  await mkdir(dirname(file), { recursive: true });
  await writeChunks(file, buildBertGraph(await Safetensors.read(options.weightsFile), config, form));
};

function graphOptions({ dtype, sha256 }: BuildOnnxOptions): BertGraphOptions {
  if (dtype === 'fp32') return {};
  if (dtype === 'fp16') return { floatType: 'float16' };
  return { addLinear: int8Linear(int8ScalesOf(sha256)), isUnpadded: true };
}

async function writeChunks(file: string, chunks: Chunks): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    const { bytesWritten } = await handle.writev(chunks as Uint8Array[]);
    // A full disk takes what it can before it says that it is full.
    if (bytesWritten !== byteLength(chunks)) {
      throw Object.assign(new Error(`only ${bytesWritten} bytes of ${file} could be written`), { code: 'ENOSPC' });
    }
  } finally {
    await handle.close();
  }
}
