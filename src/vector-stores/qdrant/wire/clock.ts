import { setTimeout as sleep } from 'node:timers/promises';

/** The time of a store: tests pass one of their own. */
export interface Clock {
  /** Milliseconds that only ever grow, whatever the wall clock does. */
  now(): number;
  /** Milliseconds since 1970, for what several processes compare. */
  date(): number;
  /** @throws The reason of the signal. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  sleep: async (ms, signal) => {
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
