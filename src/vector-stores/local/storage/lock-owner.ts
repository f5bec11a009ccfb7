import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';

/** What a lock file says of the process that made it. */
export interface LockOwner {
  readonly pid: number;
  readonly host: string;
  /**
   * When the process started, in the kernel's ticks since boot; null if there is no /proc. It tells a process from a
   * later one of its pid.
   */
  readonly startTicks: string | null;
  /** Boot and pid namespace: within them a pid means the same process. */
  readonly pidScope: string | null;
}

export async function describeSelf(): Promise<LockOwner> {
  const { pid } = process;
  return { pid, host: hostname(), startTicks: await startTicks(pid), pidScope: await pidScope() };
}

export async function pidScope(): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    return `${boot.trim()}/${await readlink('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/**
 * When a process started; null if there is none of this pid, or nothing of it but a status that its parent has not
 * asked for.
 */
export async function startTicks(pid: number): Promise<string | null> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // From field 3 on: the name in field 2 may hold spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, threads, started = null] = [fields[0], fields[17], fields[19]];
  // A killed process is a zombie already while a thread of it still ends a write.
  const isDead = (state === 'Z' || state === 'X') && Number(threads) <= 1;
  return isDead ? null : started;
}
