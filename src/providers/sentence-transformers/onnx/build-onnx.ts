import { mkdir, open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BertGraphOptions, buildBertGraph, parseBertConfig } from './bert-graph.js';
import { type Dtype, modelFileNames } from './dtype.js';
import { int8Linear } from './int8-linear.js';
import { int8ScalesOf } from './int8-scales-of-weights.js';
import { byteLength, type Chunks } from './protobuf.js';
import { Safetensors } from './safetensors.js';

export interface BuildOnnxOptions {
  readonly weightsFile: string;
  readonly configFile: string;
  /** The SHA-256 of the weights file. */
  readonly sha256: string;
  readonly dtype: Dtype;
}

/**
 * Builds a model's ONNX file from safetensors into `folder`, under its usual name.
 *
 * @throws an Error that says why it cannot be built: another architecture than BERT, or a format that there are no scales for.
 */
export async function buildOnnx(folder: string, options: BuildOnnxOptions): Promise<void> {
  const config = parseBertConfig(JSON.parse(await readFile(options.configFile, 'utf8')) as Record<string, unknown>);
  const form = graphOptions(options);
  const file = join(folder, modelFileNames[options.dtype][0]!);
  await mkdir(dirname(file), { recursive: true });
  await writeChunks(file, buildBertGraph(await Safetensors.read(options.weightsFile), config, form));
}

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
