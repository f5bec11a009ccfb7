import { onAbort } from './on-abort.js';

/**
 * The promise's outcome, or the signal's reason as soon as it is aborted. The work goes on then, and its failure is
 * ignored.
 */
export async function rejectOnAbort<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = onAbort(signal, reject);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stop();
  }
}
