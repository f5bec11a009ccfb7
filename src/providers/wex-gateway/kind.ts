import { reviewKeys } from '../../core/cost/prices.js';
import type { CredentialCipher } from '../../core/ports/credential-cipher.js';
import type { Integration } from '../../core/ports/integration-repository.js';
import type { Operation, ProviderContext, ProviderKind } from '../../core/ports/provider-kind.js';
import { AiProviderError, isAiProviderError } from '../../errors.js';
import { isRecord } from '../../internal/validate.js';
import { isEmbeddingModelName, isTextModelName } from './model-names.js';
import { type FetchLike, type WexGatewayOptions, wexGatewaySettingsFromIntegration } from './options.js';
import { WexGatewayProvider } from './provider.js';
import { settingNames, settingRules } from './settings.js';

export interface WexGatewayKindOptions {
  /** Decrypts `integrations.password` and the values of `ai_model_config.secret_headers`. */
  readonly credentialCipher: CredentialCipher;
  /** Carries every request, of all rows. @default undici's `request` */
  readonly fetch?: FetchLike | undefined;
  /** The address of a proxy for all rows, or `environment` for `HTTPS_PROXY` and its siblings. @default none */
  readonly proxy?: string | undefined;
  /** Whether errors carry the server's own words; see `WexGatewayOptions`. @default false */
  readonly keepServerWords?: boolean | undefined;
  /**
   * How a row is reached, if not by its own key over the common way: a key that expires, certificates or a proxy of
   * its own. Called when the provider of a row is made.
   *
   * @example
   * connectionFor: (row) => (row.baseUrl?.endsWith('.azure.com/openai/v1') ? { apiKey: () => entraToken() } :
   * undefined)
   */
  readonly connectionFor?: ((integration: Integration) => GatewayConnectionOptions | undefined) | undefined;
}

/** Every key of `ai_model_config` that has a meaning, here or to the manager. */
const rowKeys = [...settingNames.map((setting) => settingRules[setting].key), 'fallback_on_refusal', 'secret_headers'];

/** What a host may set for one row. */
export type GatewayConnectionOptions = Partial<Pick<WexGatewayOptions, 'apiKey' | 'fetch' | 'dispatcher' | 'proxy'>>;

/** Rows with provider `wex_ai_gateway`. */
export function wexGatewayKind(options: WexGatewayKindOptions): ProviderKind {
  return gatewayKind('wex_ai_gateway', {}, options);
}

/**
 * Rows with provider `openai`: OpenAI itself or, with a `base_url`, any server that speaks its API. Without a
 * `password`, no key is sent.
 */
export function openAiKind(options: WexGatewayKindOptions): ProviderKind {
  return gatewayKind(
    'openai',
    {
      baseUrl: 'https://api.openai.com/v1',
      embeddingModel: 'text-embedding-3-small',
      textModel: 'gpt-4o-mini',
    },
    options,
  );
}

type Preset = Partial<Pick<WexGatewayOptions, 'baseUrl' | 'embeddingModel' | 'textModel'>>;

function gatewayKind(name: string, preset: Preset, options: WexGatewayKindOptions): ProviderKind {
  const { credentialCipher, fetch, proxy, keepServerWords, connectionFor } = options;
  return {
    name,
    isLocal: false,
    operations: ['embedding', 'text'],
    isMadeFor,
    reviewRow: ({ aiModelConfig }) => [
      ...reviewKeys('ai_model_config', aiModelConfig, rowKeys),
      ...reviewDurations(aiModelConfig),
    ],
    async create({ integration, usageRecorder, logger }: ProviderContext) {
      const baseUrl = integration.baseUrl || preset.baseUrl;
      if (baseUrl === undefined) throw invalidRow(integration, 'has no `base_url`');
      const connection = connectionFor?.(integration) ?? {};
      const needsPassword = connection.apiKey === undefined && !integration.password;
      if (needsPassword && (name === 'wex_ai_gateway' || !integration.baseUrl)) {
        throw invalidRow(integration, 'has no `password`, so there is no API key');
      }
      const settings = wexGatewaySettingsFromIntegration(integration, logger);
      const hasPassword = connection.apiKey === undefined && integration.password;
      const apiKey = hasPassword
        ? await decrypt(credentialCipher, integration.password!, '`password`', integration)
        : null;
      const headers = { ...settings.headers, ...(await secretHeaders(credentialCipher, integration)) };
      try {
        return new WexGatewayProvider({
          ...preset,
          ...settings,
          id: `${name}:${integration.id}`,
          baseUrl,
          apiKey,
          usageRecorder,
          logger,
          fetch,
          proxy,
          keepServerWords,
          ...connection,
          ...(Object.keys(headers).length === 0 ? {} : { headers }),
        });
      } catch (error) {
        if (!isAiProviderError(error)) throw error;
        throw invalidRow(
          integration,
          `cannot be used: ${error.message.replaceAll('`baseUrl`', '`base_url`').replace(/\.$/, '')}`,
        );
      }
    },
  };
}

async function decrypt(cipher: CredentialCipher, token: string, what: string, row: Integration): Promise<string> {
  try {
    return await cipher.decrypt(token);
  } catch (error) {
    if (!isAiProviderError(error) || error.code !== 'credential_invalid') throw error;
    const { id, provider, tenantId } = row;
    const message = `The ${what} of integration ${id} (${provider}) of tenant ${tenantId} cannot be decrypted: ${error.message}`;
    throw new AiProviderError(message, { code: 'credential_invalid', cause: error });
  }
}

/** Headers that hold keys, such as a subscription's: encrypted in the row, as the password is. */
async function secretHeaders(cipher: CredentialCipher, row: Integration): Promise<Record<string, string>> {
  const tokens = row.aiModelConfig.secret_headers ?? {};
  if (!isRecord(tokens) || !Object.values(tokens).every((token) => typeof token === 'string')) {
    throw invalidRow(row, 'has `secret_headers` that are not an object of encrypted values');
  }
  const headers: Record<string, string> = {};
  for (const [header, token] of Object.entries(tokens)) {
    headers[header] = await decrypt(cipher, token as string, `secret header \`${header}\``, row);
  }
  return headers;
}

function isMadeFor({ aiModel, aiModelConfig }: Integration, operation: Operation): boolean {
  if (typeof aiModelConfig[operation === 'embedding' ? 'embedding_model' : 'text_model'] === 'string') return true;
  if (aiModel === null || aiModel === '') return true;
  // A name that says neither, as of a deployment, may be either.
  return operation === 'embedding' ? !isTextModelName(aiModel) : !isEmbeddingModelName(aiModel);
}

function invalidRow({ id, provider }: Integration, what: string): AiProviderError {
  return new AiProviderError(`Integration ${id} (${provider}) ${what}.`, { code: 'invalid_config' });
}

/** Durations in a row are seconds. One of over an hour was probably written in milliseconds. */
function reviewDurations(config: Integration['aiModelConfig']): string[] {
  return ['timeout', 'deadline', 'retry_delay']
    .filter((key) => Number(config[key]) > 3600)
    .map((key) => `\`ai_model_config.${key}\` is ${Number(config[key])} seconds, over an hour: is it in milliseconds?`);
}
