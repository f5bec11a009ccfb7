import type { TaskTier } from '../../core/routing/task-complexity.js';
import { isRecord } from '../../internal/validate.js';

/** Settings that an integration row can hold as well; there, in `ai_model_config`, under the names in brackets. */
export interface WexGatewaySettings {
  /** [`embedding_model`] @default 'azure-text-embedding-3-small' */
  readonly embeddingModel?: string | undefined;
  /** [`text_model`] @default 'azure-gpt-4o-mini' */
  readonly textModel?: string | undefined;
  /**
   * Models for text by how hard the task is, so that easy tasks go to a cheap one. A tier without a model takes that of the next harder one, or else of
   * the next easier. [`models`] @default `textModel` for all
   */
  readonly textModels?: Readonly<Partial<Record<TaskTier, string>>> | undefined;
  /**
   * The canonical name of the embedding model, [`embedding_space`]. Give two rows the same name only where they serve the very same model
   * under different names, such as `azure-text-embedding-3-small` and `text-embedding-3-small`: their vectors may then stand in for each other.
   * @default the embedding model's own name
   */
  readonly embeddingSpace?: string | undefined;
  /** The length of the vectors, sent to the server, for models that can shorten them. [`dimensions`] @default the model's own */
  readonly dimensions?: number | undefined;
  /** The most inputs of a request, 1 to 2048; more is taken as 2048, the limit of the API. [`batch_size`] @default 100 */
  readonly batchSize?: number | undefined;
  /** How many embedding requests of one call are under way at once. [`concurrency`] @default 4 */
  readonly concurrency?: number | undefined;
  /** How long a request may take, its body included. [`timeout`, in seconds] @default 120_000 */
  readonly timeoutMs?: number | undefined;
  /**
   * How long a call may take with all its batches, retries and waits. [`deadline`, in seconds]
   * @default `timeoutMs` for each round of `concurrency` requests, so a call of one request ends within `timeoutMs`, retries included; waits for
   * `requestsPerMinute` and `tokensPerMinute` are not counted then
   */
  readonly deadlineMs?: number | undefined;
  /** How often a request is sent again after a failure that may pass. [`max_retries`] @default 3 */
  readonly maxRetries?: number | undefined;
  /** The first wait before a retry is a random time up to this; it doubles each time, up to 8 s. [`retry_delay`, in seconds] @default 500 */
  readonly retryDelayMs?: number | undefined;
  /** Tokens of one embeddings request, as estimated. [`max_request_tokens`] @default 300_000, the limit of OpenAI's API */
  readonly maxRequestTokens?: number | undefined;
  /**
   * Tokens of one text to embed. For models other than OpenAI's, counted as its UTF-8 bytes. [`max_input_tokens`]
   * @default 8192 for OpenAI's models, otherwise left to the server
   */
  readonly maxInputTokens?: number | undefined;
  /** Requests of any 60 seconds, for all callers of one base URL and key in this process. [`requests_per_minute`] @default no limit */
  readonly requestsPerMinute?: number | undefined;
  /** Their tokens, as estimated and then put right by the answers. [`tokens_per_minute`] @default no limit */
  readonly tokensPerMinute?: number | undefined;
  /** 0 to 2. [`temperature`] @default the model's own */
  readonly temperature?: number | undefined;
  /** The most tokens of a generated text. [`max_tokens`] @default the model's own */
  readonly maxTokens?: number | undefined;
  /**
   * What becomes of inputs that were refused or have no usable vector: an error that carries the others, or zeros in their place. An outage, and a call
   * without any vector, is an error in both cases. Stored zeros poison a search index: choose them only where they are looked for.
   * [`failed_inputs`] @default 'throw'
   */
  readonly failedInputs?: 'throw' | 'zero_vectors' | undefined;
  /** `auto` asks for base64 (less than half the bytes) until the server shows that it knows only floats. [`encoding_format`] @default 'auto' */
  readonly encodingFormat?: 'auto' | 'base64' | 'float' | undefined;
  /** Sent with every request, for gateways that route by headers. Not the place for secrets. [`headers`] @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A longer timer fires at once: Node keeps the delay in 31 bits. */
export const longestTimerMs = 2 ** 31 - 1;

interface Rule {
  /** The key in `ai_model_config`. */
  readonly key: string;
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** From the row's unit to the option's. */
  readonly fromRow?: (value: number) => number;
}

const isInteger = (value: unknown, least: number) =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
const name = (key: string): Rule => ({
  key,
  expected: 'a non-empty string',
  accepts: (value) => typeof value === 'string' && value !== '',
});
const integer = (key: string, least: number): Rule => ({
  key,
  expected: `an integer of at least ${least}`,
  accepts: (value) => isInteger(value, least),
});
const seconds = (key: string): Rule => ({
  key,
  expected: 'a positive duration of less than 24 days',
  accepts: (value) => typeof value === 'number' && value > 0 && value <= longestTimerMs,
  fromRow: (value) => value * 1000,
});
const oneOf = (key: string, values: readonly string[]): Rule => ({
  key,
  expected: values.map((value) => `'${value}'`).join(' or '),
  accepts: (value) => values.includes(value as string),
});

const isTier = (value: string) => ['simple', 'standard', 'complex'].includes(value);

const isHeader = (header: string, content: unknown) =>
  /^[\w-]+$/.test(header) && typeof content === 'string' && /^[\x20-\x7e]*$/.test(content);

/** What each setting has to be, and its key in a row. */
export const settingRules: { readonly [Option in keyof Required<WexGatewaySettings>]: Rule } = {
  embeddingModel: name('embedding_model'),
  textModel: name('text_model'),
  textModels: {
    key: 'models',
    expected: 'an object with names of models under `simple`, `standard` or `complex`',
    accepts: (value) =>
      isRecord(value) &&
      Object.entries(value).every(([tier, model]) => isTier(tier) && typeof model === 'string' && model !== ''),
  },
  embeddingSpace: name('embedding_space'),
  dimensions: integer('dimensions', 1),
  batchSize: integer('batch_size', 1),
  concurrency: integer('concurrency', 1),
  timeoutMs: seconds('timeout'),
  deadlineMs: seconds('deadline'),
  maxRetries: integer('max_retries', 0),
  retryDelayMs: seconds('retry_delay'),
  maxRequestTokens: integer('max_request_tokens', 1),
  // Less may hold no character at all.
  maxInputTokens: integer('max_input_tokens', 6),
  requestsPerMinute: integer('requests_per_minute', 1),
  tokensPerMinute: integer('tokens_per_minute', 1),
  temperature: {
    key: 'temperature',
    expected: 'a number from 0 to 2',
    accepts: (value) => typeof value === 'number' && value >= 0 && value <= 2,
  },
  maxTokens: integer('max_tokens', 1),
  failedInputs: oneOf('failed_inputs', ['throw', 'zero_vectors']),
  encodingFormat: oneOf('encoding_format', ['auto', 'base64', 'float']),
  headers: {
    key: 'headers',
    expected: 'an object of header names and printable values, without `authorization`',
    accepts: (value) =>
      isRecord(value) &&
      Object.entries(value).every(
        ([header, content]) => isHeader(header, content) && header.toLowerCase() !== 'authorization',
      ),
  },
};
export const settingNames = Object.keys(settingRules) as (keyof WexGatewaySettings)[];
