import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/**
 * How many cores this process may use at once: those of the machine that it may run on, or fewer by the quota of its container, which neither Node 20 nor
 * `availableParallelism` counts in. A quota of half a core is one: two threads would only take turns.
 */
export function usableCores(read: (file: string) => string | undefined = readText): number {
  const quota = quotaOf(read);
  return Math.max(1, Math.min(availableParallelism(), Math.ceil(quota)));
}

/** In cores; infinite when there is none. https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu-interface-files */
function quotaOf(read: (file: string) => string | undefined): number {
  const [quota, period] = read('/sys/fs/cgroup/cpu.max')?.trim().split(/\s+/) ?? [
    read('/sys/fs/cgroup/cpu/cpu.cfs_quota_us')?.trim(),
    read('/sys/fs/cgroup/cpu/cpu.cfs_period_us')?.trim(),
  ];
  const cores = Number(quota) / Number(period);
  // `max`, and -1 in the older files, mean no quota.
  return cores > 0 && Number.isFinite(cores) ? cores : Number.POSITIVE_INFINITY;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
