import { AiProviderError, ProvidersExhaustedError } from '../../errors.js';
import type { Candidate } from './candidate.js';
import { mayFailOver } from './error-policy.js';

export interface Served<Result> {
  readonly result: Result;
  readonly candidate: Candidate;
  /** Why others did not serve it, in the order tried. */
  readonly failedOver: readonly AiProviderError[];
}

/** The candidates that may serve after the first one failed, one at a time. */
export interface Fallbacks {
  /** @returns The next one, a link that cannot be used, or undefined at the end. */
  next(): Promise<{ readonly candidate: Candidate } | { readonly broken: AiProviderError } | undefined>;
}

/**
 * Tries the first candidate, then its fallbacks in order, until one serves.
 *
 * @param attempt - `isFallback` is false for the first candidate.
 * @throws What no other provider could change, as it is; the only failure, as it is; `fallback_invalid` if the only
 *   fallback cannot be used; or `providers_exhausted` with all failures.
 */
export async function withFailover<Result>(
  first: Candidate,
  fallbacks: Fallbacks,
  attempt: (candidate: Candidate, isFallback: boolean) => Promise<Result>,
  onBroken: (error: AiProviderError) => void = () => {},
): Promise<Served<Result>> {
  const failures: AiProviderError[] = [];
  const broken: AiProviderError[] = [];
  let candidate: Candidate | undefined = first;
  while (candidate !== undefined) {
    try {
      return { result: await attempt(candidate, candidate !== first), candidate, failedOver: failures };
    } catch (error) {
      if (!mayFailOver(error, candidate.integration.aiModelConfig)) throw error;
      failures.push(error);
    }
    candidate = undefined;
    for (let link = await fallbacks.next(); link !== undefined; link = await fallbacks.next()) {
      if ('candidate' in link) {
        candidate = link.candidate;
        break;
      }
      broken.push(link.broken);
      onBroken(link.broken);
    }
  }
  throw toFinalError(failures, broken);
}

function toFinalError(failures: readonly AiProviderError[], broken: readonly AiProviderError[]): AiProviderError {
  const [first] = failures;
  const [link] = broken;
  if (first !== undefined && failures.length === 1) return link === undefined ? first : withCause(link, first);
  const errors = [...failures, ...broken];
  const reasons = errors.map((error) => `${error.code}: ${error.message}`).join(' | ');
  return new ProvidersExhaustedError(`Every provider that the call may use failed. ${reasons}`, errors);
}

function withCause(broken: AiProviderError, cause: AiProviderError): AiProviderError {
  return new AiProviderError(`${broken.message} It was needed because of ${cause.code}: ${cause.message}`, {
    code: broken.code,
    isRetryable: cause.isRetryable,
    cause,
  });
}
