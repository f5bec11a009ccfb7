// Fastify with its own logger handed in, an error handler, and a hook that closes what the library holds.
import {
  FernetCipher,
  HybridProviderManager,
  isAiProviderError,
  MemoryIntegrationRepository,
  ProviderFactory,
  standardProviderKinds,
} from '@pulse/ai-providers';
import fastify from 'fastify';

const lines = [];
const app = fastify({ logger: { level: 'warn', stream: { write: (line) => lines.push(line) } } });
const kinds = standardProviderKinds({ credentialCipher: new FernetCipher(FernetCipher.generateKey()) });
const repository = new MemoryIntegrationRepository({ integrations: [{ tenantId: 1, provider: 'somebody_else' }] });
const factory = new ProviderFactory({ repository, kinds, logger: app.log });
const manager = new HybridProviderManager({ factory, logger: app.log });
app.setErrorHandler((error, _request, reply) => {
  const code = isAiProviderError(error) ? error.code : 'internal_error';
  return reply.status(code === 'invalid_input' ? 400 : 500).send({ code });
});
app.get('/texts', (request) => manager.generateText(request.query.prompt ?? '', { tenantId: 1 }));
app.get('/health', () => manager.health(1));
app.addHook('onClose', () => factory.close());
const refused = await app.inject('/texts');
await app.inject('/health');
await app.close();
console.log(
  `${refused.statusCode} ${refused.json().code}, logged ${lines.some((line) => line.includes('somebody_else'))}`,
);
