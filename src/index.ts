export type { CallTags } from './core/calls/call.js';

export type { EmbeddingCacheOptions } from './core/calls/embedding-reuse.js';

export { HybridProviderManager } from './core/calls/hybrid-provider-manager.js';
export type {
  HybridProviderManagerOptions,
  IntegrationHealth,
  IntegrationSummary,
  ManagedEmbeddingOptions,
  ManagedEmbeddingResult,
  ManagedTextOptions,
  ManagedTextResult,
  Provenance,
} from './core/calls/managed-options.js';
export type { BudgetEvent } from './core/cost/budget.js';
export type { BudgetOptions } from './core/cost/budget-limits.js';
export type { UsageCounts, UsageDeadLetter } from './core/cost/usage-outbox.js';

export type {
  UsageDimension,
  UsageFigures,
  UsageReport,
  UsageReportOptions,
  UsageReportRow,
} from './core/cost/usage-report.js';
export { toHtml } from './core/cost/usage-report-html.js';
export { toPrometheus } from './core/cost/usage-report-prometheus.js';
export { type DeclaredEmbeddingSpace, type EmbeddingSpace, embeddingSpaceId } from './core/embedding-space.js';
export type { ChunkingOptions } from './core/index/chunking.js';
export type {
  IndexRecord,
  PartialUpsertResult,
  StoredBatch,
  UpsertCounts,
  UpsertOptions,
  UpsertResult,
} from './core/index/index-upsert.js';
export type { Excerpt, IndexHit } from './core/index/pieces.js';
export type { SearchedTable, TablesSearchOptions } from './core/index/search-records.js';
export type { SyncCounts, SyncOptions, SyncProgress, SyncResult } from './core/index/sync.js';
export type { ReadSyncPage, SyncPage, SyncRecord, SyncSource } from './core/index/sync-source.js';
export { type IndexSearchOptions, VectorIndex, type VectorIndexOptions } from './core/index/vector-index.js';
export type { CallOptions, CallPurpose, ProviderCallOptions } from './core/ports/call-options.js';
export type { CredentialCipher } from './core/ports/credential-cipher.js';
export type { EmbeddingCache, EmbeddingCacheEntry } from './core/ports/embedding-cache.js';
export type {
  EmbeddedBatch,
  EmbeddingInputType,
  EmbeddingOptions,
  EmbeddingProvider,
  EmbeddingResult,
  EmbeddingUsage,
  PartialEmbeddingResult,
  ProviderHealth,
} from './core/ports/embedding-provider.js';
export type {
  Integration,
  IntegrationRepository,
  RecordUsageRowsOptions,
  TenantUsage,
  UsageRecord,
} from './core/ports/integration-repository.js';
export type { Logger } from './core/ports/logger.js';
export type { CataloguePrice, PriceQuery, PriceSource } from './core/ports/price-source.js';
export type { AiProvider, Operation, ProviderContext, ProviderKind } from './core/ports/provider-kind.js';
export type { StandardSchema } from './core/ports/standard-schema.js';
export type { DeadLetter, SyncCheckpoint, SyncStore, SyncTable } from './core/ports/sync-store.js';
export type {
  AssistantMessage,
  ModelChoice,
  TextChunk,
  TextMessage,
  TextOptions,
  TextPart,
  TextPrompt,
  TextProvider,
  TextResult,
  TextUsage,
  Tool,
  ToolCall,
} from './core/ports/text-provider.js';
export type { UsageEvent, UsageOperation, UsageRecorder } from './core/ports/usage-recorder.js';
export type {
  CollectionDescription,
  CreateCollectionOptions,
  JsonValue,
  ReadStoredOptions,
  SearchOptions,
  SimilarRecord,
  SparseVector,
  StoredContent,
  UpsertVectorsOptions,
  VectorRecord,
  VectorStore,
} from './core/ports/vector-store.js';
export type { ProviderChoice } from './core/routing/call-plan.js';
export type { Candidate } from './core/routing/candidate.js';
export type { Policy, PolicyCandidate, PolicyChoice, PolicyName, PolicyRequest } from './core/routing/policy.js';
export { ProviderFactory, type ProviderFactoryOptions, type UsageOptions } from './core/routing/provider-factory.js';
export type { TaskTier } from './core/routing/task-complexity.js';

export {
  type IntegrationDraft,
  type IntegrationReview,
  type IntegrationTest,
  validateIntegration,
} from './core/routing/test-integration.js';
export { FernetCipher, type FernetDecryptOptions } from './credential-ciphers/fernet/fernet-cipher.js';
export {
  KeyvEmbeddingCache,
  type KeyvEmbeddingCacheOptions,
  type KeyvLike,
} from './embedding-caches/keyv/keyv-embedding-cache.js';
export {
  MemoryEmbeddingCache,
  type MemoryEmbeddingCacheOptions,
} from './embedding-caches/memory/memory-embedding-cache.js';
export {
  AiProviderError,
  type AiProviderErrorCode,
  type AiProviderErrorOf,
  BudgetExceededError,
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
export { genAiPriceSource } from './price-sources/genai-prices.js';
export type { Dtype } from './providers/sentence-transformers/dtype.js';
export { sentenceTransformersKind } from './providers/sentence-transformers/kind.js';
export type { DownloadProgress } from './providers/sentence-transformers/model/hub/hub-settings.js';
export type { WeightsPackage, WeightsPackageExport } from './providers/sentence-transformers/model/weights-package.js';
export type { LocalModelOptions, SentenceTransformersOptions } from './providers/sentence-transformers/options.js';
export { localModelOptionsFromEnv } from './providers/sentence-transformers/options-from-env.js';
export { SentenceTransformersProvider } from './providers/sentence-transformers/provider.js';
export { openAiTokenCounter } from './providers/wex-gateway/embeddings/open-ai-token-counter.js';
export {
  type GatewayConnectionOptions,
  openAiKind,
  type WexGatewayKindOptions,
  wexGatewayKind,
} from './providers/wex-gateway/kind.js';
export type { FetchLike, WexGatewayOptions } from './providers/wex-gateway/options.js';
export { WexGatewayProvider } from './providers/wex-gateway/provider.js';
export type { ModelWithSettings, TextSettings, WexGatewaySettings } from './providers/wex-gateway/settings.js';
export type { IntegrationMapping } from './repositories/kysely/integration-mapping.js';
export type { KyselyHandle, KyselyHandles } from './repositories/kysely/kysely-handle.js';
export { KyselyIntegrationRepository } from './repositories/kysely/kysely-integration-repository.js';
export { KyselySyncStore } from './repositories/kysely/kysely-sync-store.js';
export {
  type MemoryIntegration,
  MemoryIntegrationRepository,
  type MemoryIntegrationRepositoryOptions,
  type MemoryUsage,
} from './repositories/memory/memory-integration-repository.js';
export { MemorySyncStore } from './repositories/memory/memory-sync-store.js';
export { type StandardProviderKindsOptions, standardProviderKinds } from './standard-provider-kinds.js';
export { usageReport } from './usage-report.js';
export type { QdrantCollectionDescription } from './vector-stores/qdrant/collections/describe.js';
export type {
  CollectionPreset,
  PayloadIndexType,
  QdrantCollectionOptions,
  Quantization,
} from './vector-stores/qdrant/collections/options.js';
export { PulseQdrantClient } from './vector-stores/qdrant/pulse-qdrant-client.js';
export type {
  CountValuesOptions,
  FacetValue,
  FilterOptions,
  ListRecordsOptions,
  ReadOptions,
  StoredRecord,
} from './vector-stores/qdrant/records/read-records.js';
export type { RecommendOptions } from './vector-stores/qdrant/search/recommend.js';
export type { HitGroup, VectorHit } from './vector-stores/qdrant/search/search.js';
export type {
  BatchSearch,
  GroupSearchOptions,
  HybridSearchOptions,
  VectorSearchOptions,
} from './vector-stores/qdrant/search/search-options.js';
export type { CollectionMode } from './vector-stores/qdrant/tenancy/naming.js';
export type { PulseQdrantClientOptions } from './vector-stores/qdrant/wire/client-options.js';
export type { VectorStoreHealth } from './vector-stores/qdrant/wire/health.js';
export type { QdrantClientLike, QdrantPoint } from './vector-stores/qdrant-api.js';
