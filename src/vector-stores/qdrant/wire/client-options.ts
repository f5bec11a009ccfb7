import { resolve } from 'node:path';
import { type Logger, toLogger } from '../../../core/ports/logger.js';
import { AiProviderError, InvalidInputError } from '../../../errors.js';
import { requireKnownKeys } from '../../../internal/known-keys.js';
import { untraced } from '../../../internal/load-peer.js';
import { describeValue, requireNonEmptyString, requirePositiveInteger } from '../../../internal/validate.js';
import { longestTimerMs } from '../../../internal/with-deadline.js';
import type { QdrantClientLike } from '../../qdrant-api.js';
import type { Clock } from './clock.js';

/**
 * The place of the vectors: a Qdrant server, this process, or a client of your own. Exactly one of `url`, `host`,
 * `location` and `client`.
 */
export interface PulseQdrantClientOptions {
  /**
   * A server's address, with a path if it is behind a prefix: `https://qdrant.example.com/vectors`. Without a port,
   * `https` means 443 and `http` 6333.
   */
  readonly url?: string | undefined;
  /** A server's host name or address. @default 'localhost', if no other place is given */
  readonly host?: string | undefined;
  /** The port that goes with `host`, or with a `url` that has none. @default 6333 */
  readonly port?: number | undefined;
  /** Whether `host` speaks TLS. @default true if there is an `apiKey` and the host is not this machine */
  readonly https?: boolean | undefined;
  /** An API key or a JWT of the server. Never logged, never in an error. */
  readonly apiKey?: string | undefined;
  /**
   * The key or JWT of one tenant, asked for before each request about that tenant's points: a JWT that reaches only the
   * tenant's collections (`client_{id}_*` by name) makes the server itself keep tenants apart.
   */
  readonly apiKeyForTenant?: ((tenantId: number) => string | Promise<string>) | undefined;
  /** `':memory:'`, or a folder to keep vectors in: the in-process engine, which needs no server. */
  readonly location?: string | undefined;
  /** A client of your own; it is used as it is and never closed. */
  readonly client?: QdrantClientLike | undefined;
  /**
   * Whether a server may compress its answers. That pays on slow links only: a server nearby sends a compressed answer
   * in pieces, and each search then waits about 40 ms for the second one. @default false
   */
  readonly compression?: boolean | undefined;
  /**
   * How long a call of one answer may take, such as a search, and each request of a longer one, such as an upsert;
   * retries included, in milliseconds. @default 120_000
   */
  readonly timeoutMs?: number | undefined;
  /** Called, once each, with what makes searches slow, such as a filter on a field without an index. */
  readonly logger?: Logger | undefined;
  /** @internal For tests. */
  readonly clock?: Clock | undefined;
}

export interface QdrantServerAddress {
  readonly https: boolean;
  readonly host: string;
  readonly port: number;
  /** A path such as `/vectors`, or nothing. */
  readonly prefix: string | undefined;
  readonly apiKey: string | undefined;
  readonly compression: boolean;
}

export type QdrantTarget =
  | { readonly kind: 'server'; readonly endpoint: string; readonly address: QdrantServerAddress }
  | { readonly kind: 'local'; readonly endpoint: string; readonly location: string }
  | { readonly kind: 'client'; readonly endpoint: string; readonly client: QdrantClientLike };

export interface ResolvedOptions {
  readonly apiKeyForTenant: PulseQdrantClientOptions['apiKeyForTenant'];
  readonly target: QdrantTarget;
  readonly timeoutMs: number;
  readonly clock: Clock | undefined;
  readonly logger: Logger | undefined;
}

const defaultPort = 6333;
const defaultTimeoutMs = 120_000;
const places = ['url', 'host', 'location', 'client'] as const;
const serverOnly = ['port', 'https', 'apiKey', 'apiKeyForTenant', 'compression'] as const;

const optionNames = {
  url: true,
  host: true,
  port: true,
  https: true,
  apiKey: true,
  apiKeyForTenant: true,
  location: true,
  client: true,
  compression: true,
  timeoutMs: true,
  clock: true,
  logger: true,
} as const;

/** @throws {@link InvalidInputError} for options that contradict each other or have the wrong form. */
export function resolveOptions(options: PulseQdrantClientOptions): ResolvedOptions {
  requireKnownKeys<PulseQdrantClientOptions>(options, optionNames);
  const given = places.filter((place) => options[place] !== undefined);
  if (given.length > 1) {
    throw new InvalidInputError(
      `Expected one of \`url\`, \`host\`, \`location\` and \`client\`, got ${given.join(' and ')}.`,
    );
  }
  return {
    target: resolveTarget(options),
    apiKeyForTenant: requireFunction(options.apiKeyForTenant, 'apiKeyForTenant'),
    timeoutMs: requireTimeout(options.timeoutMs ?? defaultTimeoutMs),
    clock: options.clock,
    logger: toLogger(options.logger),
  };
}

function resolveTarget(options: PulseQdrantClientOptions): QdrantTarget {
  const { client, location } = options;
  if (client === undefined && location === undefined) {
    const address = resolveAddress(options);
    const { https, host, port, prefix } = address;
    return { kind: 'server', endpoint: `${https ? 'https' : 'http'}://${host}:${port}${prefix ?? ''}`, address };
  }
  const misplaced = serverOnly.find((name) => options[name] !== undefined);
  if (misplaced !== undefined) {
    throw new InvalidInputError(
      `\`${misplaced}\` belongs to a server; leave it out beside \`${client ? 'client' : 'location'}\`.`,
    );
  }
  if (client !== undefined) {
    if (typeof client?.query === 'function') return { kind: 'client', endpoint: 'the injected client', client };
    throw new InvalidInputError(`Expected \`client\` to be a Qdrant client, got ${describeValue(client)}.`);
  }
  return { kind: 'local', endpoint: 'the local engine', location: resolveLocation(location) };
}

/** Now, since the host may go to another folder before the engine is opened. */
function resolveLocation(location: unknown): string {
  const given = requireNonEmptyString(location, 'location');
  if (given === ':memory:') return given;
  // Mistyped, these would become folders of such names.
  if (given.trim() !== '' && given.trim().toLowerCase() !== ':memory:') return untraced(resolve)(given);
  throw new InvalidInputError("Expected `location` to be a folder, or ':memory:' in lower case without blanks.");
}

function resolveAddress(options: PulseQdrantClientOptions): QdrantServerAddress {
  const apiKey = options.apiKey === undefined ? undefined : requireNonEmptyString(options.apiKey, 'apiKey');
  const port = options.port === undefined ? undefined : requirePort(options.port, 'port');
  const compression = requireBoolean(options.compression ?? false, 'compression');
  if (options.url !== undefined) {
    if (options.https !== undefined) throw new InvalidInputError('Leave out `https` with `url`, whose scheme says it.');
    return { ...parseUrl(options.url, port), apiKey, compression };
  }
  const host = requireHost(options.host ?? 'localhost');
  const sendsKey = apiKey !== undefined || options.apiKeyForTenant !== undefined;
  const https = options.https ?? (sendsKey && !isThisMachine(host));
  return {
    https: requireBoolean(https, 'https'),
    host,
    port: port ?? defaultPort,
    prefix: undefined,
    apiKey,
    compression,
  };
}

function parseUrl(value: unknown, portOption: number | undefined): Omit<QdrantServerAddress, 'apiKey' | 'compression'> {
  const text = requireNonEmptyString(value, 'url');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url?.protocol === 'http:' || url?.protocol === 'https:';
  // A message never shows the URL: people put keys into them.
  if (
    url === undefined ||
    !isHttp ||
    url.username !== '' ||
    url.password !== '' ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new InvalidInputError(
      'Expected `url` to be an http or https address without user, query and fragment, such as https://qdrant.example.com:6333.',
    );
  }
  const https = url.protocol === 'https:';
  // URL drops a port that is its scheme's default, so a written `:443` or `:80` is looked for in the text.
  const written = /^https?:\/\/[^/]*:(\d+)(?:\/|$)/i.exec(text.trim())?.[1];
  if (written !== undefined && portOption !== undefined && Number(written) !== portOption) {
    throw new InvalidInputError('`url` and `port` name two different ports.');
  }
  const prefix = url.pathname.replace(/\/+$/, '');
  return {
    https,
    host: url.hostname,
    port: written === undefined ? (portOption ?? (https ? 443 : defaultPort)) : requirePort(Number(written), 'url'),
    prefix: prefix === '' ? undefined : prefix,
  };
}

function requireHost(value: unknown): string {
  const host = requireNonEmptyString(value, 'host');
  const bracketed = /^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(host) && host.split(':').length > 2 ? `[${host}]` : host;
  if (/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/i.test(bracketed)) return bracketed;
  throw new InvalidInputError(
    'Expected `host` to be a host name or address without scheme, port and path; use `url` for those.',
  );
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function requirePort(value: unknown, name: string): number {
  const port = requirePositiveInteger(value, name);
  if (port <= 65_535) return port;
  throw new InvalidInputError(`Expected \`${name}\` to be a port from 1 to 65535, got ${port}.`);
}

function requireBoolean(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a boolean, got ${describeValue(value)}.`);
}

function requireFunction<Value>(value: Value, name: string): Value {
  if (value === undefined || typeof value === 'function') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a function, got ${describeValue(value)}.`);
}

function requireTimeout(value: unknown): number {
  const timeoutMs = requirePositiveInteger(value, 'timeoutMs');
  // A longer timer fires at once.
  if (timeoutMs <= longestTimerMs) return timeoutMs;
  throw new InvalidInputError(`Expected \`timeoutMs\` to be at most 2147483647, got ${timeoutMs}.`);
}

/**
 * Options from the environment: `QDRANT_HOST` (a host, or a URL; default `localhost`), `QDRANT_PORT` (default 6333),
 * `QDRANT_TIMEOUT` in seconds (default 120) and `QDRANT_API_KEY`. An empty variable counts as unset.
 *
 * @throws {@link AiProviderError} with code `invalid_config` naming the variable.
 */
export function optionsFromEnv(env: Readonly<Record<string, string | undefined>>): PulseQdrantClientOptions {
  const host = env.QDRANT_HOST || 'localhost';
  const port = readNumber(env, 'QDRANT_PORT', /^\d{1,5}$/);
  const timeout = readNumber(env, 'QDRANT_TIMEOUT', /^\d{1,7}(?:\.\d+)?$/);
  return {
    ...(host.includes('://') ? { url: host } : { host }),
    ...(port === undefined ? {} : { port }),
    ...(timeout === undefined ? {} : { timeoutMs: Math.ceil(timeout * 1000) }),
    ...(env.QDRANT_API_KEY ? { apiKey: env.QDRANT_API_KEY } : {}),
  };
}

function readNumber(env: Readonly<Record<string, string | undefined>>, name: string, form: RegExp): number | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  if (form.test(value) && Number(value) > 0) return Number(value);
  throw new AiProviderError(
    `Expected the environment variable ${name} to be a positive number, got ${describeValue(value)}.`,
    {
      code: 'invalid_config',
    },
  );
}
