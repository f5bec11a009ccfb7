import type { UsageOperation } from './integration-repository.js';

/** What one request to a provider used. */
export interface UsageEvent {
  readonly operation: UsageOperation;
  readonly model: string;
  readonly inputCount: number;
  /** Null where the provider did not say. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** Facts for the JSONB column, such as `requestId` and `durationMs`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/**
 * Told by a provider of each request that was answered, before the call returns, so that what was paid is on record even where a later
 * request of the same call fails. Must not throw: a vector that was paid for is not lost because its bookkeeping failed.
 */
export interface UsageRecorder {
  record(event: UsageEvent): Promise<void>;
}
