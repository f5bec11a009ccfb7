import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder, writeAll } from './files.js';
import { encodeFileHeader, encodeRecord, type RecordFileEnd } from './record-file.js';
import { storageFailed } from './storage-error.js';

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
  #offset: number;
  #sequence: number;
  #pending: Pending[] = [];
  #writing: Promise<void> | undefined;
  #lastWritten: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  /** Makes an empty log, durably. */
  static async create(path: string, generation: number): Promise<AppendLog> {
    const handle = await open(path, 'w');
    const header = encodeFileHeader(generation);
    await writeAll(handle, header, 0);
    await handle.sync();
    await syncFolder(dirname(path));
    return new AppendLog(path, handle, { offset: header.length, nextSequence: 1, isTorn: false });
  }

  /** Goes on after the intact records of an existing log and cuts off what follows them. */
  static async resume(path: string, end: RecordFileEnd): Promise<AppendLog> {
    const handle = await open(path, 'r+');
    if (end.isTorn) {
      await handle.truncate(end.offset);
      await handle.sync();
    }
    return new AppendLog(path, handle, end);
  }

  private constructor(path: string, handle: FileHandle, end: RecordFileEnd) {
    this.path = path;
    this.#handle = handle;
    this.#offset = end.offset;
    this.#sequence = end.nextSequence;
  }

  /** @throws `vector_store_failed` where this or an earlier write failed: nothing is written after a gap. */
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
        this.#offset += bytes.length;
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#failure ??= storageFailed(this.path, error);
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
