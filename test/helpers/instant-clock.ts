import { type Clock, systemClock } from '#src/vector-stores/qdrant/wire/clock.js';

/** A clock on which nothing is waited for: for tests in which every reader is a new process, that has nothing to forget. */
export const instantClock: Clock = {
  ...systemClock,
  sleep: async (_ms, signal) => {
    signal?.throwIfAborted();
  },
};
