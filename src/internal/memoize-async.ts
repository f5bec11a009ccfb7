/**
 * Runs `create` once for all concurrent and later callers; a failure is forgotten, so that the next call tries again.
 */
export function memoizeAsync<Value>(create: () => Promise<Value>): () => Promise<Value> {
  let promise: Promise<Value> | undefined;
  return () => {
    promise ??= create().catch((error: unknown) => {
      promise = undefined;
      throw error;
    });
    return promise;
  };
}
