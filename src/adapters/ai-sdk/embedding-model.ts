import { type AiSdkProviderOptions, callContext, providerName, toMetadata } from './call-context.js';
import type { AiSdkEmbeddingModel, SpecificationVersion } from './specification.js';

export function embeddingModel<Version extends SpecificationVersion>(
  options: AiSdkProviderOptions<Version>,
  modelId: string,
): AiSdkEmbeddingModel<Version> {
  return {
    specificationVersion: (options.specificationVersion ?? 'v4') as Version,
    provider: providerName,
    modelId,
    // The manager cuts a call into batches itself, by tokens and by what each server takes.
    maxEmbeddingsPerCall: undefined,
    supportsParallelCalls: true,
    async doEmbed(call) {
      const { shared, inputType, requiredSpace } = callContext(options, modelId, call);
      const result = await options.manager.generateEmbeddings(call.values, { ...shared, inputType, requiredSpace });
      const { inputTokens } = result.usage;
      return {
        embeddings: result.embeddings.map((vector) => Array.from(vector)),
        ...(inputTokens === null ? {} : { usage: { tokens: inputTokens } }),
        providerMetadata: toMetadata(result),
        warnings:
          call.dimensions === undefined
            ? []
            : [{ type: 'unsupported', feature: 'dimensions', details: 'Set `dimensions` in the integration.' }],
      };
    },
  };
}
