import { isAiProviderError, VectorStoreError } from '../../../errors.js';
import { requireNonEmptyString } from '../../../internal/validate.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { PulseQdrantClientOptions, QdrantServerAddress } from './client-options.js';
import { connectToServer } from './connect.js';

/**
 * A client keeps up to 25 connections for ten seconds; beyond this many, the one unused for longest is forgotten and
 * ends by itself.
 */
const maxClients = 200;

/** One client for each credential. */
export class TenantClients {
  readonly #address: QdrantServerAddress;
  readonly #apiKeyForTenant: NonNullable<PulseQdrantClientOptions['apiKeyForTenant']>;
  readonly #timeoutMs: number;
  readonly #clients = new Map<string, Promise<QdrantClientLike>>();

  constructor(
    address: QdrantServerAddress,
    apiKeyForTenant: NonNullable<PulseQdrantClientOptions['apiKeyForTenant']>,
    timeoutMs: number,
  ) {
    this.#address = address;
    this.#apiKeyForTenant = apiKeyForTenant;
    this.#timeoutMs = timeoutMs;
  }

  async get(tenantId: number): Promise<QdrantClientLike> {
    const apiKey = requireNonEmptyString(await this.#askFor(tenantId), 'apiKeyForTenant()');
    const client = this.#clients.get(apiKey) ?? connectToServer({ ...this.#address, apiKey }, this.#timeoutMs);
    // Put at the end: a Map keeps its order of insertion, so that the first entry is the one unused for longest.
    this.#clients.delete(apiKey);
    this.#clients.set(apiKey, client);
    if (this.#clients.size > maxClients) this.#clients.delete(this.#clients.keys().next().value!);
    return client;
  }
  async #askFor(tenantId: number): Promise<string> {
    try {
      return await this.#apiKeyForTenant(tenantId);
    } catch (cause) {
      if (isAiProviderError(cause)) throw cause;
      throw new VectorStoreError(`\`apiKeyForTenant\` failed for tenant ${tenantId}; see \`cause\`.`, {
        code: 'authentication_failed',
        cause,
      });
    }
  }
}
