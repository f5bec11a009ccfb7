import { AiProviderError } from '../../../errors.js';
import type { Collection } from '../collections/collection.js';
import {
  type CheckedCollectionOptions,
  checkCollectionOptions,
  type QdrantCollectionOptions,
} from '../collections/options.js';
import { indexesOf } from '../collections/payload-indexes.js';

export interface RebuildOptions extends Omit<QdrantCollectionOptions, 'mode' | 'embeddingSpace'> {
  /**
   * The embedding space of the new collection; null for none. Has to be given if the vector size changes and the
   * present one is pinned.
   */
  readonly embeddingSpace?: string | null | undefined;
  /**
   * Goes on with the newest build that was begun and neither committed nor aborted, with the points that it holds: for
   * a job that knows how far it came. Without it such a build is dropped, and the new one is empty. @default false
   */
  readonly resume?: boolean | undefined;
}

/** The options that make a collection like one that exists. */
export function optionsLike(model: Collection): QdrantCollectionOptions {
  const { params, quantization_config, optimizer_config, wal_config } = model.response.config ?? {};
  const isSmall = optimizer_config?.default_segment_number === 1 && wal_config?.wal_capacity_mb === 1;
  return {
    vectorSize: model.vectorSize,
    embeddingSpace: model.metadata?.pulse_ai_providers.embedding_space ?? undefined,
    hasSparseVectors: model.hasSparseVectors,
    termWeights: model.hasSparseVectors && !model.weighsTerms ? 'none' : 'idf',
    payloadIndexes: indexesOf(model),
    preset: isSmall ? 'small' : 'standard',
    onDiskVectors: params?.vectors?.on_disk ?? undefined,
    onDiskPayload: params?.on_disk_payload ?? undefined,
    quantization: quantization_config?.binary ? 'binary' : quantization_config?.scalar ? 'scalar' : 'none',
    shardNumber: params?.shard_number ?? undefined,
    replicationFactor: params?.replication_factor ?? undefined,
    writeConsistencyFactor: params?.write_consistency_factor ?? undefined,
  };
}

/**
 * The options of a rebuild: what is not given is as the present collection has it. A preset goes before the present
 * one's storage.
 *
 * @throws {@link AiProviderError} with code `dimension_mismatch` for vectors of another size in the present embedding
 *   space.
 */
export function rebuildOptions(current: Collection, options: RebuildOptions): CheckedCollectionOptions {
  const { vectorSize, embeddingSpace, hasSparseVectors, payloadIndexes, ...storage } = optionsLike(current);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const checked = checkCollectionOptions({
    ...(options.preset === undefined ? storage : {}),
    vectorSize,
    hasSparseVectors,
    ...given,
    payloadIndexes: { ...payloadIndexes, ...options.payloadIndexes },
    embeddingSpace: options.embeddingSpace === undefined ? embeddingSpace : (options.embeddingSpace ?? undefined),
  });
  if (checked.vectorSize === vectorSize || embeddingSpace === undefined || options.embeddingSpace !== undefined) {
    return checked;
  }
  throw new AiProviderError(
    `The collection ${current.scope.collection} is pinned to the embedding space ${embeddingSpace}, of ${vectorSize} dimensions, not ${checked.vectorSize}. ` +
      'Name the `embeddingSpace` of the new vectors, or null for none.',
    { code: 'dimension_mismatch' },
  );
}
