import { missingDependency } from '../../../internal/load-peer.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { QdrantServerAddress, QdrantTarget } from './client-options.js';

export interface ConnectedClient {
  readonly client: QdrantClientLike;
  /** Ends what `connect` started; nothing for a client that was injected. */
  close(): Promise<void>;
}

/** Makes or opens the client behind a target; the packages are loaded here, on first use. */
export async function connect(target: QdrantTarget, timeoutMs: number): Promise<ConnectedClient> {
  switch (target.kind) {
    case 'client':
      return { client: target.client, close: async () => {} };
    case 'local': {
      const { LocalQdrantClient } = await import('../../local/local-qdrant-client.js');
      const client = await LocalQdrantClient.open({ location: target.location });
      return { client, close: () => client.close() };
    }
    case 'server':
      // The real client has no close: its idle connections end by themselves.
      return { client: await connectToServer(target.address, timeoutMs), close: async () => {} };
  }
}

export async function connectToServer(address: QdrantServerAddress, timeoutMs: number): Promise<QdrantClientLike> {
  const { QdrantClient } = await loadQdrant();
  return new QdrantClient({
    host: address.host,
    port: address.port,
    https: address.https,
    ...(address.prefix === undefined ? {} : { prefix: address.prefix }),
    headers: {
      ...(address.compression ? {} : { 'accept-encoding': 'identity' }),
      // As a header: given as `apiKey` it makes the client print a warning on plain http.
      ...(address.apiKey === undefined ? {} : { 'api-key': address.apiKey }),
    },
    timeout: timeoutMs,
    // Otherwise the constructor makes a request of its own and prints what it thinks of the answer.
    checkCompatibility: false,
  });
}

async function loadQdrant() {
  try {
    return await import('@qdrant/js-client-rest');
  } catch (error) {
    throw missingDependency('@qdrant/js-client-rest', 'A Qdrant server', error);
  }
}
