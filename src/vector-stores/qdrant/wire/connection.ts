import { AiProviderError, VectorStoreError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import { withDeadline } from '../../../internal/with-deadline.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';
import type { ResolvedOptions } from './client-options.js';
import { type Clock, systemClock } from './clock.js';
import { connect } from './connect.js';
import { deadlineError, type FailedRequest, failed, invalidResponse, toVectorStoreError } from './qdrant-errors.js';
import { TenantClients } from './tenant-clients.js';
import { type ToWireVector, wireVectors } from './vectors.js';

/** How often a request is sent again to a server that is out of reach. A busy one is waited for until the deadline. */
const retries = 3;
const firstBackoffMs = 200;
const longestBackoffMs = 2_000;
/** More different warnings nobody reads, and fields come from callers. */
const maxSaid = 1_000;

export interface RequestOptions {
  /** What is tried, for messages. */
  readonly operation: string;
  /** Whose points it touches. Undefined for what is about the whole server. */
  readonly scope?: Pick<TenantScope, 'tenantId' | 'collection'> | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Called before the request is sent again, and may throw: a write must not go to a place that its table has left
   * since.
   */
  readonly beforeRetry?: (() => Promise<void>) | undefined;
}

/** Makes one request; `toWire` is for the vectors in it. */
export type SendRequest<Value> = (client: QdrantClientLike, toWire: ToWireVector) => Promise<Value>;

/**
 * Sends requests to Qdrant. Each has a deadline and honours the caller's signal; the client supports neither. A request
 * that found the server busy or away is sent again: all our requests are idempotent, since point ids derive from their
 * records.
 */
export class QdrantConnection {
  readonly clock: Clock;
  readonly #options: ResolvedOptions;
  readonly #connect;
  readonly #tenantClients: TenantClients | undefined;
  readonly #closing = new AbortController();
  /** The signals of calls that have a deadline already: their requests need none of their own. */
  readonly #deadlines = new WeakSet<AbortSignal>();
  readonly #said = new Set<string>();
  #hasConnected = false;
  #version: string | undefined;

  constructor(options: ResolvedOptions) {
    this.#options = options;
    this.clock = options.clock ?? systemClock;
    if (options.target.kind === 'server' && options.apiKeyForTenant !== undefined) {
      this.#tenantClients = new TenantClients(options.target.address, options.apiKeyForTenant, options.timeoutMs);
    }
    this.#connect = memoizeAsync(() => {
      this.#hasConnected = true;
      return connect(options.target, options.timeoutMs);
    });
  }

  /** Tells the host's log something once. */
  warnOnce(key: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    if (this.#options.logger === undefined || this.#said.has(key) || this.#said.size >= maxSaid) return;
    this.#said.add(key);
    this.#options.logger.warn(fields, message);
  }

  /** The place that the requests go to, for messages; holds no credential. */
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
   * The version of the server. It is asked for until it is enough, since a server may be updated meanwhile, and then
   * remembered.
   */
  async serverVersion(isEnough: (version: string) => boolean, signal: AbortSignal | undefined): Promise<string> {
    if (this.#version !== undefined && isEnough(this.#version)) return this.#version;
    const request = { operation: 'asking for the version', signal };
    const { version } = await this.request(request, (client) => client.versionInfo());
    this.#version = String(version);
    return this.#version;
  }

  /**
   * @param send - Makes one request; may be called again.
   * @throws `VectorStoreError`; the reason of `signal`, untouched.
   */
  async request<Value>(options: RequestOptions, send: SendRequest<Value>): Promise<Value> {
    const { signal } = options;
    if (signal === undefined || !this.#deadlines.has(signal)) {
      return this.withinDeadline(options, (limited) => this.request({ ...options, signal: limited }, send));
    }
    signal.throwIfAborted();
    return rejectOnAbort(this.#sendWithRetries(options, send, signal), signal);
  }

  /** Gives all that `run` does together the time of one request, if each of its requests gets the signal. */
  async withinDeadline<Value>(
    options: Omit<RequestOptions, 'beforeRetry'>,
    run: (signal: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    const { timeoutMs } = this.#options;
    return withDeadline(
      (signal) => {
        this.#deadlines.add(signal);
        return run(signal);
      },
      {
        timeoutMs,
        signals: [options.signal, this.#closing.signal],
        timeoutError: () => deadlineError(this.describe(options), timeoutMs),
      },
    );
  }

  /**
   * A request that changes something, and is done only when the server says so: `wait_timeout` arrives as a success,
   * and a change that is no more than acknowledged may not be seen by the next search.
   */
  async change(options: RequestOptions, send: SendRequest<{ readonly status?: unknown }>): Promise<void> {
    const result = await this.request(options, send);
    if (result?.status === 'completed') return;
    throw failed(
      this.describe(options),
      'was accepted but not completed in time; it may still happen, and is safe to send again',
      { code: 'deadline_exceeded', isRetryable: true },
    );
  }

  /** A request, as error messages name it. */
  describe({ operation, scope }: Pick<RequestOptions, 'operation' | 'scope'>): FailedRequest {
    return { operation, collection: scope?.collection, endpoint: this.endpoint };
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
    options: RequestOptions,
    send: SendRequest<Value>,
    signal: AbortSignal,
  ): Promise<Value> {
    let failures = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#send(options, send, signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isBusy(error) && (!isAway(error) || ++failures > retries)) throw error;
        await this.clock.sleep(backoffMs(error, attempt), signal);
        await options.beforeRetry?.();
      }
    }
  }

  async #send<Value>(options: RequestOptions, send: SendRequest<Value>, signal: AbortSignal): Promise<Value> {
    const request = this.describe(options);
    try {
      const fairnessKey = options.scope?.tenantId;
      const connected = await this.#clientFor(fairnessKey);
      // Work that is done in this process ends with the signal, and shares the time with other tenants'.
      const client = connected.forCaller?.({ signal, fairnessKey }) ?? connected;
      const value = await send(client, wireVectors(client.acceptsFloat32Array === true));
      if (value === undefined || value === null) throw invalidResponse(request, 'a result');
      return value;
    } catch (error) {
      throw toVectorStoreError(error, request);
    }
  }

  /**
   * A tenant with a key of its own has a client of its own: the client's way to set headers for one call is lost at its
   * first await.
   */
  async #clientFor(tenantId: number | undefined): Promise<QdrantClientLike> {
    if (tenantId === undefined || this.#tenantClients === undefined) return (await this.#connect()).client;
    return this.#tenantClients.get(tenantId);
  }
}

function isBusy(error: unknown): error is VectorStoreError {
  return error instanceof VectorStoreError && error.code === 'rate_limited';
}

function isAway(error: unknown): boolean {
  return error instanceof VectorStoreError && error.code === 'unavailable';
}

/** Doubles with each attempt, and is at least what the server asked for: the client may have misread its header. */
function backoffMs(error: unknown, attempt: number): number {
  const backoff = Math.min(firstBackoffMs * 2 ** (attempt - 1), longestBackoffMs) * (1 + Math.random());
  return Math.max(backoff, isBusy(error) ? (error.retryAfterMs ?? 0) : 0);
}
