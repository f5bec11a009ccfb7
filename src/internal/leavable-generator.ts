import { setMaxListeners } from 'node:events';

/** Why the work of an iteration that was left has ended. No failure: nobody waits for it any more. */
export const iterationLeft = new DOMException('The iteration was left.', 'AbortError');

/**
 * An async generator that can be left at any time. A plain one takes a `return` only between two values, and so would
 * keep its connection for as long as the next value does not come. This one first aborts the signal that `run` gets,
 * with {@link iterationLeft}; whoever waits for a value is then told that there are no more.
 *
 * @param callerSignal - Aborts the signal of `run` as well, with its own reason, also while nobody waits for a value.
 */
export function leavableGenerator<Value>(
  callerSignal: AbortSignal | undefined,
  run: (signal: AbortSignal) => AsyncGenerator<Value, void, undefined>,
): AsyncGenerator<Value, void, undefined> {
  const controller = new AbortController();
  const values = iterate(callerSignal, controller, run);
  const leave = () => controller.abort(iterationLeft);
  return {
    next: () => values.next(),
    return() {
      leave();
      return values.return();
    },
    throw(error) {
      leave();
      return values.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return();
    },
  };
}

async function* iterate<Value>(
  callerSignal: AbortSignal | undefined,
  controller: AbortController,
  run: (signal: AbortSignal) => AsyncGenerator<Value, void, undefined>,
): AsyncGenerator<Value, void, undefined> {
  callerSignal?.throwIfAborted();
  const forward = () => controller.abort(callerSignal?.reason);
  // Many streams may share one signal; Node prints a warning from the eleventh listener on.
  if (callerSignal instanceof EventTarget) setMaxListeners(0, callerSignal);
  callerSignal?.addEventListener('abort', forward, { once: true });
  try {
    yield* run(controller.signal);
  } catch (error) {
    if (error !== iterationLeft) throw error;
  } finally {
    callerSignal?.removeEventListener('abort', forward);
  }
}
