import { reviewKeys } from '../../core/cost/prices.js';
import type { CredentialCipher } from '../../core/ports/credential-cipher.js';
import type { Integration } from '../../core/ports/integration-repository.js';
import type { Operation, ProviderContext, ProviderKind } from '../../core/ports/provider-kind.js';
import { AiProviderError, isAiProviderError } from '../../errors.js';
import { isEmbeddingModelName, isTextModelName } from './model-names.js';
import { type FetchLike, type WexGatewayOptions, wexGatewaySettingsFromIntegration } from './options.js';
import { WexGatewayProvider } from './provider.js';
import { settingNames, settingRules } from './settings.js';

export interface WexGatewayKindOptions {
  /** Decrypts `integrations.password`. */
  readonly credentialCipher: CredentialCipher;
  /** @default the global `fetch` */
  readonly fetch?: FetchLike | undefined;
}

/** Every key of `ai_model_config` that has a meaning, here or to the manager. */
const rowKeys = [...settingNames.map((setting) => settingRules[setting].key), 'fallback_on_refusal'];

/** Rows with provider `wex_ai_gateway`. */
export function wexGatewayKind(options: WexGatewayKindOptions): ProviderKind {
  return gatewayKind('wex_ai_gateway', {}, options);
}

/** Rows with provider `openai`: OpenAI itself or, with a `base_url`, any server that speaks its API. Without a `password`, no key is sent. */
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

function gatewayKind(name: string, preset: Preset, { credentialCipher, fetch }: WexGatewayKindOptions): ProviderKind {
  return {
    name,
    isLocal: false,
    operations: ['embedding', 'text'],
    isMadeFor,
    reviewRow: ({ aiModelConfig }) => reviewKeys('ai_model_config', aiModelConfig, rowKeys),
    async create({ integration, usageRecorder, logger }: ProviderContext) {
      const baseUrl = integration.baseUrl || preset.baseUrl;
      if (baseUrl === undefined) throw invalidRow(integration, 'has no `base_url`');
      if (!integration.password && (name === 'wex_ai_gateway' || !integration.baseUrl)) {
        throw invalidRow(integration, 'has no `password`, so there is no API key');
      }
      const settings = wexGatewaySettingsFromIntegration(integration, logger);
      const apiKey = integration.password ? await decryptPassword(credentialCipher, integration) : null;
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

async function decryptPassword(cipher: CredentialCipher, integration: Integration): Promise<string> {
  try {
    return await cipher.decrypt(integration.password!);
  } catch (error) {
    if (!isAiProviderError(error) || error.code !== 'credential_invalid') throw error;
    const { id, provider, tenantId } = integration;
    const message = `The \`password\` of integration ${id} (${provider}) of tenant ${tenantId} cannot be decrypted: ${error.message}`;
    throw new AiProviderError(message, { code: 'credential_invalid', cause: error });
  }
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
