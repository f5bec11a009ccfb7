// A NestJS host in CommonJS, compiled by tsc: the parts are providers of a module, and closed when the app stops.
import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  FernetCipher,
  HybridProviderManager,
  MemoryIntegrationRepository,
  ProviderFactory,
  standardProviderKinds,
} from '@pulse/ai-providers';
import { FakeGateway } from '@pulse/ai-providers/testing';

class ClosesFactory implements OnApplicationShutdown {
  constructor(readonly factory: ProviderFactory) {}

  onApplicationShutdown(): Promise<void> {
    return this.factory.close();
  }
}

@Module({})
class AiModule {
  static forRoot(makeFactory: () => ProviderFactory): DynamicModule {
    return {
      module: AiModule,
      global: true,
      providers: [
        {
          provide: ClosesFactory,
          inject: [ProviderFactory],
          useFactory: (factory: ProviderFactory) => new ClosesFactory(factory),
        },
        { provide: ProviderFactory, useFactory: makeFactory },
        {
          provide: HybridProviderManager,
          inject: [ProviderFactory],
          useFactory: (factory: ProviderFactory) => new HybridProviderManager({ factory }),
        },
      ],
      exports: [HybridProviderManager],
    };
  }
}

async function main(): Promise<void> {
  const gateway = await FakeGateway.start();
  const credentialCipher = new FernetCipher(FernetCipher.generateKey());
  const row = {
    tenantId: 1,
    provider: 'wex_ai_gateway',
    baseUrl: gateway.baseUrl,
    password: credentialCipher.encrypt('k'),
  };
  const repository = new MemoryIntegrationRepository({ integrations: [row] });
  const makeFactory = () => new ProviderFactory({ repository, kinds: standardProviderKinds({ credentialCipher }) });
  const app = await NestFactory.createApplicationContext(AiModule.forRoot(makeFactory), { logger: false });
  const { embeddings } = await app.get(HybridProviderManager).generateEmbeddings(['a text'], { tenantId: 1 });
  await app.close();
  await gateway.close();
  console.log(`vectors ${embeddings.length}`);
}

void main();
