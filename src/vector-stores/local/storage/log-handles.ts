import { type FileHandle, open } from 'node:fs/promises';

/** A process has a limited number of file descriptors, and a store may have ten thousand collections. */
const mostOpen = 64;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  users: number;
}

/**
 * The open files of all logs of this process. A log is opened when it is written to, and stays open as long as few
 * others are: the least recently used one that nobody writes to is closed.
 */
class LogHandles {
  /** The least recently used first. */
  readonly #files = new Map<string, OpenFile>();

  async use<Result>(path: string, run: (handle: FileHandle) => Promise<Result>): Promise<Result> {
    const file = this.#files.get(path) ?? { handle: open(path, 'r+'), users: 0 };
    file.users++;
    this.#files.delete(path);
    this.#files.set(path, file);
    try {
      this.#closeIdle();
      return await run(await file.handle);
    } catch (error) {
      if (await isRejected(file.handle)) this.#files.delete(path);
      throw error;
    } finally {
      file.users--;
    }
  }

  /** Closes a file that nobody writes to any more. */
  async close(path: string): Promise<void> {
    const file = this.#files.get(path);
    this.#files.delete(path);
    await (await file?.handle)?.close();
  }

  #closeIdle(): void {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= mostOpen) return;
      if (file.users > 0) continue;
      this.#files.delete(path);
      // What was written is on disk already.
      void file.handle.then((handle) => handle.close()).catch(() => undefined);
    }
  }
}

const isRejected = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => false,
    () => true,
  );

export const logHandles = new LogHandles();
