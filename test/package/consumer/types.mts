// Compiled against the packed declarations, with none of the optional peers' types in reach and `skipLibCheck` off.
import {
  type AiProviderErrorCode,
  type EmbeddingProvider,
  FernetCipher,
  HybridProviderManager,
  type Integration,
  type IntegrationRepository,
  isAiProviderError,
  KyselyIntegrationRepository,
  type ManagedEmbeddingResult,
  MemoryIntegrationRepository,
  ProviderFactory,
  PulseQdrantClient,
  SentenceTransformersProvider,
  type SimilarRecord,
  standardProviderKinds,
  VectorIndex,
  WexGatewayProvider,
} from '@pulse/ai-providers';
import { FakeGateway, integrationRepositoryContract } from '@pulse/ai-providers/testing';

declare const handle: {
  readonly isTransaction: boolean;
  selectFrom(table: 'integrations'): object;
  insertInto(table: 'integrations'): object;
  transaction(): object;
  selectNoFrom(selection: () => object): object;
};
const repositories: IntegrationRepository[] = [
  new KyselyIntegrationRepository(handle),
  new MemoryIntegrationRepository(),
];
const kinds = standardProviderKinds({ credentialCipher: new FernetCipher('key') });
const factory = new ProviderFactory({ repository: repositories[0]!, kinds });
const manager = new HybridProviderManager({ factory });
const result: ManagedEmbeddingResult = await manager.generateEmbeddings(['text'], { tenantId: 1 });
const vectors: Float32Array[] = result.embeddings;
const cost: string | null = result.cost;
const store = new PulseQdrantClient({ location: ':memory:' });
const hits: SimilarRecord[] = await new VectorIndex({ manager, store }).search('query', {
  tenantId: 1,
  tableName: 'notes',
});
const providers: EmbeddingProvider[] = [
  new WexGatewayProvider({ baseUrl: 'https://gateway.test/v1', apiKey: null }),
  new SentenceTransformersProvider({ model: 'all-MiniLM-L6-v2' }),
];
const integrations: readonly Integration[] = await repositories[0]!.listActiveIntegrations(1);
try {
  await using gateway = await FakeGateway.start();
  gateway.baseUrl satisfies string;
} catch (error) {
  if (isAiProviderError(error)) error.code satisfies AiProviderErrorCode;
}
// @ts-expect-error A tenant is a number.
await repositories[0]!.listActiveIntegrations('1');
// @ts-expect-error
new PulseQdrantClient({ location: 5 });

export { cost, hits, integrationRepositoryContract, integrations, providers, vectors };
