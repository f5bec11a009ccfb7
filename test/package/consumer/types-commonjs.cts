import library = require('@pulse/ai-providers');

const provider = new library.WexGatewayProvider({ baseUrl: 'https://gateway.test/v1', apiKey: 'key' });
const isError: boolean = library.isAiProviderError(new Error());
const embed = (manager: library.HybridProviderManager): Promise<library.ManagedEmbeddingResult> =>
  manager.generateEmbeddings(['text'], { tenantId: 1 });

export = { embed, isError, provider };
