export { fakeEmbedding } from './fake-embedding.js';
export { FakeGateway, type FakeGatewayOptions, type FakeGatewayRequest } from './fake-gateway.js';
export { type GatewayFault, slowStart } from './gateway-fault.js';
