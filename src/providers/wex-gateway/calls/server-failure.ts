import type { AiProviderErrorCode } from '../../../errors.js';

/** What a server says of a failure, in an answer with an error status, in the body of a 200, or in an event of a stream. */
export interface ServerFailure {
  /** Undefined for a failure inside an answer that began well. */
  readonly status?: number | undefined;
  readonly code?: unknown;
  readonly type?: unknown;
  readonly param?: unknown;
  readonly message?: unknown;
}

/** What such a failure means to us. */
export interface FailureKind {
  readonly code: AiProviderErrorCode;
  readonly says: string;
  readonly isRetryable: boolean;
}

export function kindOfFailure(failure: ServerFailure): FailureKind {
  const words = wordsOf(failure);
  const status = failure.status ?? statusOf(failure, words);
  // Quota before rate limit: both are a 429, but waiting mends only one of them.
  if (
    status === 402 ||
    /insufficient_quota|billing|credit(?!_?card)/.test(words) ||
    isQuotaMessage(status, failure.message)
  ) {
    const says = 'refused the request because the account has no quota left';
    return { code: 'quota_exceeded', says, isRetryable: false };
  }
  if (status < 500 && /content_?(filter|policy)|responsible_?ai|moderation|guardrail/.test(words)) {
    return { code: 'input_refused', says: 'refused the content of the request', isRetryable: false };
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
  if (isOurParameter(failure.param)) {
    return { code: 'invalid_config', says: 'refused a parameter', isRetryable: false };
  }
  return { code: 'input_refused', says: 'refused the request', isRetryable: false };
}

/** Whether a 400 says that the server does not know `encoding_format: 'base64'`. */
export function isAboutEncoding(error: unknown): boolean {
  const { status, param, message } = error as ServerFailure;
  if (status !== 400 && status !== 422) return false;
  // The message may well show a text that speaks of encodings.
  return /encoding|base64/i.test(isOurParameter(param) ? param : String(message));
}

function wordsOf({ code, type }: ServerFailure): string {
  return [code, type]
    .filter((word) => typeof word === 'string')
    .join(' ')
    .toLowerCase();
}

/** Gateways wrap the upstream's error in one of their own. */
function isQuotaMessage(status: number, message: unknown): boolean {
  return status === 429 && typeof message === 'string' && message.includes('insufficient_quota');
}

/** The status that the failure would have had if the answer had not begun: some servers give it as `code`. */
function statusOf({ code }: ServerFailure, words: string): number {
  const number = Number(code);
  if (Number.isInteger(number) && number >= 400 && number < 600) return number;
  if (/rate_?limit|too_?many/.test(words)) return 429;
  if (/authentication|permission|api_?key|unauthorized|forbidden/.test(words)) return 401;
  if (/not_?found/.test(words)) return 404;
  return /invalid_?request|bad_?request|context_length|content_?(filter|policy)/.test(words) ? 400 : 500;
}

/** Others are a part of the input, such as `prompt`, or nothing, which LiteLLM spells `None`. */
function isOurParameter(param: unknown): param is string {
  return (
    typeof param === 'string' &&
    /^\W*(model|dimensions|encoding_format|temperature|max_(completion_)?tokens|stop|stream|stream_options|tools?|tool_choice|response_format)\b/.test(
      param,
    )
  );
}
