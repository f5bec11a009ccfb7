import { onAbort } from './on-abort.js';

/** A longer timer fires at once: Node keeps the delay in 31 bits. */
export const longestTimerMs = 2 ** 31 - 1;

export interface DeadlineOptions {
  readonly timeoutMs: number;
  /** Any of these ends the wait; its reason is thrown untouched. */
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Makes the error when the time is up. */
  readonly timeoutError: () => Error;
}

/**
 * Waits for `run` no longer than `timeoutMs` and no longer than every signal allows, also if `run` itself cannot be
 * stopped. The signal that `run` gets ends with the wait. Calling `renew` starts the time again, as after a sign of
 * life.
 */
export async function withDeadline<Value>(
  run: (signal: AbortSignal, renew: () => void) => Promise<Value>,
  options: DeadlineOptions,
): Promise<Value> {
  const signals = options.signals.filter((signal) => signal !== undefined);
  for (const signal of signals) signal.throwIfAborted();

  const controller = new AbortController();
  // Listeners of our own instead of AbortSignal.any(), which leaks on Node 20 if a source lives long.
  const endings = signals.map((signal) => onAbort(signal, (reason) => controller.abort(reason)));
  const start = () => setTimeout(() => controller.abort(options.timeoutError()), options.timeoutMs);
  let timer = start();
  let isOver = false;
  const renew = () => {
    if (isOver) return;
    clearTimeout(timer);
    timer = start();
  };
  const ended = new Promise<never>((_, reject) => {
    onAbort(controller.signal, reject);
  });
  try {
    return await Promise.race([run(controller.signal, renew), ended]);
  } finally {
    isOver = true;
    clearTimeout(timer);
    for (const end of endings) end();
  }
}
