/** Compiles only if the structural types of the AI SDK's adapter agree with the real ones of both versions. */
import type { EmbeddingModelV3, LanguageModelV3, ProviderV3 } from '@ai-sdk/provider';
import type { EmbeddingModelV4, LanguageModelV4, ProviderV4 } from 'ai-sdk-provider-4';
import {
  type AiSdkModels,
  createAiSdkProvider,
  type ForeignEmbeddingModel,
  type ForeignLanguageModel,
} from '#src/ai-sdk.js';

declare const manager: Parameters<typeof createAiSdkProvider>[0]['manager'];
const four = createAiSdkProvider({ manager, tenantId: 7 });
const three = createAiSdkProvider({ manager, tenantId: 7, specificationVersion: 'v3' });

export const providers: [ProviderV4, ProviderV3] = [four, three];
export const languageModels: [LanguageModelV4, LanguageModelV3] = [four.languageModel('x'), three.languageModel('x')];
export const embeddingModels: [EmbeddingModelV4, EmbeddingModelV3] = [
  four.embeddingModel('x'),
  three.embeddingModel('x'),
];

declare const realModels: [EmbeddingModelV4, EmbeddingModelV3];
declare const realLanguageModels: [LanguageModelV4, LanguageModelV3];
export const foreign: ForeignEmbeddingModel[] = realModels;
export const foreignLanguage: ForeignLanguageModel[] = realLanguageModels;
export const both: AiSdkModels = { embedding: realModels[0], language: realLanguageModels[0] };
