import type { Dispatcher } from 'undici';
import { missingDependency } from '../../../internal/load-peer.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import { decodeBody } from './body-codings.js';

/** A request to one path of the API. */
export interface GatewayRequest {
  readonly method: 'GET' | 'POST';
  /** Such as `/embeddings`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** JSON text, or a form (for files). */
  readonly body?: string | FormData | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Ends the request, also while its body is read. */
  readonly signal: AbortSignal;
}

/** What came back, whatever its status. */
export interface GatewayAnswer {
  readonly status: number;
  readonly headers: Headers;
  /**
   * Without content coding. Read it to its end, leave the loop early, or abort the signal: each frees the connection.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

type TransportOptions = Pick<ResolvedWexGatewayOptions, 'baseUrl' | 'headers' | 'fetch' | 'dispatcher' | 'proxy'>;

/**
 * The one way to the server, for text, embeddings and everything else: undici's `request`, or the `fetch` of the host.
 * It sets no time limit of its own, follows no redirect, and sends the headers that are named here and no others.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #currentKey: () => Promise<string | null>;
  readonly #dispatcher = memoizeAsync(() => dispatcherOf(this.#options));

  /** @param currentKey - Called before each request. */
  constructor(options: TransportOptions, currentKey: () => Promise<string | null>) {
    this.#options = options;
    this.#currentKey = currentKey;
  }

  async send({ method, path, query, body, headers, signal }: GatewayRequest): Promise<GatewayAnswer> {
    const key = await this.#currentKey();
    const all = {
      accept: 'application/json',
      'user-agent': 'pulse-ai-providers',
      ...(typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
      ...headers,
      ...lowerCased(this.#options.headers),
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    };
    const url = `${this.#options.baseUrl}${path}${searchOf(query)}`;
    const undici = this.#options.fetch === undefined ? await loadUndici() : undefined;
    if (undici !== undefined) {
      const dispatcher = await this.#dispatcher();
      return sendOnWire(undici, url, { method, headers: all, body, signal, dispatcher });
    }
    const fetch = this.#options.fetch ?? globalThis.fetch;
    // Redirects are not followed: a key must not travel to an address that nobody configured.
    const answer = await fetch(url, { method, headers: all, body: body ?? null, signal, redirect: 'manual' });
    // `fetch` has decoded it already.
    return { status: answer.status, headers: answer.headers, body: answer.body ?? emptyBody };
  }

  async close(): Promise<void> {
    const own = this.#options.proxy === undefined ? undefined : await this.#dispatcher().catch(() => undefined);
    await own?.destroy();
  }
}

const emptyBody: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: async function* () {} };

type Undici = typeof import('undici');

async function sendOnWire(
  { request }: Undici,
  url: string,
  init: {
    readonly method: 'GET' | 'POST';
    readonly headers: Record<string, string>;
    readonly body: string | FormData | undefined;
    readonly signal: AbortSignal;
    readonly dispatcher: Dispatcher | undefined;
  },
): Promise<GatewayAnswer> {
  const { body, dispatcher, ...rest } = init;
  const answer = await request(url, {
    ...rest,
    body: (body ?? null) as string | null,
    ...(dispatcher === undefined ? {} : { dispatcher }),
    // Time limits are those of the call alone; undici's own are 300 seconds.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const headers = headersOf(answer.headers);
  return { status: answer.statusCode, headers, body: decodeBody(answer.body, headers.get('content-encoding')) };
}

/**
 * Loaded with the first request. Undefined in a host that lost the package, or bundled it into an ES module, if it
 * cannot run: `fetch` serves as well, more slowly.
 */
const loadUndici = memoizeAsync(async (): Promise<Undici | undefined> => {
  // Node puts its own dispatcher in place when its `fetch` is first looked at: undici must not come before.
  void globalThis.Response;
  try {
    return await import('undici');
  } catch {
    return undefined;
  }
});

/** Undefined: the global one, which may be the host's. */
async function dispatcherOf({ dispatcher, proxy }: TransportOptions): Promise<Dispatcher | undefined> {
  if (proxy === undefined) return dispatcher;
  const undici = await loadUndici();
  if (undici === undefined) throw missingDependency('undici', 'A proxy', undefined);
  const { EnvHttpProxyAgent, ProxyAgent } = undici;
  return proxy === 'environment' ? new EnvHttpProxyAgent() : new ProxyAgent(proxy);
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const result = new Headers();
  for (const [name, values = []] of Object.entries(headers)) {
    for (const value of [values].flat()) result.append(name, value);
  }
  return result;
}

function lowerCased(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function searchOf(query: GatewayRequest['query']): string {
  const search = new URLSearchParams(query).toString();
  return search === '' ? '' : `?${search}`;
}
