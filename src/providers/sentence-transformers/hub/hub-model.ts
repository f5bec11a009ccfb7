import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AiProviderError } from '../../../errors.js';
import { type Dtype, modelFileNames } from '../dtype.js';
import type { CachedModel, ModelCache } from '../model-cache.js';
import { downloadFromHub } from './hub-download.js';
import { requestFromHub, stallTimeoutMs } from './hub-request.js';
import type { DownloadProgress, HubSettings } from './hub-settings.js';

/** What describes a model; those that a repository lacks are left out. */
const descriptionFiles = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'modules.json',
  '1_Pooling/config.json',
  'sentence_bert_config.json',
  'config_sentence_transformers.json',
] as const;

export interface HubModelRequest {
  readonly hubId: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  readonly dtype: Dtype;
}

/** The model from the cache, or else from the Hub into the cache. The commit behind a branch is looked up once and kept. */
export async function hubModel(
  cache: ModelCache,
  { hubId, revision, dtype }: HubModelRequest,
  settings: HubSettings,
  onProgress: (progress: DownloadProgress) => void,
): Promise<CachedModel> {
  const known = isCommit(revision) ? revision : await cache.readReference(hubId, revision);
  if (known !== undefined) {
    const cached = await cache.find(hubId, cacheKey(known, dtype));
    if (cached !== undefined) return cached;
  }
  if (settings.isOffline)
    throw new AiProviderError('it is not on this machine and the Hub may not be asked (offline)', {
      code: 'model_unavailable',
    });
  const { commit, files } = await describeRepository(hubId, known ?? revision, settings);
  const wanted = chooseFiles(files, dtype);
  const model = await cache.add(hubId, cacheKey(commit, dtype), async (folder) => {
    for (const name of wanted) {
      const file = { model: hubId, commit, name };
      await downloadFromHub(file, join(folder, name), cache.downloadFolder, settings, onProgress);
    }
  });
  if (!isCommit(revision)) await cache.writeReference(hubId, revision, commit);
  return model;
}

function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

function cacheKey(commit: string, dtype: Dtype): string {
  return `${commit}-${dtype}`;
}

async function describeRepository(hubId: string, revision: string, settings: HubSettings) {
  const path = `api/models/${hubId}/revision/${encodeURIComponent(revision)}`;
  const { response } = await requestFromHub(path, settings, { signal: AbortSignal.timeout(stallTimeoutMs) });
  const answer = (await response.json()) as { sha?: unknown; siblings?: { rfilename?: unknown }[] };
  const files = answer.siblings?.map(({ rfilename }) => String(rfilename));
  if (typeof answer.sha !== 'string' || !isCommit(answer.sha) || files === undefined) {
    throw new AiProviderError('the Hub did not describe the model as expected', { code: 'model_unavailable' });
  }
  return { commit: answer.sha, files };
}

/** The description and one form of the weights: ready-made ONNX, or safetensors to build it from. */
function chooseFiles(files: readonly string[], dtype: Dtype): string[] {
  const described = descriptionFiles.filter((name) => files.includes(name));
  const ready = modelFileNames[dtype].find((name) => files.includes(name));
  if (ready !== undefined) {
    // Weights of more than 2 GB lie beside the graph.
    const beside = files.filter((name) => name.startsWith(`${ready}_data`) || name === `${ready}.data`);
    return [...described, ready, ...beside];
  }
  if (files.includes('model.safetensors')) return [...described, 'model.safetensors'];
  throw new AiProviderError(`its repository has neither ${modelFileNames[dtype].join(' nor ')} nor model.safetensors`, {
    code: 'model_unavailable',
  });
}

/** The snapshot in a cache of Python's huggingface_hub, which is only read. */
export async function sharedSnapshot(folder: string, hubId: string, revision: string): Promise<string | undefined> {
  const repository = join(folder, `models--${hubId.replaceAll('/', '--')}`);
  const commit = isCommit(revision)
    ? revision
    : await readFile(join(repository, 'refs', revision), 'utf8').catch(() => undefined);
  if (commit === undefined) return undefined;
  const snapshot = join(repository, 'snapshots', commit.trim());
  return existsSync(join(snapshot, 'config.json')) ? snapshot : undefined;
}
