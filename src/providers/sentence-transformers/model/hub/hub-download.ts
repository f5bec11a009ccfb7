import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { AiProviderError } from '../../../../errors.js';
import { requirePathInside } from '../model-files.js';
import { type HubResponse, requestFromHub, stallTimeoutMs } from './hub-request.js';
import type { DownloadProgress, HubSettings } from './hub-settings.js';

export interface HubFile {
  readonly model: string;
  /** A commit: what stands behind a branch may change between two attempts. */
  readonly commit: string;
  /** The file's path in the repository. */
  readonly name: string;
}

/** Partial files older than this belong to nobody, also where their process cannot be looked up. */
const abandonedAfterMs = 600_000;

/**
 * Downloads a file into `folder`. What an earlier attempt got, of this process or of one that was killed, is kept in `partialFolder` and
 * resumed; the checksum is compared where the Hub gives one. The file appears in full or not at all.
 */
export async function downloadFromHub(
  file: HubFile,
  folder: string,
  partialFolder: string,
  settings: HubSettings,
  onProgress: (progress: DownloadProgress) => void,
): Promise<void> {
  const target = join(folder, requirePathInside(file.name));
  await mkdir(partialFolder, { recursive: true });
  await mkdir(dirname(target), { recursive: true });
  const name = createHash('sha256').update(`${file.model}/${file.commit}/${file.name}`).digest('hex');
  const partial = await claimPartial(partialFolder, name);
  try {
    await fetchRest(file, partial, settings, onProgress);
  } catch (error) {
    // Free for the next attempt; this process lives on, so its claim would hold.
    await rename(partial, join(partialFolder, `${name}.part`)).catch(() => {});
    throw error;
  }
  await rename(partial, target);
}

/** Takes over what another attempt left behind. A rename succeeds for one process only. */
async function claimPartial(folder: string, name: string): Promise<string> {
  const claimed = join(folder, `${name}.${ownerName()}.${randomUUID()}.part`);
  for (const candidate of await readdir(folder)) {
    if (!candidate.startsWith(`${name}.`) || !(await isAbandoned(folder, candidate))) continue;
    const isOurs = await rename(join(folder, candidate), claimed).then(
      () => true,
      () => false,
    );
    if (isOurs) break;
  }
  return claimed;
}

function ownerName(): string {
  return `${createHash('sha256').update(hostname()).digest('hex').slice(0, 8)}-${process.pid}`;
}

async function isAbandoned(folder: string, candidate: string): Promise<boolean> {
  const [, owner, uuid] = candidate.split('.');
  if (uuid === undefined || uuid === 'part') return true;
  const [host, pid] = owner!.split('-');
  if (host === ownerName().split('-')[0] && !isAlive(Number(pid))) return true;
  const { mtimeMs } = await stat(join(folder, candidate)).catch(() => ({ mtimeMs: Date.now() }));
  return Date.now() - mtimeMs > abandonedAfterMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function fetchRest(
  { model, commit, name }: HubFile,
  partial: string,
  settings: HubSettings,
  onProgress: (progress: DownloadProgress) => void,
): Promise<void> {
  const handle = await open(partial, 'a+');
  const stall = new StallTimer();
  try {
    const { size } = await handle.stat();
    const path = `${model}/resolve/${commit}/${name.split('/').map(encodeURIComponent).join('/')}`;
    const answer = await request(path, settings, stall, size);
    let loadedBytes = answer.response.status === 206 ? size : 0;
    if (loadedBytes === 0) await handle.truncate(0);
    const contentLength = Number(answer.response.headers.get('content-length') ?? Number.NaN);
    const totalBytes = Number.isFinite(contentLength) ? loadedBytes + contentLength : undefined;
    for await (const chunk of answer.response.body ?? []) {
      stall.restart();
      await handle.writeFile(chunk as Uint8Array);
      loadedBytes += (chunk as Uint8Array).byteLength;
      onProgress({ model, file: name, loadedBytes, totalBytes });
    }
    await handle.sync();
    await verify(handle, answer, name);
  } catch (error) {
    if (error instanceof AiProviderError) throw error;
    throw new AiProviderError(`the download of ${name} broke off`, {
      code: 'model_unavailable',
      isRetryable: true,
      cause: error,
    });
  } finally {
    stall.end();
    await handle.close();
  }
}

/** A partial file that is already whole is answered with status 416: then all of it is asked for, and compared. */
async function request(path: string, settings: HubSettings, stall: StallTimer, size: number): Promise<HubResponse> {
  try {
    return await requestFromHub(path, settings, { signal: stall.signal, firstByte: size });
  } catch (error) {
    if (size === 0 || !(error instanceof AiProviderError && error.message.includes('status 416'))) throw error;
    return requestFromHub(path, settings, { signal: stall.signal });
  }
}

/** @throws a retryable error after emptying the file, where its checksum is not the Hub's. */
async function verify(handle: FileHandle, { sha256, gitObjectId }: HubResponse, name: string): Promise<void> {
  const expected = sha256 ?? gitObjectId;
  if (expected === undefined) return;
  const hash = createHash(sha256 === undefined ? 'sha1' : 'sha256');
  if (sha256 === undefined) hash.update(`blob ${(await handle.stat()).size}\0`);
  const buffer = new Uint8Array(1 << 20);
  for (let position = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.byteLength, position);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
  if (hash.digest('hex') === expected) return;
  await handle.truncate(0);
  throw new AiProviderError(`the checksum of ${name} is not the one that the Hub gives`, {
    code: 'model_unavailable',
    isRetryable: true,
  });
}

/** Aborts when nothing came for a while. */
class StallTimer {
  readonly #controller = new AbortController();
  readonly #timer = setTimeout(
    () => this.#controller.abort(new Error(`nothing came for ${stallTimeoutMs / 1000} s`)),
    stallTimeoutMs,
  );

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  restart(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
