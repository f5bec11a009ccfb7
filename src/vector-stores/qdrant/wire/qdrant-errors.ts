import { reservedKeys } from '../../../core/index/check-record.js';
import {
  type AiProviderError,
  isAiProviderError,
  VectorStoreError,
  type VectorStoreErrorOptions,
} from '../../../errors.js';

export interface FailedRequest {
  /** What was tried, such as `search`. */
  readonly operation: string;
  readonly collection: string | undefined;
  /** The place, such as `http://localhost:6333`. */
  readonly endpoint: string;
}

/**
 * What the client threw as an error of ours. The client's own errors cannot be told by class: a refused request is an
 * anonymous `Error` with `status` and `data` (its `ApiError` is not exported), a broken connection a `TypeError`.
 */
export function toVectorStoreError(error: unknown, request: FailedRequest): AiProviderError {
  if (isAiProviderError(error)) return error;
  const { name, status, retry_after: retryAfter } = asRecord(error);
  if (typeof status === 'number') return refused(status, reasonOf(error), request);
  if (typeof retryAfter === 'number') {
    // The client reads the first digit of the header only: a lower bound.
    return refused(429, undefined, request, { retryAfterMs: retryAfter * 1000 });
  }
  const code = asRecord(asRecord(error).cause).code;
  if (code === 'UND_ERR_INVALID_ARG') {
    return failed(
      request,
      'could not be sent: @qdrant/js-client-rest 1.18 does not run on this version of Node.js, install 1.19 or later',
      {
        code: 'vector_store_failed',
        cause: error,
      },
    );
  }
  if (name === 'QdrantClientTimeoutError') return deadlineError(request, undefined, error);
  if (error instanceof TypeError && typeof code === 'string') {
    return failed(request, `got no answer (${code})`, { code: 'unavailable', isRetryable: true, cause: error });
  }
  if (error instanceof SyntaxError)
    return failed(request, 'got an answer that is not JSON', { code: 'invalid_response' });
  const because = harmlessReasonOf(error);
  return failed(request, because === undefined ? 'failed' : `failed (${because})`, {
    code: 'vector_store_failed',
    cause: error,
  });
}

/**
 * An errno, or a cause in a few plain words such as fetch's `bad port`: no URL, key or text of a request looks like
 * one.
 */
function harmlessReasonOf(error: unknown): string | undefined {
  const { code, cause } = asRecord(error);
  const { code: causeCode, message } = asRecord(cause);
  const isCode = (value: unknown) => typeof value === 'string' && /^[A-Z][A-Z0-9_]{1,40}$/.test(value);
  const reason = [causeCode, code].find(isCode);
  if (reason !== undefined) return reason as string;
  const isFetch = error instanceof TypeError && error.message === 'fetch failed';
  return isFetch && typeof message === 'string' && /^[a-z]+(?: [a-z]+){0,3}$/i.test(message) ? message : undefined;
}

export function deadlineError(
  request: FailedRequest,
  timeoutMs: number | undefined,
  cause?: unknown,
): VectorStoreError {
  const after = timeoutMs === undefined ? '' : ` within ${timeoutMs} ms`;
  return failed(request, `got no answer${after}`, {
    code: 'deadline_exceeded',
    isRetryable: true,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A 200 that is not the answer to the question. */
export function invalidResponse(request: FailedRequest, expected: string): VectorStoreError {
  return failed(request, `got an answer without ${expected}`, { code: 'invalid_response' });
}

export function failed(
  request: FailedRequest,
  what: string,
  options: Omit<VectorStoreErrorOptions, 'collection'>,
): VectorStoreError {
  const on = request.collection === undefined ? '' : ` on the collection ${request.collection}`;
  return new VectorStoreError(`Qdrant at ${request.endpoint}: ${request.operation}${on} ${what}.`, {
    ...options,
    collection: request.collection,
  });
}

/** A disk or a quota that is full does not empty itself. */
const insufficientStorage = 507;

function refused(
  status: number,
  reason: string | undefined,
  request: FailedRequest,
  extra: { readonly retryAfterMs?: number } = {},
): VectorStoreError {
  const because = reason === undefined ? '' : `: ${reason}`;
  return failed(request, `was refused with HTTP ${status}${because}`, {
    code: codeOf(status, request),
    isRetryable: status === 408 || status === 429 || (status >= 500 && status !== insufficientStorage),
    status,
    ...extra,
  });
}

function codeOf(status: number, request: FailedRequest): VectorStoreErrorOptions['code'] {
  if (status === 401 || status === 403) return 'authentication_failed';
  if (status === 404 && request.collection !== undefined) return 'collection_not_found';
  if (status === 429) return 'rate_limited';
  if (status === 408) return 'deadline_exceeded';
  return status >= 500 && status !== insufficientStorage ? 'unavailable' : 'vector_store_failed';
}

/** What a server in strict mode says of a filter on a field without an index: the field, and no value, is in quotes. */
const missingIndex = /^(?:Bad request: )?Index required but not found for "([\p{Alphabetic}\p{N}_.[\]-]{1,100})"/u;

/** The server's own words, without what it quotes of the request: a payload or a filter may hold a customer's text. */
function reasonOf(error: unknown): string | undefined {
  const data = asRecord(asRecord(error).data);
  const reason = asRecord(data.status).error;
  if (typeof reason !== 'string' || reason === '') return undefined;
  const field = missingIndex.exec(reason)?.[1];
  if (field !== undefined) {
    const isOurs = (reservedKeys as readonly string[]).includes(field);
    const how = isOurs
      ? 'createCollection makes it, also in a collection that exists'
      : 'name it in `payloadIndexes` of createCollection';
    return `its strict mode wants an index of the field ${field}: ${how}`;
  }
  const unquoted = reason.replace(/"(?:[^"\\]|\\.)*"?/g, '"…"').replace(/[\r\n]+/g, ' ');
  return unquoted.replace(/\.$/, '').slice(0, 300);
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
