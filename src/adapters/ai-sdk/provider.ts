import { AiProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { requireTenantId } from '../../internal/validate.js';
import type { AiSdkProviderOptions } from './call-context.js';
import { embeddingModel } from './embedding-model.js';
import { languageModel } from './language-model.js';
import type { AiSdkEmbeddingModel, AiSdkLanguageModel, SpecificationVersion } from './specification.js';

/**
 * A provider of the AI SDK (`ProviderV4` or `ProviderV3`). Model ids are names of models, or `'auto'` for the
 * integration's own.
 */
export interface AiSdkProvider<Version extends SpecificationVersion = 'v4'> {
  readonly specificationVersion: Version;
  languageModel(modelId: string): AiSdkLanguageModel<Version>;
  embeddingModel(modelId: string): AiSdkEmbeddingModel<Version>;
  imageModel(modelId: string): never;
}

/**
 * The tenant's integrations as a provider of the AI SDK, with failover, prices and usage rows. What a call cost and
 * who served it is in
 * `providerMetadata.pulse`: `{ provider, integrationId, cost, failedOver }`, with `cost` in exact US dollars as a
 * string.
 *
 * `providerOptions.pulse` of a call may hold `inputType`, `requiredSpace`, `purpose`, `preferredProvider` and `tier`.
 *
 * @example
 * import { embedMany, generateText } from 'ai';
 * const pulse = createAiSdkProvider({ manager, tenantId: 7 });
 * const { embeddings, providerMetadata } = await embedMany({ model: pulse.embeddingModel('auto'), values: texts });
 * const { text } = await generateText({ model: pulse.languageModel('auto'), prompt: 'Summarise the ticket.' });
 * @throws `InvalidInputError` for a tenant id that is not a positive integer.
 */
export function createAiSdkProvider<Version extends SpecificationVersion = 'v4'>(
  options: AiSdkProviderOptions<Version>,
): AiSdkProvider<Version> {
  requireOptions(options);
  requireTenantId(options.tenantId);
  return {
    specificationVersion: (options.specificationVersion ?? 'v4') as Version,
    languageModel: (modelId) => languageModel(options, modelId),
    embeddingModel: (modelId) => embeddingModel(options, modelId),
    imageModel: (modelId) => {
      throw new AiProviderError(`This provider makes embeddings and text, and has no image model ${modelId}.`, {
        code: 'unsupported_operation',
      });
    },
  };
}
