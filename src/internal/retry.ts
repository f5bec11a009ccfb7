import pRetry from 'p-retry';

export interface RetryOptions {
  /** How many times `attempt` may run again. */
  readonly retries: number;
  /**
   * Called with each failure while retries are left. Waits for as long as the next attempt has to wait.
   *
   * @returns whether to try again.
   */
  mayRetry(error: unknown, retriesDone: number): boolean | Promise<boolean>;
}

/**
 * Runs `attempt` until it succeeds, `mayRetry` says no, or no retries are left; then fails with the last error.
 *
 * @param attempt - Called with 1 the first time.
 */
export function retry<Result>(attempt: (number: number) => Promise<Result>, options: RetryOptions): Promise<Result> {
  return pRetry(attempt, {
    retries: options.retries,
    // Its own wait knows no Retry-After and no full jitter: `mayRetry` waits instead.
    minTimeout: 0,
    shouldRetry: ({ error, retriesConsumed }) => options.mayRetry(error, retriesConsumed),
  });
}

/** Waits this long, or until the signal is aborted if that is sooner; look at the signal to know which. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
}
