/**
 * The columns of the integration that is made for a tenant that has no local one, as the platform's document has them.
 */
export const defaultLocalIntegration = {
  provider: 'sentence_transformers',
  aiModel: 'all-MiniLM-L6-v2',
  aiModelConfig: { batch_size: 32, normalize_embeddings: true },
  costConfig: { cost_per_1k_tokens: 0 },
} as const;
