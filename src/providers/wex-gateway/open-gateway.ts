import { GatewayConnection } from './calls/connection.js';
import { GatewayEmbeddings } from './embeddings/gateway-embeddings.js';
import type { ResolvedWexGatewayOptions } from './options.js';
import { GatewayText } from './text/gateway-text.js';

/**
 * What a provider works with: loaded at its first call, so that a host that only imports the library does not read it.
 */
export interface Gateway {
  readonly connection: GatewayConnection;
  readonly embeddings: GatewayEmbeddings;
  readonly text: GatewayText;
}

export function openGateway(options: ResolvedWexGatewayOptions): Gateway {
  const connection = new GatewayConnection(options);
  return { connection, embeddings: new GatewayEmbeddings(connection), text: new GatewayText(connection) };
}
