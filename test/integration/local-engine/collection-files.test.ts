import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VectorStoreError } from '#src/errors.js';
import type { Collection, Mutation } from '#src/vector-stores/local/collection.js';
import { parseCreateCollection } from '#src/vector-stores/local/collection-config.js';
import { CollectionFiles } from '#src/vector-stores/local/storage/collection-files.js';
import { folderName } from '#src/vector-stores/local/storage/collection-folder.js';
import { encodeEntry } from '#src/vector-stores/local/storage/mutation-codec.js';
import {
  encodeFileHeader,
  encodeRecord,
  formatVersion,
  recordHeaderBytes,
} from '#src/vector-stores/local/storage/record-file.js';
import { heldLock } from '../../fixtures/local-engine/held-lock.js';

const config = parseCreateCollection('docs', { vectors: { size: 2, distance: 'Dot' } });

function upsertOf(id: number): Mutation {
  const values = new Float32Array([id, 1]);
  return { kind: 'upsert', ids: [id], payloads: [{ id }], dense: { '': { positions: [0], values } }, sparse: {} };
}

let root: string;
let folder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'collection-files-'));
  folder = await makeFolder('store');
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

/** An empty folder that has the name of the collection's. */
async function makeFolder(parent: string): Promise<string> {
  const made = join(await mkdtemp(join(root, `${parent}-`)), folderName('docs'));
  await mkdir(made);
  return made;
}

/** Copies the files as they are on disk right now, which is what a crash would leave. */
async function crashImage(source: string): Promise<string> {
  const image = await makeFolder('image');
  for (const name of await readdir(source))
    if (/\.(log|snapshot)$/.test(name)) await cp(join(source, name), join(image, name));
  return image;
}

async function idsIn(image: string): Promise<unknown[]> {
  const opened = await CollectionFiles.open(image, heldLock);
  await opened?.files.close();
  return [...(opened?.collection.points.ids() ?? ['no collection'])];
}

async function writeThree(): Promise<{ files: CollectionFiles; ends: number[] }> {
  const { files } = await CollectionFiles.create(folder, config, heldLock);
  const log = join(folder, '00000000.log');
  const ends = [(await stat(log)).size];
  for (const id of [1, 2, 3]) {
    await files.append(upsertOf(id));
    ends.push((await stat(log)).size);
  }
  return { files, ends };
}

describe('a log that a crash cut off', () => {
  it('loses the last record alone, wherever it was cut, and goes on', async () => {
    const { files, ends } = await writeThree();
    const [, , twoEnd = 0, threeEnd = 0] = ends;
    const image = await crashImage(folder);
    const log = join(image, '00000000.log');
    const whole = await readFile(log);
    for (let length = twoEnd; length <= threeEnd; length++) {
      await writeFile(log, whole.subarray(0, length));
      const opened = await CollectionFiles.open(image, heldLock);
      expect([...(opened?.collection.points.ids() ?? [])], `cut at ${length}`).toEqual(
        length === threeEnd ? [1, 2, 3] : [1, 2],
      );
      await opened?.files.append(upsertOf(9));
      await opened?.files.close();
      expect(await idsIn(image), `cut at ${length}, then appended to`).toContain(9);
    }
    await files.close();
  });

  it('loses a last record that was written in part, or of which only the length reached the disk', async () => {
    const { files, ends } = await writeThree();
    const [, , twoEnd = 0, threeEnd = 0] = ends;
    const image = await crashImage(folder);
    const log = join(image, '00000000.log');
    const whole = await readFile(log);
    for (let offset = twoEnd; offset < threeEnd; offset++) {
      const damaged = Buffer.from(whole);
      damaged.fill(0, offset);
      await writeFile(log, damaged);
      expect(await idsIn(image), `zeros from ${offset}`).toEqual(whole.equals(damaged) ? [1, 2, 3] : [1, 2]);
    }
    await files.close();
  });

  it('loses the last record alone also if the next log was begun, but holds nothing', async () => {
    const { files, ends } = await writeThree();
    const record = encodeRecord(1, encodeEntry(upsertOf(4)));
    const header = encodeFileHeader(1);
    for (const next of [header, header.subarray(0, 7), Buffer.concat([header, record.subarray(0, 30)])]) {
      const image = await crashImage(folder);
      await truncate(join(image, '00000000.log'), (ends[3] as number) - 1);
      await writeFile(join(image, '00000001.log'), next);
      const opened = await CollectionFiles.open(image, heldLock);
      expect([...(opened?.collection.points.ids() ?? [])]).toEqual([1, 2]);
      await opened?.files.append(upsertOf(9));
      await opened?.files.close();
      expect(await idsIn(image)).toEqual([1, 2, 9]);
    }
    await files.close();
  });

  it('was never created if its first record is incomplete', async () => {
    const { files, ends } = await writeThree();
    const log = join(folder, '00000000.log');
    const whole = await readFile(log);
    const image = await crashImage(folder);
    for (let length = 0; length < (ends[0] as number); length++) {
      await writeFile(join(image, '00000000.log'), whole.subarray(0, length));
      expect(await CollectionFiles.open(image, heldLock), `cut at ${length}`).toBeUndefined();
    }
    await files.close();
  });
});

describe('a damaged file', () => {
  it('is storage_corrupt for any byte before the last record', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    const log = join(image, '00000000.log');
    const whole = await readFile(log);
    for (let offset = 0; offset < (ends[2] as number); offset++) {
      const damaged = Buffer.from(whole);
      damaged[offset] = (damaged[offset] as number) ^ 0x10;
      await writeFile(log, damaged);
      await expect(CollectionFiles.open(image, heldLock), `byte ${offset}`).rejects.toMatchObject({
        code: 'storage_corrupt',
      });
    }
    await files.close();
  });

  it('is storage_corrupt also in the last record if the store had been closed', async () => {
    const { files, ends } = await writeThree();
    await files.close();
    const log = join(folder, '00000000.log');
    const whole = await readFile(log);
    for (let offset = ends[2] as number; offset < (ends[3] as number); offset++) {
      const damaged = Buffer.from(whole);
      damaged[offset] = (damaged[offset] as number) ^ 0x10;
      await writeFile(log, damaged);
      await expect(CollectionFiles.open(folder, heldLock), `byte ${offset}`).rejects.toMatchObject({
        code: 'storage_corrupt',
      });
    }
  });

  it('is storage_corrupt if a record in the middle is missing', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    const log = join(image, '00000000.log');
    const whole = await readFile(log);
    await writeFile(log, Buffer.concat([whole.subarray(0, ends[1]), whole.subarray(ends[2])]));
    await expect(CollectionFiles.open(image, heldLock)).rejects.toMatchObject({ code: 'storage_corrupt' });
    await files.close();
  });

  it('is not damaged if it is of a newer format, and the error says what to do', async () => {
    const { files } = await writeThree();
    await files.close();
    const log = join(folder, '00000000.log');
    const newer = await readFile(log);
    encodeFileHeader(0, formatVersion + 1).copy(newer);
    await writeFile(log, newer);
    const tooNew = new RegExp(`newer version of this package \\(format ${formatVersion + 1},.*update the package`);
    await expect(CollectionFiles.open(folder, heldLock)).rejects.toMatchObject({
      code: 'unsupported_operation',
      message: expect.stringMatching(tooNew),
    });
  });
});

describe('the files of a collection', () => {
  const corrupt = expect.objectContaining({ code: 'storage_corrupt' });

  it('hold nothing of what was cut off, once they were opened', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    await truncate(join(image, '00000000.log'), (ends[3] as number) - 1);
    const opened = await CollectionFiles.open(image, heldLock);
    expect((await stat(join(image, '00000000.log'))).size).toBe(ends[2]);
    await opened?.files.close();
    await files.close();
  });

  it('are those that their names say', async () => {
    const { files } = await writeThree();
    const image = await crashImage(folder);
    await cp(join(image, '00000000.log'), join(image, '00000001.log'));
    await expect(CollectionFiles.open(image, heldLock)).rejects.toEqual(corrupt);
    await files.close();
  });

  it('are all there: a log before the last is whole, and none is missing', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    const record = encodeRecord(1, encodeEntry(upsertOf(4)));
    await writeFile(join(image, '00000001.log'), Buffer.concat([encodeFileHeader(1), record]));
    await truncate(join(image, '00000000.log'), (ends[3] as number) - 1);
    await expect(CollectionFiles.open(image, heldLock)).rejects.toEqual(corrupt);
    await rm(join(image, '00000000.log'));
    await expect(CollectionFiles.open(image, heldLock)).rejects.toEqual(corrupt);
    await files.close();
  });
});

describe('a snapshot', () => {
  /** Writes 100 points, again and again until a snapshot is begun. */
  async function beginWriting() {
    const created = await CollectionFiles.create(folder, config, heldLock);
    await replaceAll(created.files, created.collection, 100);
    return created;
  }

  async function replaceAll(files: CollectionFiles, collection: Collection, times: number): Promise<void> {
    const ids = Array.from({ length: 100 }, (_, id) => id);
    for (let round = 1; round <= times; round++) {
      const values = Float32Array.from(ids.flatMap((id) => [id, round]));
      const payloads = ids.map((id) => ({ id, round }));
      const dense = { '': { positions: ids, values } };
      const mutation: Mutation = { kind: 'upsert', ids, payloads, dense, sparse: {} };
      collection.apply(mutation);
      await files.append(mutation);
    }
  }

  async function writeUntilCompacted(): Promise<CollectionFiles> {
    const { files } = await beginWriting();
    await files.compacted();
    return files;
  }

  it('takes the place of logs that mostly hold what was replaced', async () => {
    const files = await writeUntilCompacted();
    expect((await readdir(folder)).sort()).toEqual(['00000001.log', '00000001.snapshot']);
    await files.close();
    const opened = await CollectionFiles.open(folder, heldLock);
    expect(opened?.collection.points.size).toBe(100);
    expect(opened?.collection.points.payloadOf(5)).toEqual({ id: 5, round: 100 });
    expect([...(opened?.collection.dense.get('')?.get(5) ?? [])]).toEqual([5, 100]);
    await opened?.files.close();
  });

  it('may be interrupted at any step', async () => {
    const { files } = await CollectionFiles.create(folder, config, heldLock);
    await files.append(upsertOf(1));
    await files.close();
    // A new log was begun: empty, incomplete, or already written to.
    for (const cut of ['empty', 'written'] as const) {
      const image = await crashImage(folder);
      const body = cut === 'empty' ? Buffer.alloc(0) : encodeRecord(1, encodeEntry(upsertOf(2)));
      const header = encodeFileHeader(1);
      await writeFile(join(image, '00000001.log'), Buffer.concat([header, body]));
      await writeFile(join(image, '00000001.snapshot.tmp'), 'half');
      expect(await idsIn(image), cut).toEqual(cut === 'empty' ? [1] : [1, 2]);
      expect(await readdir(image)).not.toContain('00000001.snapshot.tmp');
      expect(await idsIn(image), `${cut}, again`).toEqual(cut === 'empty' ? [1] : [1, 2]);
      await writeFile(join(image, '00000002.log'), header.subarray(0, 7));
      expect(await idsIn(image), `${cut}, and its next`).toEqual(cut === 'empty' ? [1] : [1, 2]);
    }
  });

  it('leaves nothing if there is no room for it, and is tried again', async () => {
    const temporary = join(folder, '00000001.snapshot.tmp');
    await symlink('/dev/full', temporary);
    const { files, collection } = await beginWriting();
    await files.compacted();
    expect((await readdir(folder)).sort()).toEqual(['00000000.log', '00000001.log']);
    await replaceAll(files, collection, 101);
    await files.compacted();
    expect((await readdir(folder)).sort()).toEqual(['00000002.log', '00000002.snapshot']);
    await files.close();
    expect((await idsIn(folder)).length).toBe(100);
  });

  it('leaves nothing if the store is closed meanwhile', async () => {
    const { files } = await beginWriting();
    await files.close();
    expect((await readdir(folder)).sort()).toEqual(['00000000.log', '00000001.log']);
    expect((await idsIn(folder)).length).toBe(100);
  });

  it('is complete, and the files before it are not removed yet', async () => {
    const files = await writeUntilCompacted();
    await files.close();
    await writeFile(join(folder, '00000000.log'), 'left behind');
    expect((await idsIn(folder)).length).toBe(100);
    expect(await readdir(folder)).not.toContain('00000000.log');
  });

  it('is storage_corrupt if it is cut short or its log is gone', async () => {
    const files = await writeUntilCompacted();
    await files.close();
    const snapshot = join(folder, '00000001.snapshot');
    const { size } = await stat(snapshot);
    const image = await crashImage(folder);
    await truncate(join(image, '00000001.snapshot'), size - recordHeaderBytes);
    await expect(CollectionFiles.open(image, heldLock)).rejects.toMatchObject({ code: 'storage_corrupt' });
    await rename(join(folder, '00000001.log'), join(folder, 'elsewhere'));
    await expect(CollectionFiles.open(folder, heldLock)).rejects.toMatchObject({ code: 'storage_corrupt' });
  });
});

describe('the lock on a store', () => {
  it('is looked at once a change is on disk, and before it is acknowledged', async () => {
    const log = join(folder, '00000000.log');
    const sizes: number[] = [];
    const confirm = async (): Promise<void> => {
      sizes.push((await stat(log).catch(() => ({ size: 0 }))).size);
    };
    const { files } = await CollectionFiles.create(folder, config, { isTakenOver: false, confirm });
    const before = (await stat(log)).size;
    await files.append(upsertOf(1));
    expect(sizes.at(-1)).toBe((await stat(log)).size);
    expect(sizes.at(-1)).toBeGreaterThan(before);
    await files.close();
  });

  it('being gone, nothing is acknowledged, and nothing answered from then on', async () => {
    let isGone = false;
    const confirm = async (): Promise<void> => {
      if (isGone) throw new VectorStoreError('gone', { code: 'vector_store_failed' });
    };
    const { files } = await CollectionFiles.create(folder, config, { isTakenOver: false, confirm });
    await files.append(upsertOf(1));
    isGone = true;
    await expect(files.append(upsertOf(2))).rejects.toThrow('gone');
    isGone = false;
    await expect(files.append(upsertOf(3))).rejects.toThrow('gone');
    expect(files.failure?.message).toBe('gone');
    await files.close();
  });

  it('being taken over, the log that the holder before may have open is left to it', async () => {
    const { files: before } = await writeThree();
    const opened = await CollectionFiles.open(folder, { ...heldLock, isTakenOver: true });
    await opened?.files.append(upsertOf(4));
    await before.append(upsertOf(5));
    await opened?.files.append(upsertOf(6));
    await opened?.files.close();
    expect(await idsIn(folder)).toEqual([1, 2, 3, 5, 4, 6]);
    await before.close();
  });
});

it('answers nothing once it was closed', async () => {
  const { files } = await CollectionFiles.create(folder, config, heldLock);
  await files.append(upsertOf(1));
  await files.close();
  await expect(files.append(upsertOf(2))).rejects.toMatchObject({ code: 'vector_store_failed' });
  expect(files.failure).toMatchObject({ code: 'vector_store_failed' });
});
