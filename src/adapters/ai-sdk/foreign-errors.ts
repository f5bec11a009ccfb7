import { type AiProviderErrorCode, isAiProviderError, ProviderError } from '../../errors.js';

/** What the AI SDK's `APICallError` carries. */
interface CallFailure {
  readonly name?: unknown;
  readonly statusCode?: unknown;
  readonly isRetryable?: unknown;
  readonly responseHeaders?: unknown;
}

const codes: Readonly<Record<number, AiProviderErrorCode>> = {
  400: 'input_refused',
  401: 'authentication_failed',
  402: 'quota_exceeded',
  403: 'authentication_failed',
  404: 'model_unavailable',
  413: 'input_refused',
  422: 'input_refused',
  429: 'rate_limited',
};

/** An error of a model, in this library's codes. Its own words stay in `cause`: they may quote a prompt. */
export function toProviderError(provider: string, error: unknown): Error {
  if (isAiProviderError(error)) return error as Error;
  const { name, statusCode, isRetryable, responseHeaders } = (error ?? {}) as CallFailure;
  const status = typeof statusCode === 'number' ? statusCode : undefined;
  const code = (status === undefined ? undefined : codes[status]) ?? 'unavailable';
  const said =
    status === undefined ? `failed with ${String(name ?? 'an error')}` : `answered with the status ${status}`;
  return new ProviderError(`The provider ${provider} ${said}. Its own message is in \`cause\`.`, {
    code,
    provider,
    status,
    retryAfterMs: retryAfterMs(responseHeaders),
    isRetryable: isRetryable === true || code === 'unavailable' || code === 'rate_limited',
    cause: error,
  });
}

function retryAfterMs(headers: unknown): number | undefined {
  const value = (headers as Record<string, unknown> | undefined)?.['retry-after'];
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(seconds) ? Math.ceil(seconds * 1000) : undefined;
}
