import type { Integration } from '../../core/ports/integration-repository.js';
import { type Logger, toLogger } from '../../core/ports/logger.js';
import type { UsageRecorder } from '../../core/ports/usage-recorder.js';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue } from '../../internal/validate.js';
import { isEmbeddingModelName } from './embeddings/model-name.js';
import { settingNames, settingRules, type WexGatewaySettings } from './settings.js';

/** The part of `fetch` that is needed; hand in your own for a proxy, a custom agent or a test. */
export type FetchLike = (url: string | URL | Request, init?: RequestInit) => Promise<Response>;

export interface WexGatewayOptions extends WexGatewaySettings {
  /** Where the API lives, up to and with its version, such as `https://gateway.example/v1`; without a query. */
  readonly baseUrl: string;
  /** Null for a server that asks for none, as a local vLLM or Ollama. */
  readonly apiKey: string | null;
  /** @default 'wex_ai_gateway' */
  readonly id?: string | undefined;
  /** Told of every answered request. */
  readonly usageRecorder?: UsageRecorder | undefined;
  readonly logger?: Logger | undefined;
  /** @default the global `fetch` */
  readonly fetch?: FetchLike | undefined;
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
  | 'encodingFormat';

/** Checked, with the defaults filled in. */
export type ResolvedWexGatewayOptions = Omit<WexGatewayOptions, Defaulted> & {
  readonly [Option in Defaulted]: NonNullable<WexGatewayOptions[Option]>;
};

const optionNames = {
  baseUrl: true,
  apiKey: true,
  id: true,
  usageRecorder: true,
  logger: true,
  fetch: true,
  ...settingRules,
};

/** The most inputs of one request to the OpenAI API (its reference, "Create embeddings"). */
const maxInputsPerRequest = 2048;
/** @throws `InvalidInputError` naming the option, what was expected and what came. */
export function resolveWexGatewayOptions(options: WexGatewayOptions): ResolvedWexGatewayOptions {
  requireKnownKeys<WexGatewayOptions>(options, optionNames);
  const baseUrl = requireBaseUrl(options.baseUrl);
  requireHeaderSafeKey(options.apiKey);
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
  };
}

/**
 * The settings in a row. Its one `ai_model` is the embedding model or the text model, as {@link isEmbeddingModelName} has it; the explicit keys
 * `embedding_model` and `text_model` win. Keys that are not ours are left alone, and never sent to the server.
 *
 * @throws `AiProviderError` with code `invalid_config`, naming the row, the key, what was expected and what came.
 */
export function wexGatewaySettingsFromIntegration(
  integration: Pick<Integration, 'id' | 'aiModel' | 'aiModelConfig'>,
  logger?: Logger,
): WexGatewaySettings {
  const { aiModel, aiModelConfig } = integration;
  const settings: Record<string, unknown> = {};
  if (aiModel !== null && aiModel !== '')
    settings[isEmbeddingModelName(aiModel) ? 'embeddingModel' : 'textModel'] = aiModel;
  for (const setting of settingNames) {
    const { key, expected, accepts, fromRow } = settingRules[setting];
    const value = aiModelConfig[key];
    if (value === undefined || value === null) continue;
    const converted = fromRow !== undefined && typeof value === 'number' ? fromRow(value) : value;
    if (!accepts(converted)) {
      throw new AiProviderError(
        `Expected \`ai_model_config.${key}\` of integration ${integration.id} to be ${expected}${fromRow ? ', in seconds' : ''}, got ${describeValue(value)}.`,
        { code: 'invalid_config' },
      );
    }
    settings[setting] = converted;
  }
  const known = new Set(settingNames.map((setting) => settingRules[setting].key));
  const ignoredKeys = Object.keys(aiModelConfig).filter((key) => !known.has(key));
  if (ignoredKeys.length > 0) {
    logger?.debug(
      { integrationId: integration.id, ignoredKeys },
      'Keys of ai_model_config that mean nothing to the gateway provider',
    );
  }
  return settings;
}

/** @returns the URL in one form, without a slash at its end: limits and what is known of a server are kept by it. */
function requireBaseUrl(value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  const isPlain = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url !== null && /^https?:$/.test(url.protocol) && isPlain) return url.href.replace(/\/+$/, '');
  throw new InvalidInputError(
    `Expected \`baseUrl\` to be an http or https URL without a user name, a password or a query (for Azure, one that ends in \`/openai/v1\`), got ${describeValue(value)}.`,
  );
}

/** Anything else makes `fetch` throw an error that shows the header, key and all. */
function requireHeaderSafeKey(value: unknown): void {
  if (value === null || (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value))) return;
  throw new InvalidInputError(
    `Expected \`apiKey\` to be null or a string of printable ASCII characters without spaces, got ${describeValue(value)}.`,
  );
}
