/** What a request was for. */
export type UsageOperation = 'embedding' | 'text_generation' | 'analysis';

/** What one request to a provider used. */
export interface UsageEvent {
  readonly operation: UsageOperation;
  /** The model that was asked, as the price list names it. */
  readonly model: string;
  readonly inputCount: number;
  /** All input tokens, those from a cache included. Null if the provider did not say. */
  readonly inputTokens: number | null;
  /** All output tokens, those of reasoning included. Null if the provider did not say. */
  readonly outputTokens: number | null;
  /** How many of `inputTokens` the provider read from its prompt cache. */
  readonly cachedInputTokens?: number | undefined;
  /** How many of `inputTokens` the provider wrote to its prompt cache. */
  readonly cacheWriteTokens?: number | undefined;
  /** How many of `outputTokens` were spent on reasoning. */
  readonly reasoningTokens?: number | undefined;
  /** How many of `inputTokens` and of `outputTokens` were audio. */
  readonly audioInputTokens?: number | undefined;
  readonly audioOutputTokens?: number | undefined;
  /**
   * The counts are this library's estimate, because the server sent none (a stream that was left, an aborted request).
   */
  readonly isEstimate?: boolean | undefined;
  /** US dollars as the gateway reported them for this request, as a decimal string. */
  readonly reportedCost?: string | undefined;
  /** Facts for the JSONB column, such as `requestId`, `durationMs` and `servedModel`. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/**
 * Called by a provider after each answered request, before the call returns, so that what was paid is on record even if
 * a later request of the same call fails. Must not throw: a vector that was paid for is not lost because its
 * bookkeeping failed.
 */
export interface UsageRecorder {
  record(event: UsageEvent): Promise<void>;
}
