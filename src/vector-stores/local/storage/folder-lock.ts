import { randomUUID } from 'node:crypto';
import { readdir, readFile, readlink, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VectorStoreError } from '../../../errors.js';

/** What a lock file says of the process that made it. */
interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /** When the process started, in the kernel's ticks since boot; null where there is no /proc. It tells a process from a later one of its pid. */
  readonly startTicks: string | null;
  /** Boot and pid namespace: within them a pid means the same process. */
  readonly pidScope: string | null;
}

const lockForm = /^lock-[0-9a-f-]+\.json$/;
const attempts = 5;
const heartbeatMs = 2_000;
/** A lock of another machine, container or boot counts as left behind when its heartbeat is older. */
const staleMs = 30_000;

/**
 * Keeps a folder to one process.
 *
 * Each contender writes a file of its own and then looks for those of others: of two that come at once at least the later looker sees the
 * other, and one that sees a living other withdraws. A file name is never used twice, so that removing a dead one can never hit a living
 * lock (which taking over a fixed file name would risk).
 */
export class FolderLock {
  readonly #path: string;
  readonly #heartbeat: NodeJS.Timeout;

  /** @throws `storage_locked` where a living process, this one included, has the folder. */
  static async acquire(folder: string): Promise<FolderLock> {
    for (let attempt = 1; ; attempt++) {
      const path = join(folder, `lock-${randomUUID()}.json`);
      await writeFile(path, JSON.stringify(await describeSelf()), { flag: 'wx' });
      const holder = await findLivingOther(folder, path);
      if (!holder) return new FolderLock(path);
      await rm(path, { force: true });
      if (attempt === attempts) {
        throw new VectorStoreError(
          `The local vector store is open in another client: process ${holder.pid} on ${holder.host} (${folder}).`,
          { code: 'storage_locked', isRetryable: true },
        );
      }
      // Two that came at once may both have withdrawn.
      await delay(5 + Math.random() * 20);
    }
  }

  private constructor(path: string) {
    this.#path = path;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, heartbeatMs);
    this.#heartbeat.unref();
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    await rm(this.#path, { force: true });
  }
}

async function findLivingOther(folder: string, own: string): Promise<LockOwner | undefined> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!lockForm.test(name) || path === own) continue;
    const owner = await readOwner(path);
    if (owner === 'gone') continue;
    if (await isAlive(owner, path))
      return owner ?? { pid: 0, host: 'an unknown host', startTicks: null, pidScope: null };
    await rm(path, { force: true });
  }
  return undefined;
}

/** Undefined where the file is not written out: its process is at it, or died over it. */
async function readOwner(path: string): Promise<LockOwner | 'gone' | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockOwner;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : undefined;
  }
}

async function isAlive(owner: LockOwner | undefined, path: string): Promise<boolean> {
  if (owner?.pidScope && owner.pidScope === (await pidScope())) {
    return (await startTicks(owner.pid)) === owner.startTicks;
  }
  if (owner?.pidScope === null && owner.host === hostname() && !hasProcess(owner.pid)) return false;
  return Date.now() - (await lastHeartbeat(path)) < staleMs;
}

async function lastHeartbeat(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch {
    return Number.NEGATIVE_INFINITY;
  }
}

function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function describeSelf(): Promise<LockOwner> {
  const { pid } = process;
  return { pid, host: hostname(), startTicks: await startTicks(pid), pidScope: await pidScope() };
}

async function pidScope(): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot.trim()}/${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** Field 22 of /proc/<pid>/stat; null where there is no such process. The name in field 2 may hold spaces and brackets. */
async function startTicks(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
