import { AiProviderError, type AiProviderErrorCode, isAiProviderError, ProvidersExhaustedError } from '../../errors.js';
import type { Candidate } from './routing.js';

/**
 * Failures that another provider may not share: this one is out of reach, out of quota, or set up wrongly. A call that is wrong itself would
 * fail everywhere, and the caller's abort is not a failure.
 */
const unavailabilityCodes: ReadonlySet<AiProviderErrorCode> = new Set([
  'authentication_failed',
  'circuit_open',
  'credential_invalid',
  'deadline_exceeded',
  'embedding_partially_failed',
  'embedding_space_mismatch',
  'invalid_config',
  'invalid_response',
  'missing_dependency',
  'model_unavailable',
  'quota_exceeded',
  'rate_limited',
  'unavailable',
  'unsupported_operation',
  'worker_crashed',
]);

export interface Served<Result> {
  readonly result: Result;
  readonly candidate: Candidate;
  /** Why others did not serve it, in the order tried. */
  readonly failedOver: readonly AiProviderError[];
}

/**
 * Tries the first candidate, then its fallbacks in order, until one serves.
 *
 * @throws What no other provider could mend, as it is; the only failure, as it is; or `providers_exhausted` with all of them.
 */
export async function withFailover<Result>(
  first: Candidate,
  fallbacksOf: (candidate: Candidate) => Promise<Candidate[]>,
  attempt: (candidate: Candidate) => Promise<Result>,
): Promise<Served<Result>> {
  const failedOver: AiProviderError[] = [];
  let fallbacks: Candidate[] | undefined;
  for (let candidate: Candidate | undefined = first; candidate !== undefined; candidate = fallbacks.shift()) {
    try {
      return { result: await attempt(candidate), candidate, failedOver };
    } catch (error) {
      if (!isAiProviderError(error) || !unavailabilityCodes.has(error.code)) throw error;
      failedOver.push(error);
      fallbacks ??= await fallbacksOf(first).catch((chainError: unknown) => {
        throw withCause(chainError, error);
      });
    }
  }
  throw toFinalError(failedOver);
}

function withCause(chainError: unknown, cause: AiProviderError): unknown {
  if (!isAiProviderError(chainError) || chainError.code !== 'fallback_invalid') return chainError;
  return new AiProviderError(`${chainError.message} It was needed because of ${cause.code}: ${cause.message}`, {
    code: chainError.code,
    cause,
  });
}

function toFinalError(errors: readonly AiProviderError[]): AiProviderError {
  const [first] = errors;
  if (first !== undefined && errors.length === 1) return first;
  const reasons = errors.map((error) => `${error.code}: ${error.message}`).join(' | ');
  return new ProvidersExhaustedError(`Every provider that the call may use failed. ${reasons}`, errors);
}
