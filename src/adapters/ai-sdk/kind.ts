import type { CredentialCipher } from '../../core/ports/credential-cipher.js';
import type { Integration } from '../../core/ports/integration-repository.js';
import type { Operation, ProviderKind } from '../../core/ports/provider-kind.js';
import { AiProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { requireFunction, requireNonEmptyString } from '../../internal/validate.js';
import { type ForeignEmbeddingModel, type ForeignLanguageModel, ModelProvider } from './model-provider.js';

/** The models of one integration: at least an embedding model or a language model. */
export interface AiSdkModels {
  readonly embedding?: ForeignEmbeddingModel | undefined;
  readonly language?: ForeignLanguageModel | undefined;
}

export interface AiSdkKindOptions {
  /** The value of `integrations.provider`, such as `bedrock`. */
  readonly name: string;
  /** What the models can do. @default ['embedding', 'text'] */
  readonly operations?: readonly Operation[] | undefined;
  /** Whether the models run in this process and cost nothing. @default false */
  readonly isLocal?: boolean | undefined;
  /** Decrypts `integrations.password`, which is then `apiKey` in `models`. */
  readonly credentialCipher?: CredentialCipher | undefined;
  /** Makes the models of a row, without a network call. */
  models(row: { readonly integration: Integration; readonly apiKey: string | undefined }): AiSdkModels;
}

/**
 * Any models of the AI SDK (specification 3 or 4) as a kind of provider: Bedrock, Vertex, Mistral, Voyage and
 * whatever else has a provider package.
 * They get failover, prices, budgets and usage rows like this library's own.
 *
 * @example
 * import { createMistral } from '@ai-sdk/mistral';
 * const mistralKind = aiSdkKind({
 *   name: 'mistral',
 *   credentialCipher,
 *   models: ({ integration, apiKey }) => ({ embedding: createMistral({ apiKey }).embeddingModel(integration.aiModel
 * ?? 'mistral-embed') }),
 * });
 * new ProviderFactory({ repository, kinds: [...standardProviderKinds({ credentialCipher }), mistralKind] });
 * @throws `InvalidInputError` for options that cannot be used.
 */
export function aiSdkKind(options: AiSdkKindOptions): ProviderKind {
  requireOptions(options);
  requireNonEmptyString(options.name, 'name');
  requireFunction(options.models, 'models');
  return {
    name: options.name,
    isLocal: options.isLocal ?? false,
    operations: options.operations ?? ['embedding', 'text'],
    async create({ integration, usageRecorder }) {
      const { password } = integration;
      const apiKey = password ? await options.credentialCipher?.decrypt(password) : undefined;
      const models = options.models({ integration, apiKey });
      if (models?.embedding === undefined && models?.language === undefined) {
        throw new AiProviderError(
          `Integration ${integration.id} (${integration.provider}) has no model: \`models\` of its kind returned neither \`embedding\` nor \`language\`.`,
          { code: 'invalid_config' },
        );
      }
      return new ModelProvider(`${options.name}:${integration.id}`, models, usageRecorder);
    },
  };
}
