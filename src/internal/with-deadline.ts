export interface DeadlineOptions {
  readonly timeoutMs: number;
  /** Any of these ends the wait; its reason is thrown untouched. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Made when the time is up. */
  readonly timeoutError: () => Error;
}

/**
 * Waits for `run` no longer than `timeoutMs` and no longer than every signal allows, also if `run` itself cannot be
 * stopped. The signal that `run` gets ends with the wait.
 */
export async function withDeadline<Value>(
  run: (signal: AbortSignal) => Promise<Value>,
  options: DeadlineOptions,
): Promise<Value> {
  const signals = options.signals.filter((signal) => signal !== undefined);
  for (const signal of signals) signal.throwIfAborted();

  const controller = new AbortController();
  const forward = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
  // Listeners of our own instead of AbortSignal.any(), which leaks on Node 20 if a source lives long.
  for (const signal of signals) signal.addEventListener('abort', forward, { once: true });
  const timer = setTimeout(() => controller.abort(options.timeoutError()), options.timeoutMs);
  const ended = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason), { once: true });
  });
  try {
    return await Promise.race([run(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener('abort', forward);
  }
}
