import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { orRemove, syncFolder, writeAll } from './files.js';
import type { HeldLock } from './folder-lock.js';
import { encodeFileHeader, encodeRecord, type RecordFileEnd } from './record-file.js';
import { writeFailed } from './storage-error.js';

interface Pending {
  readonly record: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A file to which records are appended. An append returns when the record is on disk; what waits while the disk is busy is written and synced
 * together.
 */
export class AppendLog {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #lock: HeldLock;
  #offset: number;
  #sequence: number;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #lastWritten: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  /** Makes an empty log, durably. There must be none of that name. */
  static async create(path: string, generation: number, lock: HeldLock): Promise<AppendLog> {
    await lock.confirm();
    const handle = await open(path, 'wx');
    const header = encodeFileHeader(generation);
    const write = async (): Promise<void> => {
      await writeAll(handle, header, 0);
      await handle.sync();
      await syncFolder(dirname(path));
    };
    await orRemove(path, () => orClose(handle, write));
    return new AppendLog(path, handle, { offset: header.length, nextSequence: 1, isTorn: false }, lock);
  }

  /** Goes on after the intact records of an existing log and cuts off what follows them. */
  static async resume(path: string, end: RecordFileEnd, lock: HeldLock): Promise<AppendLog> {
    await lock.confirm();
    const handle = await open(path, 'r+');
    await orClose(handle, async () => {
      if (!end.isTorn) return;
      await handle.truncate(end.offset);
      await handle.sync();
    });
    return new AppendLog(path, handle, end, lock);
  }

  private constructor(path: string, handle: FileHandle, end: RecordFileEnd, lock: HeldLock) {
    this.path = path;
    this.#handle = handle;
    this.#lock = lock;
    this.#offset = end.offset;
    this.#sequence = end.nextSequence;
  }

  /** @throws `vector_store_failed` where this or an earlier write failed, or the lock is gone: nothing is written after a gap. */
  append(parts: readonly Uint8Array[]): Promise<void> {
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
        await writeAll(this.#handle, bytes, this.#offset);
        await this.#handle.datasync();
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
   * @throws `vector_store_failed` where a write failed.
   */
  async flushed(): Promise<void> {
    await this.#lastWritten;
    if (this.#failure) throw this.#failure;
  }

  /** Writes nothing before the log before this one is on disk, and nothing at all where that one failed. */
  continueFrom(previous: AppendLog): void {
    this.#writing = previous
      .flushed()
      .catch((error: Error) => {
        this.#failure = error;
      })
      .then(() => this.#writePending());
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#handle.close();
  }
}

async function orClose(handle: FileHandle, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    await handle.close();
    throw error;
  }
}
