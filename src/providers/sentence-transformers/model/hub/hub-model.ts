import { AiProviderError } from '../../../../errors.js';
import type { Dtype } from '../../dtype.js';
import type { CachedModel, ModelCache } from '../model-cache.js';
import { chooseWeights, modelFileNames } from '../model-files.js';
import { readJson } from '../model-folder.js';
import { readModules } from '../model-modules.js';
import { downloadFromHub } from './hub-download.js';
import { type HubModelRequest, isCommit } from './hub-model-request.js';
import { requestFromHub, stallTimeoutMs } from './hub-request.js';
import type { DownloadProgress, HubSettings } from './hub-settings.js';
import { sharedSnapshot } from './shared-cache.js';

/** What describes a model, besides its pooling; those that a repository lacks are left out. */
const descriptionFiles = [
  'modules.json',
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
] as const;

/**
 * The model from the cache, or else from Python's cache, or else from the Hub into the cache. The commit behind a branch is looked up once
 * and kept, so that vectors made next month can be compared with today's.
 */
export async function hubModel(
  cache: ModelCache,
  request: HubModelRequest,
  settings: HubSettings,
  onProgress: (progress: DownloadProgress) => void,
): Promise<CachedModel> {
  const { hubId, revision, dtype } = request;
  const pinned = isCommit(revision) ? revision : await cache.readReference(hubId, revision);
  const cached = pinned === undefined ? undefined : await cache.find(hubId, cacheKey(pinned, dtype));
  if (cached !== undefined) return cached;
  const wanted = { ...request, revision: pinned ?? revision };
  const { sharedCacheFolder } = settings;
  const snapshot = sharedCacheFolder === undefined ? undefined : await sharedSnapshot(sharedCacheFolder, wanted);
  if (snapshot !== undefined) {
    // A cache that cannot be written keeps no pin; the snapshot can be used all the same.
    if (pinned === undefined) await cache.writeReference(hubId, revision, snapshot.commit).catch(() => {});
    return { folder: snapshot.folder, checksums: {} };
  }
  if (settings.isOffline) throw unavailable('it is not on this machine and the Hub may not be asked (offline)');
  const repository = await describeRepository(wanted, settings);
  const { commit } = repository;
  const model = await cache.add(hubId, cacheKey(commit, dtype), async (folder) => {
    await downloadModel(repository, dtype, folder, (name) =>
      downloadFromHub({ model: hubId, commit, name }, folder, cache.downloadFolder, settings, onProgress),
    );
  });
  if (!isCommit(revision)) await cache.writeReference(hubId, revision, commit);
  return model;
}

function cacheKey(commit: string, dtype: Dtype): string {
  return `${commit}-${dtype}`;
}

interface Repository {
  readonly commit: string;
  readonly files: readonly string[];
}

async function describeRepository({ hubId, revision }: HubModelRequest, settings: HubSettings): Promise<Repository> {
  const path = `api/models/${hubId}/revision/${encodeURIComponent(revision)}`;
  const { response } = await requestFromHub(path, settings, { signal: AbortSignal.timeout(stallTimeoutMs) });
  const unexpected = 'the Hub did not describe the model as expected';
  const answer = await response.json().catch((cause: unknown) => {
    throw unavailable(unexpected, { isRetryable: !(cause instanceof SyntaxError), cause });
  });
  const { sha, siblings } = Object(answer) as { readonly sha?: unknown; readonly siblings?: unknown };
  if (typeof sha !== 'string' || !isCommit(sha) || !Array.isArray(siblings)) throw unavailable(unexpected);
  return { commit: sha, files: siblings.map((file: { rfilename?: unknown } | null) => String(file?.rfilename)) };
}

/** The description, and one form of the weights last: what is not supported is found out before a large file is loaded. */
async function downloadModel(
  { files }: Repository,
  dtype: Dtype,
  folder: string,
  download: (name: string) => Promise<void>,
): Promise<void> {
  const weights = chooseWeights(files, dtype);
  if (weights === undefined) {
    throw unavailable(`its repository has neither ${modelFileNames[dtype].join(' nor ')} nor model.safetensors`);
  }
  // Not every mirror gives a checksum, and a page that says "log in" would be kept for ever.
  const downloadJson = async (name: string): Promise<void> => {
    await download(name);
    await readJson(folder, name).catch((cause: unknown) => {
      throw unavailable(`what the Hub sent as ${name} is not JSON`, { isRetryable: true, cause });
    });
  };
  for (const name of descriptionFiles) if (files.includes(name)) await downloadJson(name);
  const { poolingConfig, isPoolingNamed } = readModules(await readJson(folder, 'modules.json'));
  if (files.includes(poolingConfig)) await downloadJson(poolingConfig);
  else if (isPoolingNamed) throw new Error(`its repository has no ${poolingConfig}, which modules.json names`);
  for (const name of weights) await download(name);
}

function unavailable(reason: string, details: { isRetryable?: boolean; cause?: unknown } = {}): AiProviderError {
  return new AiProviderError(reason, { code: 'model_unavailable', ...details });
}
