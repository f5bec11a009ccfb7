import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest, Pooling } from './model-manifest.js';
import { readModules } from './model-modules.js';

type Json = Readonly<Record<string, unknown>>;

/** What a folder in the layout of sentence-transformers says about its model: everything but the weights. */
export type ModelDescription = Pick<
  ModelManifest,
  'dimension' | 'pooling' | 'poolsPrompt' | 'isNormalized' | 'maxTokens' | 'padTokenId' | 'prompts' | 'tokenizerFile'
>;

/**
 * Reads `modules.json`, the pooling's `config.json`, `sentence_bert_config.json`, `config_sentence_transformers.json` and `config.json` as
 * Python's sentence-transformers does. A folder without `modules.json` is pooled by mean and not normalised, also as there.
 *
 * @throws an Error that names the file and what is wrong with it.
 */
export async function describeModelFolder(folder: string): Promise<ModelDescription> {
  const config = await readObject(folder, 'config.json');
  if (config === undefined) throw new Error('config.json is missing');
  const tokenizerFile = join(folder, 'tokenizer.json');
  if (!existsSync(tokenizerFile)) throw new Error('tokenizer.json is missing');
  const { poolingConfig, isPoolingNamed, isNormalized } = readModules(await readJson(folder, 'modules.json'));
  const pooling = await readObject(folder, poolingConfig);
  if (pooling === undefined && isPoolingNamed) throw new Error(`${poolingConfig} is missing, which modules.json names`);
  const transformer = await readObject(folder, 'sentence_bert_config.json');
  if (transformer?.do_lower_case === true) await requireLowercase(folder);
  return {
    dimension: dimension(config),
    pooling: poolingMode(pooling, poolingConfig),
    poolsPrompt: pooling?.include_prompt !== false,
    isNormalized,
    maxTokens: maxTokens(
      config,
      transformer?.max_seq_length ?? (await readObject(folder, 'tokenizer_config.json'))?.model_max_length,
    ),
    padTokenId: typeof config.pad_token_id === 'number' ? config.pad_token_id : 0,
    prompts: prompts(await readObject(folder, 'config_sentence_transformers.json')),
    tokenizerFile,
  };
}

/** @returns undefined where the folder has no such file. @throws an Error that names the file unless it is JSON. */
export async function readJson(folder: string, name: string): Promise<unknown> {
  const file = join(folder, name);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new Error(`${name} is not JSON`, { cause });
  }
}

async function readObject(folder: string, name: string): Promise<Json | undefined> {
  const value = await readJson(folder, name);
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${name} is not an object`);
  return value as Json;
}

/** Python lowers each text where `do_lower_case` is set. Nothing is left to do where the tokenizer does it as well. */
async function requireLowercase(folder: string): Promise<void> {
  const { normalizer } = (await readObject(folder, 'tokenizer.json')) as { normalizer?: Normalizer | null };
  if (lowers(normalizer)) return;
  throw new Error('sentence_bert_config.json has do_lower_case, which is supported where tokenizer.json does it too');
}

interface Normalizer {
  readonly type?: string;
  readonly lowercase?: boolean;
  readonly normalizers?: readonly Normalizer[];
}

function lowers(normalizer: Normalizer | null | undefined): boolean {
  if (normalizer?.type === 'Sequence') return normalizer.normalizers?.some(lowers) ?? false;
  return normalizer?.type === 'Lowercase' || (normalizer?.type === 'BertNormalizer' && normalizer.lowercase !== false);
}

function dimension(config: Json): number {
  const size = config.hidden_size ?? config.dim ?? config.d_model;
  if (typeof size !== 'number') throw new Error('config.json has no hidden_size');
  if (!Number.isSafeInteger(size) || size < 1) throw new Error(`config.json has the hidden_size ${size}`);
  return size;
}

const poolingModes: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_cls_token: 'cls',
  pooling_mode_max_tokens: 'max',
  pooling_mode_lasttoken: 'last_token',
  mean: 'mean',
  cls: 'cls',
  max: 'max',
  lasttoken: 'last_token',
};

/** `pooling_mode: "mean"` or `["mean"]` in newer files, `pooling_mode_mean_tokens: true` in older ones. */
function poolingMode(config: Json | undefined, file: string): Pooling {
  if (config === undefined) return 'mean';
  const flags = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const wanted = (config.pooling_mode ?? null) === null ? flags : [config.pooling_mode].flat().map(String);
  const [name = ''] = wanted;
  if (wanted.length === 1 && Object.hasOwn(poolingModes, name)) return poolingModes[name]!;
  throw new Error(
    `${file} asks for the pooling ${wanted.join(' with ') || 'of no kind'}, which is not supported: one of mean, cls, max, last token is`,
  );
}

/** @param wanted - The sequence length that the model's files ask for. */
function maxTokens(config: Json, wanted: unknown): number {
  const { max_position_embeddings: positions, model_type: type, pad_token_id: padTokenId } = config;
  // RoBERTa counts positions from the padding id on: 514 embeddings are 512 positions.
  const offset = /roberta|mpnet|camembert/.test(String(type)) ? Number(padTokenId ?? 1) + 1 : 0;
  const limits = [wanted, typeof positions === 'number' ? positions - offset : undefined];
  const known = limits.filter((limit) => typeof limit === 'number' && limit > 2) as number[];
  return known.length > 0 ? Math.min(...known) : 512;
}

function prompts(config: Json | undefined): ModelManifest['prompts'] {
  const named = new Map(Object.entries((config?.prompts ?? {}) as Json));
  const fallback = named.get(String(config?.default_prompt_name));
  const first = (...names: string[]): string =>
    [...names.map((name) => named.get(name)), fallback].find((prompt) => typeof prompt === 'string') ?? '';
  const query = first('query');
  const document = first('document', 'passage', 'corpus');
  return query === '' && document === '' ? null : { query, document };
}
