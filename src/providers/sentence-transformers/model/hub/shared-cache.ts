import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chooseWeights, listWeights } from '../model-files.js';
import { readJson } from '../model-folder.js';
import { readModules } from '../model-modules.js';
import { type HubModelRequest, isCommit } from './hub-model-request.js';

/** A model in a cache of Python's huggingface_hub. */
export interface SharedSnapshot {
  readonly commit: string;
  readonly folder: string;
}

/**
 * The model in a cache of Python's huggingface_hub, which is only read. Others fill that cache, each with the files that it needs: a snapshot
 * without the files that say how to pool would give other vectors, so that one counts as absent.
 */
export async function sharedSnapshot(
  cacheFolder: string,
  { hubId, revision, dtype }: HubModelRequest,
): Promise<SharedSnapshot | undefined> {
  const repository = join(cacheFolder, `models--${hubId.replaceAll('/', '--')}`);
  const commit = isCommit(revision) ? revision : await readReference(join(repository, 'refs', revision));
  if (commit === undefined) return undefined;
  const folder = join(repository, 'snapshots', commit);
  const isThere = (name: string): boolean => existsSync(join(folder, name));
  const hasWeights = chooseWeights(await listWeights(folder), dtype)?.every(isThere);
  if (!hasWeights || !isThere('config.json') || !isThere('tokenizer.json')) return undefined;
  const modules = await readJson(folder, 'modules.json');
  // Python leaves an empty file here for what it asked the Hub for and what is not there.
  const isWithoutModules = existsSync(join(repository, '.no_exist', commit, 'modules.json'));
  if (modules === undefined && !isWithoutModules) return undefined;
  const { poolingConfig, isPoolingNamed } = readModules(modules);
  return isPoolingNamed && !isThere(poolingConfig) ? undefined : { commit, folder };
}

async function readReference(file: string): Promise<string | undefined> {
  const commit = await readFile(file, 'utf8').catch(() => '');
  return isCommit(commit.trim()) ? commit.trim() : undefined;
}
