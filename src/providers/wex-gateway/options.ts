import type { Dispatcher } from 'undici';
import type { Integration } from '../../core/ports/integration-repository.js';
import { type Logger, toLogger } from '../../core/ports/logger.js';
import type { UsageRecorder } from '../../core/ports/usage-recorder.js';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue } from '../../internal/validate.js';
import { isEmbeddingModelName, isTextModelName } from './model-names.js';
import { settingNames, settingRules, type WexGatewaySettings } from './settings.js';

/** The part of `fetch` that is needed; hand in your own for a proxy, a custom agent or a test. */
export type FetchLike = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface WexGatewayOptions extends WexGatewaySettings {
  /** The address of the API, up to and with its version, such as `https://gateway.example/v1`; without a query. */
  readonly baseUrl: string;
  /**
   * Null for a server that needs none, as a local vLLM or Ollama. A function is called before each request, for keys
   * that expire (Entra ID, Vertex): it should keep a key for as long as it is good.
   */
  readonly apiKey: string | null | (() => string | Promise<string>);
  /** @default 'wex_ai_gateway' */
  readonly id?: string | undefined;
  /** Called after each answered request. */
  readonly usageRecorder?: UsageRecorder | undefined;
  readonly logger?: Logger | undefined;
  /** Carries every request in place of undici. @default undici's `request` */
  readonly fetch?: FetchLike | undefined;
  /**
   * A dispatcher of undici, for certificates or a proxy of this provider alone. Stays the host's. @default the global
   * one
   */
  readonly dispatcher?: Dispatcher | undefined;
  /**
   * The address of a proxy, or `environment` for `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the process. @default
   * none
   */
  readonly proxy?: string | undefined;
  /**
   * Whether errors carry the server's own words (`serverWords`), without keys and without what they repeat of the
   * call's inputs. For logs of operators: what is left may still describe an input. @default false
   */
  readonly keepServerWords?: boolean | undefined;
}

type Defaulted =
  | 'id'
  | 'embeddingModel'
  | 'textModel'
  | 'batchSize'
  | 'concurrency'
  | 'timeoutMs'
  | 'maxRetries'
  | 'retryDelayMs'
  | 'maxRequestTokens'
  | 'failedInputs'
  | 'encodingFormat'
  | 'maxTokensParameter'
  | 'sendInputType'
  | 'strict'
  | 'streamUsage'
  | 'structuredOutput';

/** Checked, with the defaults filled in. */
export type ResolvedWexGatewayOptions = Omit<WexGatewayOptions, Defaulted> & {
  readonly [Option in Defaulted]: NonNullable<WexGatewayOptions[Option]>;
} & {
  /** The models that the row or the host named, without defaults. */
  readonly modelNames: readonly string[];
};

const optionNames = {
  baseUrl: true,
  apiKey: true,
  id: true,
  usageRecorder: true,
  logger: true,
  fetch: true,
  dispatcher: true,
  proxy: true,
  keepServerWords: true,
  ...settingRules,
};

/** The most inputs of one request to the OpenAI API (its reference, "Create embeddings"). */
const maxInputsPerRequest = 2048;
/** @throws `InvalidInputError` naming the option, what was expected and what came. */
export function resolveWexGatewayOptions(options: WexGatewayOptions): ResolvedWexGatewayOptions {
  requireKnownKeys<WexGatewayOptions>(options, optionNames);
  const baseUrl = requireBaseUrl(options.baseUrl);
  requireKey(options.apiKey);
  requireProxy(options.proxy);
  for (const setting of settingNames) {
    const value: unknown = options[setting];
    if (value === undefined || settingRules[setting].accepts(value)) continue;
    throw new InvalidInputError(
      `Expected \`${setting}\` to be ${settingRules[setting].expected}, got ${describeValue(value)}.`,
    );
  }
  return {
    ...options,
    logger: toLogger(options.logger),
    baseUrl,
    id: options.id ?? 'wex_ai_gateway',
    embeddingModel: options.embeddingModel ?? 'azure-text-embedding-3-small',
    textModel: options.textModel ?? 'azure-gpt-4o-mini',
    batchSize: Math.min(options.batchSize ?? 100, maxInputsPerRequest),
    concurrency: options.concurrency ?? 4,
    timeoutMs: options.timeoutMs ?? 120_000,
    maxRetries: options.maxRetries ?? 3,
    retryDelayMs: options.retryDelayMs ?? 500,
    maxRequestTokens: options.maxRequestTokens ?? 300_000,
    failedInputs: options.failedInputs ?? 'throw',
    encodingFormat: options.encodingFormat ?? 'auto',
    maxTokensParameter: options.maxTokensParameter ?? 'auto',
    sendInputType: options.sendInputType ?? 'auto',
    strict: options.strict ?? 'auto',
    streamUsage: options.streamUsage ?? 'auto',
    structuredOutput: options.structuredOutput ?? 'auto',
    modelNames: [options.embeddingModel, options.textModel].filter((model) => model !== undefined),
  };
}

/**
 * The settings in a row. Its one `ai_model` is the embedding model or the text model if its name says which
 * ({@link isEmbeddingModelName}); a name that says neither, as of a deployment, is used for both. The explicit keys
 * `embedding_model` and `text_model` win. Keys that mean nothing here are left alone, and never sent to the server.
 *
 * @throws `AiProviderError` with code `invalid_config`, naming the row, the key, what was expected and what came.
 */
export function wexGatewaySettingsFromIntegration(
  integration: Pick<Integration, 'id' | 'aiModel' | 'aiModelConfig'>,
  logger?: Logger,
): WexGatewaySettings {
  const { aiModel, aiModelConfig } = integration;
  const settings: Record<string, unknown> = {};
  if (aiModel !== null && aiModel !== '') {
    if (!isTextModelName(aiModel)) settings.embeddingModel = aiModel;
    if (!isEmbeddingModelName(aiModel)) settings.textModel = aiModel;
  }
  for (const setting of settingNames) {
    const { key, expected, accepts, fromRow } = settingRules[setting];
    const value = aiModelConfig[key];
    if (value === undefined || value === null) continue;
    const converted = fromRow === undefined ? value : fromRow(value);
    if (!accepts(converted)) {
      throw new AiProviderError(
        `Expected \`ai_model_config.${key}\` of integration ${integration.id} to be ${expected}${isDuration(setting) ? ', in seconds' : ''}, got ${describeValue(value)}.`,
        { code: 'invalid_config' },
      );
    }
    settings[setting] = converted;
  }
  const ignoredKeys = unknownKeys(integration);
  if (ignoredKeys.length > 0) {
    const fields = { integrationId: integration.id, ignoredKeys };
    logger?.debug(fields, 'Keys of ai_model_config that mean nothing to the gateway provider');
  }
  return settings;
}

function isDuration(setting: keyof WexGatewaySettings): boolean {
  return setting.endsWith('Ms');
}

/** Keys of a row that only the kind reads. */
const kindKeys = ['secret_headers'];
const knownKeys = [...settingNames.map((setting) => settingRules[setting].key), ...kindKeys];

function unknownKeys({ aiModelConfig }: Pick<Integration, 'aiModelConfig'>): string[] {
  return Object.keys(aiModelConfig).filter((key) => !knownKeys.includes(key));
}

/** @returns the URL in one form, without a slash at its end: limits and what is known of a server are kept by it. */
function requireBaseUrl(value: unknown): string {
  const text = typeof value === 'string' ? value.trim() : '';
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url !== null && /^https?:$/.test(url.protocol) && isPlain) return url.href.replace(/\/+$/, '');
  throw new InvalidInputError(
    `Expected \`baseUrl\` to be an http or https URL without a user name, a password or a query (for Azure, one that ends in \`/openai/v1\`), got ${describeValue(value)}.`,
  );
}

/** Anything else makes the request fail with an error that shows the header, key and all. */
export function isHeaderSafeKey(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

function requireKey(value: unknown): void {
  if (value === null || typeof value === 'function' || isHeaderSafeKey(value)) return;
  throw new InvalidInputError(
    `Expected \`apiKey\` to be null, a string of printable ASCII characters without spaces, or a function that returns one, got ${describeValue(value)}.`,
  );
}

function requireProxy(value: unknown): void {
  if (value === undefined || value === 'environment') return;
  if (typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)) return;
  throw new InvalidInputError(
    `Expected \`proxy\` to be an http or https URL, or 'environment', got ${describeValue(value)}.`,
  );
}
