export type { CredentialCipher } from './core/credential-cipher.js';
export type {
  CallOptions,
  EmbeddedBatch,
  EmbeddingInputType,
  EmbeddingOptions,
  EmbeddingProvider,
  EmbeddingResult,
  EmbeddingUsage,
  PartialEmbeddingResult,
  ProviderHealth,
} from './core/embedding-provider.js';
export { type DeclaredEmbeddingSpace, type EmbeddingSpace, embeddingSpaceId } from './core/embedding-space.js';
export {
  HybridProviderManager,
  type HybridProviderManagerOptions,
  type IntegrationHealth,
  type ManagedEmbeddingOptions,
  type ManagedEmbeddingResult,
  type ManagedTextOptions,
  type ManagedTextResult,
  type Provenance,
} from './core/hybrid-provider-manager.js';
export type { IndexRecord, PartialUpsertResult, UpsertOptions, UpsertResult } from './core/index-upsert.js';
export type {
  Integration,
  IntegrationRepository,
  UsageOperation,
  UsageRecord,
} from './core/integration-repository.js';
export type { Logger } from './core/logger.js';
export { ProviderFactory, type ProviderFactoryOptions } from './core/provider-factory.js';
export type { AiProvider, Operation, ProviderContext, ProviderKind } from './core/provider-kind.js';
export type { StandardSchema } from './core/standard-schema.js';
export { estimateTaskComplexity, type TaskComplexity, type TaskTier, type TextTask } from './core/task-complexity.js';
export type {
  ModelChoice,
  TextChunk,
  TextMessage,
  TextOptions,
  TextPrompt,
  TextProvider,
  TextResult,
  TextUsage,
  Tool,
  ToolCall,
} from './core/text-provider.js';
export type { UsageEvent, UsageRecorder } from './core/usage-recorder.js';
export { type IndexSearchOptions, VectorIndex, type VectorIndexOptions } from './core/vector-index.js';
export type {
  CollectionDescription,
  CreateCollectionOptions,
  JsonValue,
  SearchOptions,
  SimilarRecord,
  SparseVector,
  UpsertVectorsOptions,
  VectorRecord,
  VectorStore,
} from './core/vector-store.js';
export { FernetCipher } from './credential-ciphers/fernet/fernet-cipher.js';
export {
  AiProviderError,
  type AiProviderErrorCode,
  type EmbeddingFailure,
  EmbeddingSpaceMismatchError,
  InvalidInputError,
  isAiProviderError,
  MissingDependencyError,
  PartialEmbeddingError,
  PartialUpsertError,
  ProviderError,
  ProvidersExhaustedError,
  RepositoryError,
  type UpsertFailure,
  VectorStoreError,
} from './errors.js';
export type { Dtype } from './providers/sentence-transformers/dtype.js';
export type { DownloadProgress } from './providers/sentence-transformers/hub/hub-settings.js';
export type { LocalModelOptions, SentenceTransformersOptions } from './providers/sentence-transformers/options.js';
export { localModelOptionsFromEnv } from './providers/sentence-transformers/options-from-env.js';
export { sentenceTransformersKind } from './providers/sentence-transformers/sentence-transformers-kind.js';
export { SentenceTransformersProvider } from './providers/sentence-transformers/sentence-transformers-provider.js';
export type { WeightsPackage, WeightsPackageExport } from './providers/sentence-transformers/weights-package.js';
export { openAiKind, type WexGatewayKindOptions, wexGatewayKind } from './providers/wex-gateway/wex-gateway-kind.js';
export type { FetchLike, WexGatewayOptions } from './providers/wex-gateway/wex-gateway-options.js';
export { WexGatewayProvider } from './providers/wex-gateway/wex-gateway-provider.js';
export type { WexGatewaySettings } from './providers/wex-gateway/wex-gateway-settings.js';
export { KyselyIntegrationRepository } from './repositories/kysely/kysely-integration-repository.js';
export {
  type MemoryIntegration,
  MemoryIntegrationRepository,
  type MemoryUsage,
} from './repositories/memory/memory-integration-repository.js';
export { type StandardProviderKindsOptions, standardProviderKinds } from './standard-provider-kinds.js';
export type { RebuildOptions } from './vector-stores/qdrant/collection-options-like.js';
export type { CollectionRebuild, CommitOptions } from './vector-stores/qdrant/collection-rebuild.js';
export type {
  CollectionPreset,
  PayloadIndexType,
  QdrantCollectionOptions,
  Quantization,
} from './vector-stores/qdrant/collection-request.js';
export type { CopyOptions } from './vector-stores/qdrant/copy-points.js';
export {
  type CopiedTable,
  type CopyVectorStoreOptions,
  copyVectorStore,
} from './vector-stores/qdrant/copy-vector-store.js';
export type { VectorStoreHealth } from './vector-stores/qdrant/health.js';
export type { QdrantCollectionDescription } from './vector-stores/qdrant/list-collections.js';
export type { CollectionMode } from './vector-stores/qdrant/naming.js';
export type { PulseQdrantClientOptions } from './vector-stores/qdrant/options.js';
export { PulseQdrantClient } from './vector-stores/qdrant/pulse-qdrant-client.js';
export type { QdrantClientLike, QdrantPoint } from './vector-stores/qdrant/qdrant-client-like.js';
export type {
  CountValuesOptions,
  FacetValue,
  FilterOptions,
  ListRecordsOptions,
  ReadOptions,
  StoredRecord,
} from './vector-stores/qdrant/read-records.js';
export type { RecommendOptions } from './vector-stores/qdrant/recommend.js';
export type { HitGroup, VectorHit } from './vector-stores/qdrant/search.js';
export type {
  BatchSearch,
  GroupSearchOptions,
  HybridSearchOptions,
  VectorSearchOptions,
} from './vector-stores/qdrant/search-options.js';
