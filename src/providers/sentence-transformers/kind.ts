import { reviewKeys } from '../../core/cost/prices.js';
import type { ProviderContext, ProviderKind } from '../../core/ports/provider-kind.js';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import type { Dtype } from './dtype.js';
import type { LocalModelOptions, SentenceTransformersOptions } from './options.js';
import { SentenceTransformersProvider } from './provider.js';
import { EngineRegistry } from './scheduling/engine-registry.js';

/** Every key of `ai_model_config` that has a meaning. */
const rowKeys = [
  'batch_size',
  'normalize_embeddings',
  'dtype',
  'dimensions',
  'truncate_dim',
  'max_seq_length',
  'prompts',
  'revision',
];

/**
 * Makes local providers from rows of `integrations` with provider `sentence_transformers`. Rows that name the same model, of whatever
 * tenants, share its threads and weights; the last one closed frees them.
 *
 * From `ai_model_config` it reads `batch_size`, `normalize_embeddings`, `dtype`, `dimensions`, `prompts` and `revision`;
 * other keys are reported as unknown.
 *
 * @example
 * new ProviderFactory({ repository, kinds: [sentenceTransformersKind({ cacheFolder: '/var/cache/models' })] })
 */
export function sentenceTransformersKind(options: LocalModelOptions = {}): ProviderKind {
  const engines = new EngineRegistry();
  return {
    name: 'sentence_transformers',
    isLocal: true,
    operations: ['embedding'],
    hasModel: ({ aiModel }, model) => model === (aiModel ?? 'all-MiniLM-L6-v2'),
    reviewRow: ({ aiModelConfig }) => reviewKeys('ai_model_config', aiModelConfig, rowKeys),
    create: (context) => {
      try {
        return new SentenceTransformersProvider({ ...options, ...optionsOfRow(context) }, engines);
      } catch (error) {
        if (!(error instanceof InvalidInputError)) throw error;
        const { id } = context.integration;
        throw new AiProviderError(`The integration ${id} cannot be used: ${error.message}`, {
          code: 'invalid_config',
          cause: error,
        });
      }
    },
  };
}

function optionsOfRow({ integration, usageRecorder, logger }: ProviderContext): SentenceTransformersOptions {
  const config = integration.aiModelConfig;
  return {
    id: `sentence_transformers:${integration.id}`,
    // Validated where the provider is made: rows are written by people.
    model: integration.aiModel ?? undefined,
    revision: config.revision as string | undefined,
    dtype: config.dtype as Dtype | undefined,
    dimensions: (config.dimensions ?? config.truncate_dim) as number | undefined,
    maxTokens: config.max_seq_length as number | undefined,
    prompts: config.prompts as SentenceTransformersOptions['prompts'],
    batchSize: config.batch_size as number | undefined,
    normalizeEmbeddings: config.normalize_embeddings as boolean | undefined,
    usageRecorder,
    logger,
  };
}
