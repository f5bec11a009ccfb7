import { isAiProviderError } from '../../errors.js';
import type { QdrantConnection } from './connection.js';

export interface VectorStoreHealth {
  readonly status: 'healthy' | 'unhealthy';
  /** One sentence for an operator: what was asked, and what came. */
  readonly detail: string;
  /** The server's version, where it said. */
  readonly version: string | undefined;
}

/**
 * Asks for the version, which says that a server is there, and then for the collections, which only a server answers that has loaded them,
 * and only with a key that it takes: `/` answers anybody.
 */
export async function checkHealth(
  connection: QdrantConnection,
  signal: AbortSignal | undefined,
): Promise<VectorStoreHealth> {
  let version: string | undefined;
  try {
    ({ version } = await connection.request({ operation: 'asking for the version', signal }, (client) =>
      client.versionInfo(),
    ));
    await connection.request({ operation: 'listing collections', signal }, (client) => client.getCollections());
    return {
      status: 'healthy',
      detail: `Qdrant ${version} at ${connection.endpoint} answers and takes the key.`,
      version,
    };
  } catch (error) {
    if (!isAiProviderError(error)) throw error;
    return { status: 'unhealthy', detail: error.message, version };
  }
}
