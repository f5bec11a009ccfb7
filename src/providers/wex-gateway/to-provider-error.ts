import { type AiProviderErrorCode, isAiProviderError, ProviderError } from '../../errors.js';
import { retryAfterMs } from './retry-after.js';

/** Who was asked, for messages. */
export interface Endpoint {
  /** The provider's id. */
  readonly id: string;
  /** Host and port. */
  readonly host: string;
  readonly apiKey: string | null;
}

/** What an error of the `openai` package may hold. */
interface ResponseError {
  readonly status?: number;
  readonly headers?: Headers;
  readonly code?: unknown;
  readonly type?: unknown;
  readonly param?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
}

/**
 * Turns what the client threw into an error of ours. The server's own words are not passed on, nor is the client's error as `cause`: servers
 * echo inputs and even keys. What helps an operator and cannot hold them is kept: status, error code, request id.
 */
export function toProviderError(error: unknown, endpoint: Endpoint, attempts: number): Error {
  if (isAiProviderError(error)) return error;
  const { status, headers, code, type, param } = error as ResponseError;
  const provider = endpoint.id;
  if (status === undefined) {
    if (error instanceof SyntaxError) return malformedResponse('not JSON', endpoint, attempts);
    const reason = systemCode(error) ?? 'the connection failed';
    return new ProviderError(`${provider} could not be reached at ${endpoint.host} (${reason}).`, {
      code: 'unavailable',
      isRetryable: true,
      provider,
      attempts,
    });
  }
  const words = [code, type].map((word) => harmlessWord(word, endpoint)).filter((word) => word !== undefined);
  const kind = classify(status, words, param);
  const requestId = requestIdOf(headers, endpoint);
  const details = [
    `HTTP ${status}`,
    ...new Set(words),
    ...(harmlessWord(param, endpoint) ? [`parameter ${param}`] : []),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return new ProviderError(`${provider} at ${endpoint.host} ${kind.says} (${details.join(', ')}).`, {
    code: kind.code,
    isRetryable: kind.isRetryable,
    provider,
    status,
    requestId,
    retryAfterMs: headers === undefined ? undefined : retryAfterMs(headers),
    attempts,
  });
}

/** The transfer broke without the connection saying so; a proxy that gives up mid-way does that. */
function malformedResponse(what: string, endpoint: Endpoint, attempts?: number): ProviderError {
  return new ProviderError(`${endpoint.id} at ${endpoint.host} answered with a body that is ${what}.`, {
    code: 'invalid_response',
    isRetryable: true,
    provider: endpoint.id,
    attempts,
  });
}

/** The server answered in full, and the answer is unusable: asking again would be paid again. */
export function unusableResponse(what: string, endpoint: Endpoint, requestId?: string): ProviderError {
  return new ProviderError(`${endpoint.id} at ${endpoint.host} answered with ${what}.`, {
    code: 'invalid_response',
    provider: endpoint.id,
    requestId,
  });
}

export function requestIdOf(headers: Headers | undefined, endpoint: Endpoint): string | undefined {
  const id = headers?.get('x-request-id') ?? headers?.get('apim-request-id') ?? '';
  return /^[\w.:-]{1,128}$/.test(id) && !holdsKey(id, endpoint) ? id : undefined;
}

/** Whether a 400 says that the server does not know `encoding_format: 'base64'`. */
export function isAboutEncoding(error: unknown): boolean {
  const { status, param, message } = error as ResponseError;
  return (status === 400 || status === 422) && /encoding|base64/i.test(`${param} ${message}`);
}

interface Kind {
  readonly code: AiProviderErrorCode;
  readonly says: string;
  readonly isRetryable: boolean;
}

function classify(status: number, words: readonly string[], param: unknown): Kind {
  // Quota before rate limit: both are a 429, but waiting mends only one of them.
  if (status === 402 || words.some((word) => /insufficient_quota|billing|credit/.test(word))) {
    return {
      code: 'quota_exceeded',
      says: 'refused the request because the account has no quota left',
      isRetryable: false,
    };
  }
  if (status === 401 || status === 403) {
    return { code: 'authentication_failed', says: 'refused the API key or its permissions', isRetryable: false };
  }
  if (status === 404 || status === 410) {
    return { code: 'model_unavailable', says: 'knows no such model or address', isRetryable: false };
  }
  if (status >= 300 && status < 400) {
    const says = 'answered with a redirect, which is not followed: set its target as the base URL';
    return { code: 'invalid_config', says, isRetryable: false };
  }
  if (status === 429) return { code: 'rate_limited', says: 'limits the rate of requests', isRetryable: true };
  if (status === 408 || status === 409 || status >= 500) {
    return { code: 'unavailable', says: 'failed to answer', isRetryable: true };
  }
  if (typeof param === 'string' && !/^\$?\.?(input|messages)/.test(param)) {
    return { code: 'invalid_config', says: 'refused a parameter', isRetryable: false };
  }
  return { code: 'input_refused', says: 'refused the request', isRetryable: false };
}

/** Lower-case words are error codes; keys, prompts and sentences are not made of them. */
function harmlessWord(word: unknown, endpoint: Endpoint): string | undefined {
  return typeof word === 'string' && /^[a-z][a-z_]{0,63}$/i.test(word) && !holdsKey(word, endpoint) ? word : undefined;
}

function holdsKey(text: string, { apiKey }: Endpoint): boolean {
  return apiKey !== null && (text.includes(apiKey) || (text.length >= 4 && apiKey.includes(text)));
}

/** `ECONNREFUSED` and the like, from somewhere down the chain of causes. */
function systemCode(error: unknown): string | undefined {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) return code;
    if (cause instanceof AggregateError && cause.errors.length > 0) return systemCode(cause.errors[0]);
  }
  return undefined;
}
