import { isAiProviderError } from '../../../errors.js';
import type { QdrantConnection } from './connection.js';

export interface VectorStoreHealth {
  readonly status: 'healthy' | 'unhealthy';
  /** One sentence for an operator: what was asked, and what came. */
  readonly detail: string;
  /** The server's version, if it said. */
  readonly version: string | undefined;
}

/**
 * Asks for the version, which says that a server is there, and then for the collections, which only a server answers
 * that has loaded them, and only with a key that it takes: `/` answers anybody. If only tenants have keys, there is
 * none to ask with: `/readyz` answers without one.
 */
export async function checkHealth(
  connection: QdrantConnection,
  signal: AbortSignal | undefined,
): Promise<VectorStoreHealth> {
  let version: string | undefined;
  try {
    await connection.withinDeadline({ operation: 'asking for its health', signal }, async (signal) => {
      ({ version } = await connection.request({ operation: 'asking for the version', signal }, (client) =>
        client.versionInfo(),
      ));
      if (connection.hasOnlyTenantKeys) await askWhetherReady(connection, signal);
      else await connection.request({ operation: 'listing collections', signal }, (client) => client.getCollections());
    });
    const how = connection.hasOnlyTenantKeys ? 'is ready; no key of a tenant was tried' : 'lists its collections';
    return { status: 'healthy', detail: `Qdrant ${version} at ${connection.endpoint} ${how}.`, version };
  } catch (error) {
    if (!isAiProviderError(error) || signal?.aborted) throw error;
    return { status: 'unhealthy', detail: error.message, version };
  }
}

async function askWhetherReady(connection: QdrantConnection, signal: AbortSignal): Promise<void> {
  try {
    await connection.request({ operation: 'asking whether it is ready', signal }, async (client) => {
      await client.api?.().readyz?.({});
      return true;
    });
  } catch (error) {
    // A proxy that asks for a key on every path says nothing of the server behind it.
    if (!isAiProviderError(error) || error.code !== 'authentication_failed') throw error;
  }
}
