import { expect, it } from 'vitest';
import { ScanSchedule, type ScanTurns } from '#src/vector-stores/local/scan-schedule.js';

const endOfSlice = (turns: ScanTurns): void => {
  while (!turns.isOver()) {
    // Works.
  }
};

/** A scan of some slices that writes its name down at the beginning of each. */
const scanOf =
  (slices: number, name: string, seen: string[]) =>
  async (turns: ScanTurns): Promise<void> => {
    for (let slice = 0; slice < slices; slice++) {
      if (slice > 0) await turns.next();
      seen.push(name);
      endOfSlice(turns);
    }
  };

it('runs a scan at once if nobody else does', () => {
  const seen: string[] = [];
  void new ScanSchedule().run({}, scanOf(1, 'one', seen));
  expect(seen).toEqual(['one']);
});

it('lets a short scan go before the long ones that began earlier', async () => {
  const schedule = new ScanSchedule();
  const seen: string[] = [];
  const long = [1, 2].map((n) => schedule.run({}, scanOf(20, `long ${n}`, seen)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  const before = seen.length;
  await schedule.run({}, scanOf(2, 'short', seen));
  expect(seen.length - before).toBeLessThan(8);
  await Promise.all(long);
});

it('shares the time between keys, however many scans one has', async () => {
  const schedule = new ScanSchedule();
  const seen: string[] = [];
  const greedy = Array.from({ length: 100 }, () => schedule.run({ fairnessKey: 1 }, scanOf(3, 'greedy', seen)));
  await schedule.run({ fairnessKey: 2 }, scanOf(10, 'modest', seen));
  expect(seen.filter((name) => name === 'greedy').length).toBeLessThan(40);
  await Promise.all(greedy);
  expect(seen.length).toBe(310);
});

it('gives the event loop a turn between two slices, however many scans wait', async () => {
  const schedule = new ScanSchedule();
  let turnsOfLoop = 0;
  let isRunning = true;
  const count = (): void => {
    turnsOfLoop++;
    if (isRunning) setImmediate(count);
  };
  setImmediate(count);
  const seen: string[] = [];
  await Promise.all(Array.from({ length: 20 }, () => schedule.run({}, scanOf(2, 'scan', seen))));
  isRunning = false;
  expect(turnsOfLoop).toBeGreaterThan(30);
});

it('ends the scans of a caller with its signal, before they begin and between slices', async () => {
  const schedule = new ScanSchedule();
  const controller = new AbortController();
  const reason = new Error('given up');
  const seen: string[] = [];
  const scans = Array.from({ length: 3 }, () =>
    schedule.run({ signal: controller.signal }, scanOf(10_000, 'scan', seen)),
  );
  setTimeout(() => controller.abort(reason), 5);
  for (const ended of await Promise.allSettled(scans)) expect(ended).toEqual({ status: 'rejected', reason });
  await expect(schedule.run({ signal: controller.signal }, scanOf(1, 'late', seen))).rejects.toBe(reason);
  expect(seen).not.toContain('late');
  await schedule.run({}, scanOf(2, 'another', seen));
  expect(seen.slice(-2)).toEqual(['another', 'another']);
});

it('goes on after a scan that failed', async () => {
  const schedule = new ScanSchedule();
  const failure = new Error('failed');
  await expect(
    schedule.run({}, async () => {
      throw failure;
    }),
  ).rejects.toBe(failure);
  expect(await schedule.run({}, async () => 'fine')).toBe('fine');
});
