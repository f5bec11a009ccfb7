import { availableParallelism } from 'node:os';
import type { Logger } from '../../core/logger.js';
import type { UsageRecorder } from '../../core/usage-recorder.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue, requireNonEmptyString, requirePositiveInteger } from '../../internal/validate.js';
import type { EngineOptions } from './embedding-engine.js';
import { defaultCacheFolder } from './model-cache.js';
import { hubIdOf } from './model-source.js';

/** What all providers of one process share: where models lie and how much of the machine they may use. */
export interface LocalModelOptions {
  /**
   * Where models are kept once they were downloaded or built.
   *
   * @default `~/.cache/pulse-ai-providers`
   */
  readonly cacheFolder?: string | undefined;
  /** How many worker threads embed. Each holds the weights. @default the number of cores, at most 4 */
  readonly maxWorkers?: number | undefined;
  /** Threads inside a worker's run. More workers are faster than more threads a worker. @default 1 */
  readonly threadsPerWorker?: number | undefined;
  /** The most tokens of a run, padding counted: bounds the memory and how long an urgent text waits. @default 512 */
  readonly maxTokensPerRun?: number | undefined;
  /** After so long without a call the threads end and free their memory; the next call starts them again. @default 60000 */
  readonly idleTimeoutMs?: number | undefined;
  /** The Hub that models are downloaded from. @default 'https://huggingface.co' */
  readonly hubEndpoint?: string | undefined;
  /** Sent to the Hub, for models that need an account. */
  readonly hubToken?: string | undefined;
}

export interface SentenceTransformersOptions extends LocalModelOptions {
  /** Names the provider in errors, logs and health. @default 'sentence_transformers' */
  readonly id?: string | undefined;
  /** A Hub id; a bare name means the `sentence-transformers` organisation. @default 'all-MiniLM-L6-v2' */
  readonly model?: string | undefined;
  /** A folder with the model's files as they lie on the Hub: `onnx/model.onnx`, `tokenizer.json`, `config.json`, … */
  readonly modelFolder?: string | undefined;
  /** The branch, tag or commit to download. @default 'main' */
  readonly revision?: string | undefined;
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
  readonly normalizeEmbeddings: boolean;
  readonly batchSize: number;
  readonly usageRecorder: UsageRecorder | undefined;
  readonly logger: Logger | undefined;
  readonly engine: EngineOptions;
}

/** @throws {@link InvalidInputError} that names the option, what was expected and what came. */
export function resolveOptions(options: SentenceTransformersOptions): ResolvedOptions {
  const { model = 'all-MiniLM-L6-v2', modelFolder, revision = 'main', hubEndpoint, hubToken } = options;
  const {
    maxWorkers = Math.min(4, availableParallelism()),
    threadsPerWorker = 1,
    maxTokensPerRun = 512,
    idleTimeoutMs = 60_000,
    batchSize = 64,
    normalizeEmbeddings = true,
    cacheFolder = defaultCacheFolder(),
    id = 'sentence_transformers',
  } = options;
  if (typeof normalizeEmbeddings !== 'boolean') {
    throw new InvalidInputError(
      `Expected \`normalizeEmbeddings\` to be a boolean, got ${describeValue(normalizeEmbeddings)}.`,
    );
  }
  hubIdOf(requireNonEmptyString(model, 'model'));
  return {
    id: requireNonEmptyString(id, 'id'),
    model,
    normalizeEmbeddings,
    batchSize: requirePositiveInteger(batchSize, 'batchSize'),
    usageRecorder: options.usageRecorder,
    logger: options.logger,
    engine: {
      source: {
        model,
        modelFolder: modelFolder === undefined ? undefined : requireNonEmptyString(modelFolder, 'modelFolder'),
        cacheFolder: requireNonEmptyString(cacheFolder, 'cacheFolder'),
        revision: requireNonEmptyString(revision, 'revision'),
        hub: { endpoint: (hubEndpoint ?? 'https://huggingface.co').replace(/\/+$/, ''), token: hubToken },
      },
      session: { threads: requirePositiveInteger(threadsPerWorker, 'threadsPerWorker') },
      maxWorkers: requirePositiveInteger(maxWorkers, 'maxWorkers'),
      maxTokensPerRun: requirePositiveInteger(maxTokensPerRun, 'maxTokensPerRun'),
      idleTimeoutMs: requirePositiveInteger(idleTimeoutMs, 'idleTimeoutMs'),
    },
  };
}
