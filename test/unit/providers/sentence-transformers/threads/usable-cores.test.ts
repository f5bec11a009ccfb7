import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { usableCores } from '#src/providers/sentence-transformers/threads/usable-cores.js';

const all = availableParallelism();

it.each<[string, Record<string, string>, number]>([
  ['no files', {}, all],
  ['half a core', { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }, 1],
  ['one and a half', { '/sys/fs/cgroup/cpu.max': '150000 100000\n' }, Math.min(2, all)],
  ['no quota', { '/sys/fs/cgroup/cpu.max': 'max 100000\n' }, all],
  ['more than there are', { '/sys/fs/cgroup/cpu.max': '9900000 100000\n' }, all],
  ['a damaged file', { '/sys/fs/cgroup/cpu.max': '' }, all],
  [
    'half a core, as older kernels say it',
    { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '50000\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    1,
  ],
  [
    'no quota, as older kernels say it',
    { '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n' },
    all,
  ],
])('%s', (_, files, cores) => {
  expect(usableCores((file) => files[file])).toBe(cores);
});
