// What a TypeScript host writes that emits declarations of its own.
import {
  FernetCipher,
  type HybridProviderManager,
  type KyselyIntegrationRepository,
  MemoryIntegrationRepository,
  type ProviderFactory,
  type PulseQdrantClient,
} from '@pulse/ai-providers';
import { FakeGateway } from '@pulse/ai-providers/testing';

declare const factory: ProviderFactory;
declare const manager: HybridProviderManager;
declare const store: PulseQdrantClient;
export const cipher = new FernetCipher(FernetCipher.generateKey());
export const decryptOptions = null as unknown as Parameters<FernetCipher['decrypt']>[1];
export const candidates = factory.listCandidates(7);
export const embedded = manager.generateEmbeddings(['text'], { tenantId: 7 });
export const stored = store.listRecords;
export const memory = new MemoryIntegrationRepository();
export const handle = null as unknown as ConstructorParameters<typeof KyselyIntegrationRepository>[0];
export const gateway = (): Promise<FakeGateway> => FakeGateway.start();
