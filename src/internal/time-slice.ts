import { setImmediate as nextTurn } from 'node:timers/promises';

/** Long work gives the event loop a turn after this many milliseconds. */
const sliceMs = 2;

/** Cuts long work into slices: `if (slice.isOver()) await slice.next(signal)` in its loop. */
export class TimeSlice {
  #end = performance.now() + sliceMs;

  isOver(): boolean {
    return performance.now() > this.#end;
  }

  async next(signal?: AbortSignal): Promise<void> {
    await nextTurn();
    signal?.throwIfAborted();
    this.#end = performance.now() + sliceMs;
  }
}
