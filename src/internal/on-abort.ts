/**
 * Who waits for each signal. One listener serves all of a signal's waiters: Node warns of a leak from the eleventh on.
 */
const waiters = new WeakMap<AbortSignal, Set<(reason: unknown) => void>>();

/**
 * Calls `notify` with the reason when the signal is aborted, at once if it is already. The signals of a host may live
 * long and serve many calls at a time, so each has one listener of ours, and none once nobody waits.
 *
 * @returns Ends the wait.
 */
export function onAbort(signal: AbortSignal, notify: (reason: unknown) => void): () => void {
  if (signal.aborted) {
    notify(signal.reason);
    return () => {};
  }
  const waiting = waiters.get(signal) ?? listenTo(signal);
  // Of its own, so that one function may wait twice.
  const waiter = (reason: unknown): void => notify(reason);
  waiting.add(waiter);
  return () => {
    if (!waiting.delete(waiter) || waiting.size > 0 || waiters.get(signal) !== waiting) return;
    waiters.delete(signal);
    signal.removeEventListener('abort', forward);
  };
}

function listenTo(signal: AbortSignal): Set<(reason: unknown) => void> {
  const waiting = new Set<(reason: unknown) => void>();
  waiters.set(signal, waiting);
  signal.addEventListener('abort', forward);
  return waiting;
}

function forward(event: Event): void {
  const signal = event.target as AbortSignal;
  const waiting = waiters.get(signal);
  waiters.delete(signal);
  signal.removeEventListener('abort', forward);
  for (const notify of waiting ?? []) notify(signal.reason);
}
