import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import { AiProviderError, VectorStoreError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import { withDeadline } from '../../../internal/with-deadline.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { ResolvedOptions } from './client-options.js';
import { connect } from './connect.js';
import { deadlineError, type FailedRequest, failed, invalidResponse, toVectorStoreError } from './qdrant-errors.js';
import { TenantClients } from './tenant-clients.js';
import { type ToWireVector, wireVectors } from './vectors.js';

const retries = 3;
const firstBackoffMs = 200;
const longestBackoffMs = 2_000;

export interface RequestOptions {
  /** What is tried, for messages. */
  readonly operation: string;
  /** Whose points it touches. Undefined for what is about the whole server. */
  readonly scope?: Pick<TenantScope, 'tenantId' | 'collection'> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Makes one request; `toWire` is for the vectors in it. */
export type SendRequest<Value> = (client: QdrantClientLike, toWire: ToWireVector) => Promise<Value>;

/**
 * Sends requests to Qdrant. Each has a deadline and heeds the caller's signal, which the client itself has not, and is sent again where the
 * server was busy or out of reach: all our requests are idempotent, since point ids derive from their records.
 */
export class QdrantConnection {
  readonly #options: ResolvedOptions;
  readonly #connect;
  readonly #tenantClients: TenantClients | undefined;
  readonly #closing = new AbortController();
  #hasConnected = false;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    const { target, apiKeyForTenant, timeoutMs } = options;
    if (target.kind === 'server' && apiKeyForTenant !== undefined) {
      this.#tenantClients = new TenantClients(target.address, apiKeyForTenant, timeoutMs);
    }
    this.#connect = memoizeAsync(() => {
      this.#hasConnected = true;
      return connect(options.target, options.timeoutMs);
    });
  }

  /** Where the requests go, for messages; holds no credential. */
  get endpoint(): string {
    return this.#options.target.endpoint;
  }

  /** Whether each tenant has a key of its own, which may not reach every collection. */
  get hasTenantKeys(): boolean {
    return this.#tenantClients !== undefined;
  }

  /** Whether what is about no tenant goes out without a key. */
  get hasOnlyTenantKeys(): boolean {
    const { target } = this.#options;
    return this.hasTenantKeys && target.kind === 'server' && target.address.apiKey === undefined;
  }

  /**
   * @param send - Makes one request; may be called again.
   * @throws `VectorStoreError`; the reason of `signal`, untouched.
   */
  async request<Value>(options: RequestOptions, send: SendRequest<Value>): Promise<Value> {
    const request = this.describe(options);
    return this.withinDeadline(options, (signal) =>
      this.#sendWithRetries(request, send, signal, options.scope?.tenantId),
    );
  }

  /** Gives all that `run` does together the time of one request, where each of its requests gets the signal. */
  async withinDeadline<Value>(options: RequestOptions, run: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    const { timeoutMs } = this.#options;
    return withDeadline(run, {
      timeoutMs,
      signals: [options.signal, this.#closing.signal],
      timeoutError: () => deadlineError(this.describe(options), timeoutMs),
    });
  }

  /**
   * A request that changes something, and is done only when the server says so: `wait_timeout` arrives as a success, and a change that is no
   * more than acknowledged may not be seen by the next search.
   */
  async change(options: RequestOptions, send: SendRequest<{ readonly status?: unknown }>): Promise<void> {
    const result = await this.request(options, send);
    if (result?.status === 'completed') return;
    throw failed(
      this.describe(options),
      'was accepted but not completed in time; it may still happen, and is safe to send again',
      {
        code: 'deadline_exceeded',
        isRetryable: true,
      },
    );
  }

  /** A request, as errors tell of it. */
  describe({ operation, scope }: RequestOptions): FailedRequest {
    return { operation, collection: scope?.collection, endpoint: this.endpoint };
  }

  /** A tenant with a key of its own has a client of its own: the client's way to set headers for one call is lost at its first await. */
  async #clientFor(tenantId: number | undefined): Promise<QdrantClientLike> {
    if (tenantId === undefined || this.#tenantClients === undefined) return (await this.#connect()).client;
    return this.#tenantClients.get(tenantId);
  }

  /** Fails what is under way with `aborted_by_close`, and closes what this connection opened. May be called again. */
  async close(): Promise<void> {
    this.#closing.abort(
      new AiProviderError(`The vector store at ${this.endpoint} was closed.`, { code: 'aborted_by_close' }),
    );
    if (!this.#hasConnected) return;
    const connected = await this.#connect().catch(() => undefined);
    await connected?.close();
  }

  async #sendWithRetries<Value>(
    request: FailedRequest,
    send: SendRequest<Value>,
    signal: AbortSignal,
    tenantId: number | undefined,
  ): Promise<Value> {
    const attempt = async (): Promise<Value> => {
      try {
        const client = await this.#clientFor(tenantId);
        const value = await send(client, wireVectors(client.acceptsFloat32Array === true, this.#options.roundVectors));
        if (value === undefined || value === null) throw invalidResponse(request, 'a result');
        return value;
      } catch (error) {
        throw toVectorStoreError(error, request);
      }
    };
    return pRetry(attempt, {
      retries,
      minTimeout: firstBackoffMs,
      randomize: true,
      signal,
      // A busy server is waited for until the deadline; one that is out of reach only a few times.
      shouldConsumeRetry: ({ error }) => !isRateLimited(error),
      shouldRetry: async ({ error, attemptNumber }) => {
        if (isRateLimited(error)) await sleep(rateLimitDelayMs(error, attemptNumber), undefined, { signal });
        return isRateLimited(error) || isUnavailable(error);
      },
    });
  }
}

function isRateLimited(error: unknown): error is VectorStoreError {
  return error instanceof VectorStoreError && error.code === 'rate_limited';
}

function isUnavailable(error: unknown): boolean {
  return error instanceof VectorStoreError && error.code === 'unavailable';
}

/** At least our own back-off, since the client misreads the header. */
function rateLimitDelayMs(error: VectorStoreError, attempt: number): number {
  const backoff = Math.min(firstBackoffMs * 2 ** (attempt - 1), longestBackoffMs) * (1 + Math.random());
  return Math.max(backoff, error.retryAfterMs ?? 0);
}
