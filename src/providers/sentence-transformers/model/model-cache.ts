import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';

/** Raised when what is built into the cache changes, so that an older library's files are not taken for ours. */
const layoutVersion = 'v6';
const checksumFile = 'checksums.json';
/** A build takes seconds; what is older was left behind by a killed process. */
const abandonedAfterMs = 3_600_000;

/** SHA-256 in hexadecimal digits by path inside the folder, with forward slashes. */
export type Checksums = Readonly<Record<string, string>>;

export interface CachedModel {
  readonly folder: string;
  readonly checksums: Checksums;
}

/**
 * Models on disk: `<folder>/<model>/<revision>-<layout>/`. A model's folder is made aside and renamed, so it is there in full or not at all,
 * whatever happens to the process and however many of them build it; and its checksums are compared on every load.
 */
export class ModelCache {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The model as cached, or undefined where it is absent or was damaged, in which case it is removed. */
  async find(model: string, revision: string): Promise<CachedModel | undefined> {
    const folder = this.#folderOf(model, revision);
    if (!existsSync(folder)) return undefined;
    const checksums = await verifiedChecksums(folder);
    if (checksums !== undefined) return { folder, checksums };
    await rm(folder, { recursive: true, force: true });
    return undefined;
  }

  /** Has `write` fill a new folder and puts it in place; where another process was faster, its folder is used. */
  async add(model: string, revision: string, write: (folder: string) => Promise<void>): Promise<CachedModel> {
    const folder = this.#folderOf(model, revision);
    const parent = dirname(folder);
    await mkdir(parent, { recursive: true });
    await removeAbandoned(parent);
    const temporary = join(parent, `.${randomUUID()}.tmp`);
    try {
      await mkdir(temporary);
      await write(temporary);
      const checksums = await writeChecksums(temporary);
      try {
        await rename(temporary, folder);
      } catch (error) {
        const other = await this.find(model, revision);
        if (other === undefined) throw error;
        return other;
      }
      return { folder, checksums };
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  }

  /** The commit that a branch or tag of a model stood for when it was looked up. */
  async readReference(model: string, revision: string): Promise<string | undefined> {
    const commit = await readFile(this.#referenceFile(model, revision), 'utf8').catch(() => undefined);
    return commit !== undefined && /^[0-9a-f]{40}$/.test(commit) ? commit : undefined;
  }

  async writeReference(model: string, revision: string, commit: string): Promise<void> {
    const file = this.#referenceFile(model, revision);
    await mkdir(dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID()}.tmp`;
    await writeFile(temporary, commit);
    await rename(temporary, file);
  }

  /** Where downloads wait that are not whole yet. */
  get downloadFolder(): string {
    return join(this.folder, 'downloads');
  }

  #referenceFile(model: string, revision: string): string {
    return join(this.folder, 'refs', model.replaceAll('/', '--'), encodeURIComponent(revision));
  }

  #folderOf(model: string, revision: string): string {
    return join(this.folder, model.replaceAll('/', '--'), `${revision}-${layoutVersion}`);
  }
}

/** The code of the error that kept a file of the cache from being written or read, or undefined where something else failed. */
export function cacheFailure(error: unknown, cacheFolder: string): string | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code, path } = cause as NodeJS.ErrnoException;
    // A write through an open file does not tell its path, and nothing but the cache is written. A folder above the cache that
    // cannot be written to keeps it from being made.
    const isInCache = path !== undefined && isPathOf(cacheFolder, path);
    if (isInCache || ['ENOSPC', 'EDQUOT', 'EROFS'].includes(code ?? '')) return code;
  }
  return undefined;
}

/** Whether the path is the folder, in it, or above it. */
function isPathOf(folder: string, path: string): boolean {
  const [left, right] = [folder, path].map((each) => (resolve(each) + sep).replaceAll(sep + sep, sep));
  return left!.startsWith(right!) || right!.startsWith(left!);
}

export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
}

async function writeChecksums(folder: string): Promise<Checksums> {
  const checksums: Record<string, string> = {};
  for (const file of await listFiles(folder)) {
    checksums[file.replaceAll('\\', '/')] = await sha256OfFile(join(folder, file));
    await syncToDisk(join(folder, file));
  }
  const handle = await open(join(folder, checksumFile), 'wx');
  try {
    await handle.writeFile(JSON.stringify(checksums, null, 2));
    await handle.sync();
  } finally {
    await handle.close();
  }
  return checksums;
}

async function syncToDisk(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function verifiedChecksums(folder: string): Promise<Checksums | undefined> {
  try {
    const checksums = JSON.parse(await readFile(join(folder, checksumFile), 'utf8')) as Checksums;
    for (const [file, checksum] of Object.entries(checksums)) {
      if ((await sha256OfFile(join(folder, file))) !== checksum) return undefined;
    }
    return checksums;
  } catch {
    return undefined;
  }
}

async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.endsWith('.tmp')) continue;
    const { mtimeMs } = await stat(join(parent, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > abandonedAfterMs) await rm(join(parent, name), { recursive: true, force: true });
  }
}
