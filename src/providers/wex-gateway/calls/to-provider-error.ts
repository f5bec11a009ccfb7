import { isAiProviderError, ProviderError } from '../../../errors.js';
import { retryAfterMs } from './retry-after.js';
import { kindOfFailure, type ServerFailure } from './server-failure.js';

/** Who was asked, for messages. */
export interface Endpoint {
  /** The provider's id. */
  readonly id: string;
  /** Host and port. */
  readonly host: string;
  /** What no message may show. */
  readonly secrets: readonly string[];
}

/** What an error of the `openai` package may hold. */
interface ClientError extends ServerFailure {
  readonly headers?: Headers;
  /** What the server sent as its error. */
  readonly error?: unknown;
  readonly cause?: unknown;
}

/**
 * Turns what the client threw into an error of ours. The server's own words are not passed on, nor is the client's error as `cause`: servers
 * echo inputs and even keys. What helps an operator and cannot hold them is kept: status, error code, request id.
 */
export function toProviderError(error: unknown, endpoint: Endpoint, attempts: number): Error {
  if (isAiProviderError(error)) return error;
  const { status, headers, code, type, param, error: told } = error as ClientError;
  const provider = endpoint.id;
  // A failure that a server tells of in the middle of a good answer has no status of its own.
  if (status === undefined && told === undefined) {
    if (error instanceof SyntaxError) return notJson(endpoint, headers, attempts);
    const reason = systemCode(error) ?? 'the connection failed';
    return new ProviderError(`${provider} could not be reached at ${endpoint.host} (${reason}).`, {
      code: 'unavailable',
      isRetryable: true,
      provider,
      attempts,
    });
  }
  const kind = kindOfFailure(error as ServerFailure);
  const requestId = requestIdOf(headers, endpoint);
  const words = [code, type].filter((word) => isHarmlessWord(word, endpoint));
  const details = [
    `HTTP ${status ?? 200}`,
    ...new Set(words),
    ...(isHarmlessWord(param, endpoint) ? [`parameter ${param}`] : []),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return new ProviderError(`${provider} at ${endpoint.host} ${kind.says} (${details.join(', ')}).`, {
    code: kind.code,
    isRetryable: kind.isRetryable,
    provider,
    status: status ?? 200,
    requestId,
    retryAfterMs: headers === undefined ? undefined : retryAfterMs(headers),
    attempts,
  });
}

/**
 * The failure that the body of a good answer tells of instead of what was asked for, as the client would have thrown it. Some servers only say it in words,
 * older ones of vLLM have no `error` around it.
 */
export function failureInBody(body: unknown, headers: Headers): ClientError | undefined {
  const { error, object } = (body ?? {}) as { error?: unknown; object?: unknown };
  const told = object === 'error' ? body : error;
  if (typeof told === 'string') return { headers, error: told, message: told };
  if (typeof told !== 'object' || told === null) return undefined;
  const { code, type, param, message } = told as ServerFailure;
  return { headers, error: told, code, type, param, message };
}

/** Reads a body. @throws What `parse` throws, with the headers of the answer, which say what request it was. */
export function parsedFrom<Body>(headers: Headers, parse: () => Body): Body {
  try {
    return parse();
  } catch (error) {
    throw Object.assign(error as SyntaxError, { headers });
  }
}

/** The transfer broke without the connection saying so; a proxy that gives up mid-way does that. */
function notJson(endpoint: Endpoint, headers: Headers | undefined, attempts: number): ProviderError {
  return new ProviderError(`${endpoint.id} at ${endpoint.host} answered with a body that is not JSON.`, {
    code: 'invalid_response',
    isRetryable: true,
    provider: endpoint.id,
    requestId: requestIdOf(headers, endpoint),
    attempts,
  });
}

/** Which request an answer belongs to. */
export interface AnswerOrigin {
  readonly requestId: string | undefined;
  readonly attempts: number;
}

/** The server answered in full, and the answer is unusable: asking again would be paid again. */
export function unusableResponse(
  what: string,
  endpoint: Endpoint,
  { requestId, attempts }: AnswerOrigin,
): ProviderError {
  return new ProviderError(`${endpoint.id} at ${endpoint.host} answered with ${what}.`, {
    code: 'invalid_response',
    provider: endpoint.id,
    status: 200,
    requestId,
    attempts,
  });
}

export function requestIdOf(headers: Headers | undefined, endpoint: Endpoint): string | undefined {
  const id = headers?.get('x-request-id') ?? headers?.get('apim-request-id') ?? '';
  return /^[\w.:-]{1,128}$/.test(id) && !holdsSecret(id, endpoint) ? id : undefined;
}

/** Lower-case words are error codes; keys, prompts and sentences are not made of them. */
function isHarmlessWord(word: unknown, endpoint: Endpoint): boolean {
  return typeof word === 'string' && /^[a-z][a-z_]{0,63}$/i.test(word) && !holdsSecret(word, endpoint);
}

function holdsSecret(text: string, { secrets }: Endpoint): boolean {
  return secrets.some((secret) => text.includes(secret) || (text.length >= 4 && secret.includes(text)));
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
