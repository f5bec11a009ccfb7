import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { orRemove, syncFolder, writeAll } from './files.js';
import type { HeldLock } from './folder-lock.js';
import { logHandles } from './log-handles.js';
import { encodeFileHeader, encodeRecord, type RecordFileEnd } from './record-file.js';
import { writeFailed } from './storage-error.js';

interface Pending {
  readonly record: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A file to which records are appended. An append returns when the record is on disk; what waits while the disk is busy
 * is written and synced together.
 */
export class AppendLog {
  readonly path: string;
  readonly #lock: HeldLock;
  #offset: number;
  #sequence: number;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #lastWritten: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #isClosed = false;

  /** Makes an empty log, durably. There must not be one of that name. */
  static async create(path: string, generation: number, lock: HeldLock): Promise<AppendLog> {
    await lock.confirm();
    const handle = await open(path, 'wx');
    const header = encodeFileHeader(generation);
    await orRemove(path, async () => {
      try {
        await writeAll(handle, header, 0);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await syncFolder(dirname(path));
    });
    return new AppendLog(path, { offset: header.length, nextSequence: 1, isTorn: false }, lock);
  }

  /** Goes on after the intact records of an existing log and cuts off what follows them. */
  static async resume(path: string, end: RecordFileEnd, lock: HeldLock): Promise<AppendLog> {
    await lock.confirm();
    if (end.isTorn) {
      await logHandles.use(path, async (handle) => {
        await handle.truncate(end.offset);
        await handle.sync();
      });
    }
    return new AppendLog(path, end, lock);
  }

  private constructor(path: string, end: RecordFileEnd, lock: HeldLock) {
    this.path = path;
    this.#lock = lock;
    this.#offset = end.offset;
    this.#sequence = end.nextSequence;
  }

  /** How many bytes the log has; undefined if a write failed, which may have left some behind it. */
  get length(): number | undefined {
    return this.#failure ? undefined : this.#offset;
  }

  /**
   * @throws `vector_store_failed` if this or an earlier write failed, or the lock is gone: nothing is written after a
   *   gap.
   */
  append(parts: readonly Uint8Array[]): Promise<void> {
    if (this.#isClosed) this.#failure ??= writeFailed(this.path, new Error('The log is closed.'));
    if (this.#failure) return Promise.reject(this.#failure);
    const record = encodeRecord(this.#sequence++, parts);
    const written = new Promise<void>((resolve, reject) => {
      this.#pending.push({ record, resolve, reject });
      this.#writing ??= this.#writePending();
    });
    this.#lastWritten = written.catch(() => undefined);
    return written;
  }

  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        if (this.#failure) throw this.#failure;
        const bytes =
          batch.length === 1 ? (batch[0] as Pending).record : Buffer.concat(batch.map(({ record }) => record));
        await this.#lock.beforeWrite?.();
        await logHandles.use(this.path, async (handle) => {
          await writeAll(handle, bytes, this.#offset);
          await handle.datasync();
        });
        await this.#lock.confirm();
        this.#offset += bytes.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#failure ??= writeFailed(this.path, error);
        for (const { reject } of batch) reject(this.#failure);
      }
    }
    this.#writing = undefined;
  }

  /**
   * Returns when everything that was appended so far is on disk.
   *
   * @throws `vector_store_failed` if a write failed.
   */
  async flushed(): Promise<void> {
    await this.#lastWritten;
    if (this.#failure) throw this.#failure;
  }

  /** Writes nothing before the log before this one is on disk, and nothing at all if that one failed. */
  continueFrom(previous: AppendLog): void {
    this.#writing = previous
      .flushed()
      .catch((error: Error) => {
        this.#failure = error;
      })
      .then(() => this.#writePending());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#writing;
    await logHandles.close(this.path);
  }
}
