export type { FakeMessage } from './fake-completion.js';
export { fakeEmbedding } from './fake-embedding.js';
export { FakeGateway, type FakeGatewayOptions, type FakeGatewayRequest } from './fake-gateway.js';
export {
  FakeServer,
  fakeServerVector,
  matchesRequest,
  type RequestPattern,
  type ServerReply,
  type ServerRequest,
} from './fake-server.js';
export { type GatewayFault, slowStart } from './gateway-fault.js';
export type { FastCheckApi } from './hostile-attacks.js';
export {
  type IntegrationFixture,
  type IntegrationRepositoryContractOptions,
  type IntegrationRepositoryFixture,
  integrationRepositoryContract,
  type RecordedUsage,
} from './integration-repository-contract.js';
export { type ServerCase, serverCases } from './server-cases.js';
export type { TestApi } from './test-api.js';
export {
  type VectorStoreContractOptions,
  type VectorStoreFixture,
  vectorStoreContract,
} from './vector-store-contract.js';
export {
  type IsolationFixture,
  type VectorStoreIsolationOptions,
  vectorStoreIsolation,
} from './vector-store-isolation.js';
