import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { FolderLock } from '#src/vector-stores/local/storage/folder-lock.js';
import { buildProgram } from '../../../../fixtures/local-engine/build-program.js';
import { runWithoutRoom } from '../../../../fixtures/local-engine/run-without-room.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'folder-lock-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const strangerPath = (): string => join(folder, 'lock-00000000-0000-4000-8000-000000000000.json');
const isLocked = expect.objectContaining({ code: 'storage_locked', isRetryable: true });

/** What a lock file of this process says, changed. */
async function writeStranger(change: object): Promise<void> {
  const lock = await FolderLock.acquire(folder);
  const [name = ''] = await readdir(folder);
  const own = JSON.parse(await readFile(join(folder, name), 'utf8'));
  await lock.release();
  await writeFile(strangerPath(), JSON.stringify({ ...own, ...change }));
}

it('keeps a second client out, of this process too, until it is released', async () => {
  const first = await FolderLock.acquire(folder);
  await expect(FolderLock.acquire(folder)).rejects.toEqual(isLocked);
  await first.release();
  const second = await FolderLock.acquire(folder);
  await second.release();
  expect(await readdir(folder)).toEqual([]);
});

it('lets at most one of many that come at once have it', async () => {
  const results = await Promise.allSettled(Array.from({ length: 12 }, () => FolderLock.acquire(folder)));
  const holders = results.filter((result) => result.status === 'fulfilled');
  expect(holders.length).toBeLessThanOrEqual(1);
  for (const { value } of holders) await value.release();
  const next = await FolderLock.acquire(folder);
  await next.release();
});

it('is kept by a living process and not by a killed one', async () => {
  const script = await buildProgram('writer', await mkdtemp(join(folder, 'script-')));
  const store = join(folder, 'store');
  const writer = spawn(process.execPath, [script, store], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(writer.stdout, 'data');
  await expect(FolderLock.acquire(store)).rejects.toEqual(isLocked);
  writer.kill('SIGKILL');
  await once(writer, 'close');
  const lock = await FolderLock.acquire(store);
  await lock.release();
});

it('is not kept by a killed process whose parent has not asked for its status', async () => {
  const script = await buildProgram('writer', await mkdtemp(join(folder, 'script-')));
  const store = join(folder, 'store');
  // The shell becomes a program that waits for nobody.
  const command = '"$0" "$1" "$2" & echo "$!"; exec sleep 600 > /dev/null';
  const parent = spawn('sh', ['-c', command, process.execPath, script, store], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const lines = createInterface({ input: parent.stdout })[Symbol.asyncIterator]();
    const { value: pid } = await lines.next();
    expect(await lines.next()).toEqual({ value: 'ready', done: false });
    process.kill(Number(pid), 'SIGKILL');
    while (!/^\d+ \(.*\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8'))) await nextTurn();
    const lock = await FolderLock.acquire(store);
    await lock.release();
  } finally {
    parent.kill('SIGKILL');
  }
});

it('is not kept by a later process of the same pid', async () => {
  await writeStranger({ startTicks: '1' });
  const lock = await FolderLock.acquire(folder);
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
});

it('is kept by another machine or container while its heartbeat is fresh', async () => {
  await writeStranger({ pidScope: 'another boot', host: 'elsewhere' });
  await expect(FolderLock.acquire(folder)).rejects.toThrow('on elsewhere');
  const aMinuteAgo = new Date(Date.now() - 60_000);
  await utimes(strangerPath(), aMinuteAgo, aMinuteAgo);
  const lock = await FolderLock.acquire(folder);
  expect(lock.isTakenOver).toBe(true);
  await lock.release();
});

it('fails, and says so, once its file was removed', async () => {
  const lock = await FolderLock.acquire(folder);
  await lock.confirm();
  expect(lock.failure).toBeUndefined();
  const [name = ''] = await readdir(folder);
  await rm(join(folder, name));
  await expect(lock.confirm()).rejects.toMatchObject({ code: 'vector_store_failed' });
  expect(lock.failure?.message).toContain(`The lock of the local vector store is gone`);
  expect(lock.failure?.message).toContain(folder);
  await lock.release();
});

it('leaves no file where there is no room for it, and says so', async () => {
  const script = await buildProgram('full-disk', await mkdtemp(join(folder, 'script-')));
  const store = join(folder, 'store');
  const client = await LocalQdrantClient.open({ location: store });
  await client.close();
  const { open } = await runWithoutRoom(script, store, 0);
  expect(open).toMatch(/^Opening the local vector store failed with EFBIG \(.*lock-.*\)\.$/);
  expect((await readdir(store)).sort()).toEqual(['collections', 'store.json']);
});

it('is kept by a file that is being written, and not by one that never was', async () => {
  await writeFile(strangerPath(), '{"pid":');
  await expect(FolderLock.acquire(folder)).rejects.toEqual(isLocked);
  await utimes(strangerPath(), new Date(0), new Date(0));
  const lock = await FolderLock.acquire(folder);
  await lock.release();
});
