import { type AiProviderErrorCode, isAiProviderError } from '@pulse/ai-providers';

export interface HttpError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly code: string; readonly message: string };
}

/** The codes that say something about the request; all others are this service's own trouble. */
const statusByCode: Partial<Record<AiProviderErrorCode, number>> = {
  invalid_input: 400,
  input_refused: 422,
  collection_not_found: 404,
  integration_not_found: 409,
  unsupported_operation: 409,
  quota_exceeded: 402,
};

/** Codes are stable and fit for clients; messages are for operators, except of a request's own mistakes. */
export function toHttpError(error: unknown): HttpError {
  if (!isAiProviderError(error)) return toResponse(500, 'internal_error', 'Something went wrong.');
  const status = statusByCode[error.code];
  if (status !== undefined) return toResponse(status, error.code, error.message);
  if (!error.isRetryable)
    return toResponse(500, error.code, 'This service is not set up right; its operators have been told.');
  const retryAfterMs = 'retryAfterMs' in error && typeof error.retryAfterMs === 'number' ? error.retryAfterMs : 5_000;
  return toResponse(503, error.code, 'Try again later.', { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) });
}

function toResponse(status: number, code: string, message: string, headers: Record<string, string> = {}): HttpError {
  return { status, headers, body: { code, message } };
}
