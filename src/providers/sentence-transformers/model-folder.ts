import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest, Pooling } from './model-manifest.js';

type Json = Readonly<Record<string, unknown>>;

/** What a folder in the layout of sentence-transformers says about its model: everything but the weights. */
export type ModelDescription = Pick<
  ModelManifest,
  'dimension' | 'pooling' | 'poolsPrompt' | 'isNormalized' | 'maxTokens' | 'padTokenId' | 'prompts' | 'tokenizerFile'
>;

/**
 * Reads `modules.json`, `1_Pooling/config.json`, `sentence_bert_config.json`, `config_sentence_transformers.json` and `config.json` as
 * Python's sentence-transformers does. A folder without `modules.json` is pooled by mean and not normalised, also as there.
 *
 * @throws an Error that names the file and what is wrong with it.
 */
export async function describeModelFolder(folder: string): Promise<ModelDescription> {
  const config = await readJson(folder, 'config.json');
  if (config === undefined) throw new Error('config.json is missing');
  const tokenizerFile = join(folder, 'tokenizer.json');
  if (!existsSync(tokenizerFile)) throw new Error('tokenizer.json is missing');
  const modules = readModules(await readJson(folder, 'modules.json'));
  const pooling = await readJson(folder, `${modules.poolingPath}/config.json`);
  const dimension = config.hidden_size ?? config.dim ?? config.d_model;
  if (typeof dimension !== 'number') throw new Error('config.json has no hidden_size');
  return {
    dimension,
    pooling: poolingMode(pooling),
    poolsPrompt: pooling?.include_prompt !== false,
    isNormalized: modules.isNormalized,
    maxTokens: maxTokens(
      config,
      (await readJson(folder, 'sentence_bert_config.json'))?.max_seq_length ??
        (await readJson(folder, 'tokenizer_config.json'))?.model_max_length,
    ),
    padTokenId: typeof config.pad_token_id === 'number' ? config.pad_token_id : 0,
    prompts: prompts(await readJson(folder, 'config_sentence_transformers.json')),
    tokenizerFile,
  };
}

async function readJson(folder: string, name: string): Promise<Json | undefined> {
  const file = join(folder, name);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Json;
  } catch (cause) {
    throw new Error(`${name} is not JSON`, { cause });
  }
}

function readModules(modules: unknown): { readonly poolingPath: string; readonly isNormalized: boolean } {
  let poolingPath = '1_Pooling';
  let isNormalized = false;
  for (const module of Array.isArray(modules) ? (modules as Json[]) : []) {
    const type = String(module.type).split('.').at(-1);
    if (type === 'Pooling') poolingPath = String(module.path);
    else if (type === 'Normalize') isNormalized = true;
    else if (type !== 'Transformer') throw new Error(`modules.json has a module ${type}, which is not supported`);
  }
  return { poolingPath, isNormalized };
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

/** `pooling_mode: "mean"` in newer files, `pooling_mode_mean_tokens: true` in older ones. */
function poolingMode(config: Json | undefined): Pooling {
  if (config === undefined) return 'mean';
  const flags = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const wanted = typeof config.pooling_mode === 'string' ? [config.pooling_mode] : flags;
  const known = wanted.map((name) => poolingModes[name]);
  if (known.length !== 1 || known[0] === undefined) {
    throw new Error(
      `the pooling ${wanted.join(' with ') || 'of no kind'} is not supported, one of mean, cls, max, last token is`,
    );
  }
  return known[0];
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
  const named = (config?.prompts ?? {}) as Json;
  const fallback = named[String(config?.default_prompt_name)];
  const first = (...names: string[]): string =>
    String(names.map((name) => named[name]).find((prompt) => typeof prompt === 'string') ?? fallback ?? '');
  const query = first('query');
  const document = first('document', 'passage', 'corpus');
  return query === '' && document === '' ? null : { query, document };
}
