/**
 * A thread that is ended while it is inside of onnxruntime brings the whole process down: the native code finds no JavaScript to return to,
 * throws, and nothing catches it. So threads end themselves between two runs, and a process that exits waits for the run under way.
 */

const busy = 0;
const stop = 1;
/** A run takes a fraction of this; what hangs longer is left to its fate. */
const longestWaitMs = 5000;

/** Shared between a worker and the thread that started it. */
export type GuardState = Int32Array<SharedArrayBuffer>;

const guarded = new Set<GuardState>();

/** On the host's side: makes the state of a new worker. Call `release` when the worker has ended. */
export function guardWorker(): { readonly state: GuardState; release(): void } {
  if (guarded.size === 0) process.on('exit', waitForNativeCode);
  const state = new Int32Array(new SharedArrayBuffer(8));
  guarded.add(state);
  return {
    state,
    release: () => {
      guarded.delete(state);
      if (guarded.size === 0) process.off('exit', waitForNativeCode);
    },
  };
}

function waitForNativeCode(): void {
  for (const state of guarded) Atomics.store(state, stop, 1);
  for (const state of guarded) Atomics.wait(state, busy, 1, longestWaitMs);
}

/** How many calls are under way in this thread: an urgent one is served between two runs of another. */
let depth = 0;

/**
 * On the worker's side: runs native code, unless the process is about to exit.
 *
 * @param state - Null in a process of its own, which nobody else can end inside of native code.
 */
export async function runNative<Result>(state: GuardState | null, run: () => Promise<Result>): Promise<Result> {
  if (state === null) return run();
  depth++;
  Atomics.store(state, busy, 1);
  try {
    if (Atomics.load(state, stop) === 1) throw new Error('the process exits');
    return await run();
  } finally {
    if (--depth === 0) {
      Atomics.store(state, busy, 0);
      Atomics.notify(state, busy);
    }
  }
}
