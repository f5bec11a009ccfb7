import { randomUUID } from 'node:crypto';
import { readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VectorStoreError } from '../../../errors.js';
import { orRemove } from './files.js';
import { describeSelf, type LockOwner, pidScope, startTicks } from './lock-owner.js';
import { storageFailed } from './storage-error.js';

/** What those who write into a locked folder ask of the lock. */
export interface HeldLock {
  /** Whether the holder before may still run: then no file that it has open may be written to. */
  readonly isTakenOver: boolean;
  /** @throws if another process may have taken the folder over. */
  confirm(): Promise<void>;
  /** To be awaited before a log is written to. */
  beforeWrite?(): Promise<void>;
}

const lockForm = /^lock-[0-9a-f-]+\.json$/;
const attempts = 5;
const heartbeatMs = 2_000;
/** A lock of another machine, container or boot counts as left behind when its heartbeat is older. */
const staleMs = 30_000;

export const isLockFile = (name: string): boolean => lockForm.test(name);

/**
 * Keeps a folder to one process.
 *
 * Each contender writes a file of its own and then looks for those of others: of two that come at once at least the
 * later looker sees the other, and one that sees a living other withdraws. A file name is never used twice, so that
 * removing a dead one can never hit a living lock (which taking over a fixed file name would risk).
 *
 * A process that stood still for long enough may find its lock removed when it goes on. Therefore a change is
 * acknowledged only once the lock was seen after the change had reached the disk: whoever takes over removes the lock
 * first and reads then, and so reads that change. This asks no clock, which may have stood still as well.
 */
export class FolderLock implements HeldLock {
  readonly isTakenOver: boolean;
  readonly #folder: string;
  readonly #path: string;
  readonly #heartbeat: NodeJS.Timeout;
  #failure: Error | undefined;

  /** @throws `storage_locked` if a living process, this one included, has the folder. */
  static async acquire(folder: string): Promise<FolderLock> {
    let isTakenOver = false;
    for (let attempt = 1; ; attempt++) {
      const path = join(folder, `lock-${randomUUID()}.json`);
      const others = await orRemove(path, async () => {
        await writeFile(path, JSON.stringify(await describeSelf()), { flag: 'wx' });
        return removeDeadOthers(folder, path);
      });
      isTakenOver ||= others.isAnyTakenOver;
      if (!others.holder) return new FolderLock(folder, path, isTakenOver);
      await rm(path, { force: true });
      if (attempt === attempts) {
        const { pid, host } = others.holder;
        throw new VectorStoreError(
          `The local vector store is open in another client: process ${pid} on ${host} (${folder}).`,
          { code: 'storage_locked', isRetryable: true },
        );
      }
      // Two that came at once may both have withdrawn.
      await delay(5 + Math.random() * 20);
    }
  }

  private constructor(folder: string, path: string, isTakenOver: boolean) {
    this.#folder = folder;
    this.#path = path;
    this.isTakenOver = isTakenOver;
    // What it throws is kept in `failure`.
    this.#heartbeat = setInterval(() => this.confirm().catch(() => undefined), heartbeatMs);
    this.#heartbeat.unref();
  }

  /** Set if the last heartbeat failed: what is in memory may be behind the disk. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Renews the heartbeat, which works only while the lock is there. */
  async confirm(): Promise<void> {
    const now = new Date();
    try {
      await utimes(this.#path, now, now);
      this.#failure = undefined;
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
      this.#failure = isGone ? lockLost(this.#folder) : storageFailed('Keeping the lock of', this.#path, error);
      throw this.#failure;
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    await rm(this.#path, { force: true });
  }
}

function lockLost(folder: string): VectorStoreError {
  return new VectorStoreError(
    `The lock of the local vector store is gone: another process took the folder over while this one stood still, or somebody removed it. Close this client, and open the folder with a new one (${folder}).`,
    { code: 'vector_store_failed' },
  );
}

async function removeDeadOthers(
  folder: string,
  own: string,
): Promise<{ holder: LockOwner | undefined; isAnyTakenOver: boolean }> {
  let isAnyTakenOver = false;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (!isLockFile(name) || path === own) continue;
    const owner = await readOwner(path);
    if (owner === 'gone') continue;
    const state = await stateOf(owner, path);
    if (state === 'alive') {
      const holder = owner ?? { pid: 0, host: 'an unknown host', startTicks: null, pidScope: null };
      return { holder, isAnyTakenOver };
    }
    isAnyTakenOver ||= state === 'silent';
    await rm(path, { force: true });
  }
  return { holder: undefined, isAnyTakenOver };
}

/** Undefined if the file is not written out: its process is at it, or died over it. */
async function readOwner(path: string): Promise<LockOwner | 'gone' | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockOwner;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : undefined;
  }
}

/** `silent`: there is no telling whether it still runs, but its heartbeat stopped. */
async function stateOf(owner: LockOwner | undefined, path: string): Promise<'alive' | 'dead' | 'silent'> {
  if (owner?.pidScope && owner.pidScope === (await pidScope())) {
    return (await startTicks(owner.pid)) === owner.startTicks ? 'alive' : 'dead';
  }
  if (owner?.pidScope === null && owner.host === hostname() && !hasProcess(owner.pid)) return 'dead';
  return Date.now() - (await lastHeartbeat(path)) < staleMs ? 'alive' : 'silent';
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
