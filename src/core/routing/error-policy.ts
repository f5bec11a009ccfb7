import { type AiProviderError, type AiProviderErrorCode, isAiProviderError } from '../../errors.js';

/** What an error means for a call; docs/errors.md shows the table. */
export interface ErrorPolicy {
  /** The same provider may be asked again, after a wait, if the error itself is retryable. */
  readonly retry: boolean;
  /** The next provider may be asked. `by_row`: only if the failed row allows it (`fallback_on_refusal`). */
  readonly failOver: boolean | 'by_row';
  /**
   * `counts`: a failure in a row towards the threshold. `opens`: opens at once, for as long as the server asks or for
   * the cooldown. `closes`: the provider is alive. `none`: says nothing about the provider.
   */
  readonly circuit: 'counts' | 'opens' | 'closes' | 'none';
  /** No other request of the same call to this provider can succeed. */
  readonly endsCall: boolean;
  /** A batch that fails so may be halved: a smaller part of it may succeed. */
  readonly halve: boolean;
  /** Who has to act. */
  readonly fault: 'caller' | 'row' | 'provider' | 'host';
}

type Row = Partial<ErrorPolicy> & Pick<ErrorPolicy, 'fault'>;

const policy = (row: Row): ErrorPolicy => ({
  retry: false,
  failOver: false,
  circuit: 'none',
  endsCall: true,
  halve: false,
  ...row,
});

/** Code by code. Retries, failover, circuit and halving all read it, so that they cannot disagree. */
export const errorPolicies: Readonly<Record<AiProviderErrorCode, ErrorPolicy>> = {
  aborted_by_close: policy({ fault: 'host' }),
  authentication_failed: policy({ fault: 'row', failOver: true, circuit: 'counts' }),
  budget_exceeded: policy({ fault: 'host', failOver: true }),
  circuit_open: policy({ fault: 'provider', failOver: true }),
  collection_not_found: policy({ fault: 'caller' }),
  credential_invalid: policy({ fault: 'row', failOver: true }),
  deadline_exceeded: policy({ fault: 'provider', failOver: true, circuit: 'counts' }),
  dimension_mismatch: policy({ fault: 'caller' }),
  embedding_partially_failed: policy({ fault: 'provider', failOver: true }),
  embedding_space_mismatch: policy({ fault: 'row', failOver: true }),
  fallback_invalid: policy({ fault: 'row' }),
  input_refused: policy({ fault: 'caller', failOver: 'by_row', circuit: 'closes', endsCall: false, halve: true }),
  integration_not_found: policy({ fault: 'row' }),
  invalid_config: policy({ fault: 'row', failOver: true, circuit: 'closes' }),
  invalid_input: policy({ fault: 'caller' }),
  invalid_response: policy({ fault: 'provider', retry: true, failOver: true, circuit: 'closes', endsCall: false }),
  isolation_violated: policy({ fault: 'host' }),
  missing_dependency: policy({ fault: 'host', failOver: true }),
  model_unavailable: policy({ fault: 'row', failOver: true, circuit: 'closes' }),
  providers_exhausted: policy({ fault: 'provider' }),
  quota_exceeded: policy({ fault: 'row', failOver: true, circuit: 'opens' }),
  rate_limited: policy({ fault: 'provider', retry: true, failOver: true, circuit: 'opens' }),
  repository_failed: policy({ fault: 'host' }),
  storage_corrupt: policy({ fault: 'host' }),
  storage_locked: policy({ fault: 'host' }),
  unavailable: policy({ fault: 'provider', retry: true, failOver: true, circuit: 'counts' }),
  unknown_provider: policy({ fault: 'caller' }),
  unsupported_operation: policy({ fault: 'row', failOver: true }),
  upsert_partially_failed: policy({ fault: 'provider' }),
  vector_store_failed: policy({ fault: 'provider' }),
  worker_crashed: policy({ fault: 'provider', retry: true, failOver: true, circuit: 'counts' }),
};

/** Whether the same request may be sent again after a wait. */
export function isWorthRetrying(error: unknown): error is AiProviderError {
  return isAiProviderError(error) && error.isRetryable && errorPolicies[error.code].retry;
}

/** Whether the next provider may be asked, given the configuration of the row that failed. */
export function mayFailOver(error: unknown, rowConfig: Readonly<Record<string, unknown>>): error is AiProviderError {
  if (!isAiProviderError(error)) return false;
  const { failOver } = errorPolicies[error.code];
  return failOver === 'by_row' ? rowConfig.fallback_on_refusal === true : failOver;
}

/** What an error says about its provider's health. `openForMs` is how long the server asked to be left alone. */
export function circuitEffectOf(error: unknown): { effect: ErrorPolicy['circuit']; openForMs?: number | undefined } {
  if (!isAiProviderError(error)) return { effect: 'none' };
  // What the whole call means is what its cause means.
  if (isAiProviderError(error, 'embedding_partially_failed')) {
    return { effect: isAiProviderError(error.cause) ? circuitEffectOf(error.cause).effect : 'none' };
  }
  const { circuit: effect } = errorPolicies[error.code];
  if (!isAiProviderError(error, 'rate_limited')) return { effect };
  const { retryAfterMs } = error;
  // Without a request it was the host's own limit that refused.
  if ('attempts' in error && error.attempts === 0) return { effect: 'none' };
  return retryAfterMs ? { effect, openForMs: retryAfterMs } : { effect: 'counts' };
}
