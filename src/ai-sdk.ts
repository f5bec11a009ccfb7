/** The AI SDK (`ai` 6 and 7): a tenant's integrations as its provider, and its models as a kind of provider here. */

export type { AiSdkProviderOptions } from './adapters/ai-sdk/call-context.js';
export { type AiSdkKindOptions, type AiSdkModels, aiSdkKind } from './adapters/ai-sdk/kind.js';
export type { ForeignEmbeddingModel, ForeignLanguageModel } from './adapters/ai-sdk/model-provider.js';
export { type AiSdkProvider, createAiSdkProvider } from './adapters/ai-sdk/provider.js';
export type {
  AiSdkEmbeddingModel,
  AiSdkLanguageModel,
  SpecificationVersion,
} from './adapters/ai-sdk/specification.js';
