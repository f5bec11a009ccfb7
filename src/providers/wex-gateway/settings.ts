import type { TaskTier } from '../../core/routing/task-complexity.js';
import { isRecord } from '../../internal/validate.js';
import { longestTimerMs } from '../../internal/with-deadline.js';

/**
 * Parameters of generated text that a row, a model of a row, or a call may set. In a row, under the names in
 * brackets.
 */
export interface TextSettings {
  /** 0 to 2. [`temperature`] @default the model's own */
  readonly temperature?: number | undefined;
  /** The most tokens of a generated text. [`max_tokens`] @default the model's own */
  readonly maxTokens?: number | undefined;
  /** Above 0, up to 1: how much of the probability the candidates for the next token make up. [`top_p`] */
  readonly topP?: number | undefined;
  /** For the same answer to the same prompt, as far as the server can. [`seed`] */
  readonly seed?: number | undefined;
  /** -2 to 2. [`presence_penalty`] */
  readonly presencePenalty?: number | undefined;
  /** -2 to 2. [`frequency_penalty`] */
  readonly frequencyPenalty?: number | undefined;
  /**
   * How long a reasoning model thinks: `minimal`, `low`, `medium`, `high`, or what the server knows.
   * [`reasoning_effort`]
   */
  readonly reasoningEffort?: string | undefined;
  /** Such as `flex` or `priority`. [`service_tier`] */
  readonly serviceTier?: string | undefined;
  /** Whether the model may call several tools at once. [`parallel_tool_calls`] */
  readonly parallelToolCalls?: boolean | undefined;
  /** Who the text is for, as the server counts or watches. [`user`] */
  readonly user?: string | undefined;
  /** Up to 16 pairs of strings that the server keeps with the request. [`metadata`] */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /**
   * Whether the server holds the model to the schema. `auto`: if the schema is one that strict mode takes.
   * [`strict`] @default 'auto'
   */
  readonly strict?: boolean | 'auto' | undefined;
  /**
   * Further fields of the request's body, sent as they are. They win over everything but the messages. [`extra_body`]
   */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined;
  /** Further parameters of the request's address. [`extra_query`] */
  readonly extraQuery?: Readonly<Record<string, string>> | undefined;
}

/** A model of a tier, with parameters of its own. A parameter of null is not sent, although the row sets it. */
export type ModelWithSettings = { readonly model: string } & {
  readonly [Setting in keyof TextSettings]?: TextSettings[Setting] | null;
};

/** Settings that an integration row can hold as well; there, in `ai_model_config`, under the names in brackets. */
export interface WexGatewaySettings extends TextSettings {
  /** [`embedding_model`] @default 'azure-text-embedding-3-small' */
  readonly embeddingModel?: string | undefined;
  /** [`text_model`] @default 'azure-gpt-4o-mini' */
  readonly textModel?: string | undefined;
  /**
   * Models for text by how hard the task is, so that easy tasks go to a cheap one. A tier without a model takes that
   * of the next harder one, or else of the next easier. A model may come with parameters of its own: `{ "simple":
   * "gpt-4o-mini", "complex": { "model": "o3", "temperature": null, "reasoning_effort": "high" } }`. [`models`]
   * @default `textModel` for all
   */
  readonly textModels?: Readonly<Partial<Record<TaskTier, string | ModelWithSettings>>> | undefined;
  /**
   * The canonical name of the embedding model, [`embedding_space`]. Give two rows the same name only if they serve
   * the very same model under different names, such as `azure-text-embedding-3-small` and `text-embedding-3-small`:
   * their vectors may then stand in for each other.
   * @default the embedding model's own name
   */
  readonly embeddingSpace?: string | undefined;
  /**
   * The length of the vectors, sent to the server, for models that can shorten them. [`dimensions`] @default the
   * model's own
   */
  readonly dimensions?: number | undefined;
  /**
   * Put before documents and queries, for models that were trained with prompts, such as
   * `{ "query": "query: ", "document": "passage: " }` for e5. They belong to the embedding space. [`prompts`]
   * @default none
   */
  readonly prompts?: { readonly query: string; readonly document: string } | undefined;
  /**
   * Whether `input_type` says what a text is: `query`, or `passage` for a document (NVIDIA NIM, Cohere, Voyage).
   * `auto`: once the server asks for it. [`input_type`] @default 'auto'
   */
  readonly sendInputType?: boolean | 'auto' | undefined;
  /** Further fields of the body of embeddings requests, sent as they are. [`embedding_extra_body`] @default none */
  readonly embeddingExtraBody?: Readonly<Record<string, unknown>> | undefined;
  /**
   * The most inputs of a request, 1 to 2048; more is taken as 2048, the limit of the API. [`batch_size`] @default 100
   */
  readonly batchSize?: number | undefined;
  /** How many embedding requests of one call are under way at once. [`concurrency`] @default 4 */
  readonly concurrency?: number | undefined;
  /** How long a request may take, its body included. [`timeout`, in seconds] @default 120_000 */
  readonly timeoutMs?: number | undefined;
  /**
   * How long a call may take with all its batches, retries and waits. [`deadline`, in seconds]
   * @default `timeoutMs` for each round of `concurrency` requests and for one request that is sent again; waits for
   * `requestsPerMinute` and `tokensPerMinute` are not counted then
   */
  readonly deadlineMs?: number | undefined;
  /** How often a request is sent again after a failure that may pass. [`max_retries`] @default 3 */
  readonly maxRetries?: number | undefined;
  /**
   * The first wait before a retry is a random time up to this; it doubles each time, up to 8 s. [`retry_delay`, in
   * seconds] @default 500
   */
  readonly retryDelayMs?: number | undefined;
  /**
   * Tokens of one embeddings request, as estimated. [`max_request_tokens`] @default 300_000, the limit of OpenAI's
   * API
   */
  readonly maxRequestTokens?: number | undefined;
  /**
   * Tokens of one text to embed. For models other than OpenAI's, counted as its UTF-8 bytes. [`max_input_tokens`]
   * @default 8192 for OpenAI's models, otherwise left to the server
   */
  readonly maxInputTokens?: number | undefined;
  /**
   * Requests of any 60 seconds, for all rows of one base URL and key in this process. [`requests_per_minute`]
   * @default no limit
   */
  readonly requestsPerMinute?: number | undefined;
  /** Their tokens, as estimated and then corrected by the answers. [`tokens_per_minute`] @default no limit */
  readonly tokensPerMinute?: number | undefined;
  /**
   * What becomes of inputs that were refused or have no usable vector: an error that carries the others, or zeros in
   * their place. An outage, and a call without any vector, is an error in both cases. Stored zeros poison a search
   * index. [`failed_inputs`] @default 'throw'
   */
  readonly failedInputs?: 'throw' | 'zero_vectors' | undefined;
  /**
   * `auto` asks for base64 (less than half the bytes) until the model shows that it knows only floats.
   * [`encoding_format`] @default 'auto'
   */
  readonly encodingFormat?: 'auto' | 'base64' | 'float' | undefined;
  /**
   * The name of the limit of tokens. `auto`: what the server was seen to take. [`max_tokens_parameter`] @default
   * 'auto'
   */
  readonly maxTokensParameter?: 'auto' | 'max_tokens' | 'max_completion_tokens' | undefined;
  /**
   * Whether a stream asks for its usage (`stream_options`). `auto`: unless the server refuses. [`stream_usage`]
   * @default 'auto'
   */
  readonly streamUsage?: boolean | 'auto' | undefined;
  /**
   * How a schema is asked for: as JSON Schema, as any JSON object, or by an instruction alone. `auto` begins with the
   * first and goes down when the server refuses. [`structured_output`] @default 'auto'
   */
  readonly structuredOutput?: 'auto' | 'json_schema' | 'json_object' | 'instruction' | undefined;
  /**
   * Sent with every request, for gateways that route by headers. For secrets, see `secret_headers` of a row.
   * [`headers`] @default none
   */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

interface Rule {
  /** The key in `ai_model_config`. */
  readonly key: string;
  readonly expected: string;
  accepts(value: unknown): boolean;
  /** From the row's form to the option's. */
  readonly fromRow?: (value: unknown) => unknown;
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
const within = (key: string, least: number, most: number): Rule => ({
  key,
  expected: `a number from ${least} to ${most}`,
  accepts: (value) => typeof value === 'number' && value >= least && value <= most,
});
const seconds = (key: string): Rule => ({
  key,
  expected: 'a positive duration of less than 24 days',
  accepts: (value) => typeof value === 'number' && value > 0 && value <= longestTimerMs,
  fromRow: (value) => (typeof value === 'number' ? value * 1000 : value),
});
const oneOf = (key: string, values: readonly unknown[]): Rule => ({
  key,
  expected: values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or '),
  accepts: (value) => values.includes(value),
});
const strings = (
  key: string,
  expected: string,
  isGood: (key: string, value: string) => boolean = () => true,
): Rule => ({
  key,
  expected,
  accepts: (value) =>
    isRecord(value) && Object.entries(value).every(([each, text]) => typeof text === 'string' && isGood(each, text)),
});

/** What each parameter of text has to be, and its key in a row. Also the keys of a call's options. */
export const textRules: { readonly [Option in keyof Required<TextSettings>]: Rule } = {
  temperature: within('temperature', 0, 2),
  maxTokens: { ...integer('max_tokens', 1), expected: 'a positive integer' },
  topP: within('top_p', 0, 1),
  seed: { key: 'seed', expected: 'an integer', accepts: Number.isSafeInteger },
  presencePenalty: within('presence_penalty', -2, 2),
  frequencyPenalty: within('frequency_penalty', -2, 2),
  reasoningEffort: name('reasoning_effort'),
  serviceTier: name('service_tier'),
  parallelToolCalls: oneOf('parallel_tool_calls', [true, false]),
  user: name('user'),
  metadata: strings('metadata', 'an object of strings'),
  strict: oneOf('strict', [true, false, 'auto']),
  extraBody: {
    key: 'extra_body',
    expected: 'an object without `messages` and `input`',
    accepts: (value) => isRecord(value) && !('messages' in value) && !('input' in value) && !('stream' in value),
  },
  extraQuery: strings('extra_query', 'an object of strings'),
};
export const textSettingNames = Object.keys(textRules) as (keyof TextSettings)[];

const isTier = (value: string) => ['simple', 'standard', 'complex'].includes(value);

function isTierModel(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  if (!isRecord(value) || typeof value.model !== 'string' || value.model === '') return false;
  return Object.entries(value).every(([option, setting]) => {
    if (option === 'model') return true;
    const rule = textRules[option as keyof TextSettings];
    return rule !== undefined && (setting === null || setting === undefined || rule.accepts(setting));
  });
}

const optionByKey = new Map(textSettingNames.map((option) => [textRules[option].key, option]));

/** `{ "model": "o3", "reasoning_effort": "high" }` of a row, with the names of options. */
function tierModelFromRow(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [optionByKey.get(key) ?? key, each]));
}

/** Headers that belong to the connection, not to the gateway. */
const reservedHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** @returns whether such a header can be sent beside the key. */
function isSendableHeader(header: string, content: unknown): boolean {
  return (
    /^[\w-]+$/.test(header) &&
    typeof content === 'string' &&
    /^[\x20-\x7e]*$/.test(content) &&
    !reservedHeaders.has(header.toLowerCase())
  );
}

/** What each setting has to be, and its key in a row. */
export const settingRules: { readonly [Option in keyof Required<WexGatewaySettings>]: Rule } = {
  ...textRules,
  embeddingModel: name('embedding_model'),
  textModel: name('text_model'),
  textModels: {
    key: 'models',
    expected:
      'an object with, under `simple`, `standard` or `complex`, the name of a model or an object with `model` and its parameters',
    accepts: (value) =>
      isRecord(value) && Object.entries(value).every(([tier, model]) => isTier(tier) && isTierModel(model)),
    fromRow: (value) =>
      isRecord(value)
        ? Object.fromEntries(Object.entries(value).map(([tier, model]) => [tier, tierModelFromRow(model)]))
        : value,
  },
  embeddingSpace: name('embedding_space'),
  dimensions: integer('dimensions', 1),
  prompts: {
    key: 'prompts',
    expected: 'an object with the strings `query` and `document`',
    accepts: (value) => isRecord(value) && typeof value.query === 'string' && typeof value.document === 'string',
  },
  sendInputType: oneOf('input_type', [true, false, 'auto']),
  embeddingExtraBody: { ...textRules.extraBody, key: 'embedding_extra_body' },
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
  failedInputs: oneOf('failed_inputs', ['throw', 'zero_vectors']),
  encodingFormat: oneOf('encoding_format', ['auto', 'base64', 'float']),
  maxTokensParameter: oneOf('max_tokens_parameter', ['auto', 'max_tokens', 'max_completion_tokens']),
  streamUsage: oneOf('stream_usage', [true, false, 'auto']),
  structuredOutput: oneOf('structured_output', ['auto', 'json_schema', 'json_object', 'instruction']),
  headers: strings(
    'headers',
    'an object of header names and printable ASCII values, without `authorization` and headers of the connection',
    isSendableHeader,
  ),
};
export const settingNames = Object.keys(settingRules) as (keyof WexGatewaySettings)[];
