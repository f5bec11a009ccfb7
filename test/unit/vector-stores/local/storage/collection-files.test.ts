import { cp, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mutation } from '../../../../../src/vector-stores/local/collection.js';
import { parseCreateCollection } from '../../../../../src/vector-stores/local/collection-config.js';
import { CollectionFiles } from '../../../../../src/vector-stores/local/storage/collection-files.js';
import { encodeEntry } from '../../../../../src/vector-stores/local/storage/mutation-codec.js';
import {
  encodeFileHeader,
  encodeRecord,
  formatVersion,
  recordHeaderBytes,
} from '../../../../../src/vector-stores/local/storage/record-file.js';

const config = parseCreateCollection('docs', { vectors: { size: 2, distance: 'Dot' } });

function upsertOf(id: number): Mutation {
  const values = new Float32Array([id, 1]);
  return { kind: 'upsert', ids: [id], payloads: [{ id }], dense: { '': { positions: [0], values } }, sparse: {} };
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'collection-files-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Copies the files as they are on disk right now, which is what a crash would leave. */
async function crashImage(source: string): Promise<string> {
  const image = await mkdtemp(join(folder, 'image-'));
  for (const name of await readdir(source))
    if (/\.(log|snapshot)$/.test(name)) await cp(join(source, name), join(image, name));
  return image;
}

async function idsIn(image: string): Promise<unknown[]> {
  const opened = await CollectionFiles.open(image);
  await opened?.files.close();
  return [...(opened?.collection.points.ids() ?? ['no collection'])];
}

async function writeThree(): Promise<{ files: CollectionFiles; ends: number[] }> {
  const { files } = await CollectionFiles.create(folder, config);
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
      const opened = await CollectionFiles.open(image);
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

  it('was never created where its first record is incomplete', async () => {
    const { files, ends } = await writeThree();
    const log = join(folder, '00000000.log');
    const whole = await readFile(log);
    const image = await crashImage(folder);
    for (let length = 0; length < (ends[0] as number); length++) {
      await writeFile(join(image, '00000000.log'), whole.subarray(0, length));
      expect(await CollectionFiles.open(image), `cut at ${length}`).toBeUndefined();
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
      await expect(CollectionFiles.open(image), `byte ${offset}`).rejects.toMatchObject({ code: 'storage_corrupt' });
    }
    await files.close();
  });

  it('is storage_corrupt also in the last record where the store had been closed', async () => {
    const { files, ends } = await writeThree();
    await files.close();
    const log = join(folder, '00000000.log');
    const whole = await readFile(log);
    for (let offset = ends[2] as number; offset < (ends[3] as number); offset++) {
      const damaged = Buffer.from(whole);
      damaged[offset] = (damaged[offset] as number) ^ 0x10;
      await writeFile(log, damaged);
      await expect(CollectionFiles.open(folder), `byte ${offset}`).rejects.toMatchObject({ code: 'storage_corrupt' });
    }
  });

  it('is storage_corrupt where a record in the middle is missing', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    const log = join(image, '00000000.log');
    const whole = await readFile(log);
    await writeFile(log, Buffer.concat([whole.subarray(0, ends[1]), whole.subarray(ends[2])]));
    await expect(CollectionFiles.open(image)).rejects.toMatchObject({ code: 'storage_corrupt' });
    await files.close();
  });

  it('is storage_corrupt where it is of a newer format, and says so', async () => {
    const { files } = await writeThree();
    await files.close();
    const log = join(folder, '00000000.log');
    const newer = await readFile(log);
    encodeFileHeader(0, formatVersion + 1).copy(newer);
    await writeFile(log, newer);
    await expect(CollectionFiles.open(folder)).rejects.toThrow(`format version is ${formatVersion + 1}`);
  });
});

describe('the files of a collection', () => {
  const corrupt = expect.objectContaining({ code: 'storage_corrupt' });

  it('hold nothing of what was cut off, once they were opened', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    await truncate(join(image, '00000000.log'), (ends[3] as number) - 1);
    const opened = await CollectionFiles.open(image);
    expect((await stat(join(image, '00000000.log'))).size).toBe(ends[2]);
    await opened?.files.close();
    await files.close();
  });

  it('are those that their names say', async () => {
    const { files } = await writeThree();
    const image = await crashImage(folder);
    await cp(join(image, '00000000.log'), join(image, '00000001.log'));
    await expect(CollectionFiles.open(image)).rejects.toEqual(corrupt);
    await files.close();
  });

  it('are all there: a log before the last is whole, and none is missing', async () => {
    const { files, ends } = await writeThree();
    const image = await crashImage(folder);
    await writeFile(join(image, '00000001.log'), encodeFileHeader(1));
    await truncate(join(image, '00000000.log'), (ends[3] as number) - 1);
    await expect(CollectionFiles.open(image)).rejects.toEqual(corrupt);
    await rm(join(image, '00000000.log'));
    await expect(CollectionFiles.open(image)).rejects.toEqual(corrupt);
    await files.close();
  });
});

describe('a snapshot', () => {
  /** Writes until the logs were compacted, and returns how many points there are. */
  async function writeUntilCompacted(): Promise<CollectionFiles> {
    const { files, collection } = await CollectionFiles.create(folder, config);
    for (let round = 0; round <= 100; round++) {
      const ids = Array.from({ length: 100 }, (_, id) => id);
      const values = Float32Array.from(ids.flatMap((id) => [id, round]));
      const payloads = ids.map((id) => ({ id, round }));
      const mutation: Mutation = {
        kind: 'upsert',
        ids,
        payloads,
        dense: { '': { positions: ids, values } },
        sparse: {},
      };
      collection.apply(mutation);
      await files.append(mutation);
    }
    await files.compacted();
    return files;
  }

  it('takes the place of logs that mostly hold what was replaced', async () => {
    const files = await writeUntilCompacted();
    expect((await readdir(folder)).filter((name) => /^\d/.test(name))).toEqual(['00000001.log', '00000001.snapshot']);
    await files.close();
    const opened = await CollectionFiles.open(folder);
    expect(opened?.collection.points.size).toBe(100);
    expect(opened?.collection.points.payloadOf(5)).toEqual({ id: 5, round: 100 });
    expect([...(opened?.collection.dense.get('')?.get(5) ?? [])]).toEqual([5, 100]);
    await opened?.files.close();
  });

  it('may be interrupted at any step', async () => {
    const { files } = await CollectionFiles.create(folder, config);
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

  it('is complete, and the files before it are not removed yet', async () => {
    const files = await writeUntilCompacted();
    await files.close();
    await writeFile(join(folder, '00000000.log'), 'left behind');
    expect((await idsIn(folder)).length).toBe(100);
    expect(await readdir(folder)).not.toContain('00000000.log');
  });

  it('is storage_corrupt where it is cut short or its log is gone', async () => {
    const files = await writeUntilCompacted();
    await files.close();
    const snapshot = join(folder, '00000001.snapshot');
    const { size } = await stat(snapshot);
    const image = await crashImage(folder);
    await truncate(join(image, '00000001.snapshot'), size - recordHeaderBytes);
    await expect(CollectionFiles.open(image)).rejects.toMatchObject({ code: 'storage_corrupt' });
    await rename(join(folder, '00000001.log'), join(folder, 'elsewhere'));
    await expect(CollectionFiles.open(folder)).rejects.toMatchObject({ code: 'storage_corrupt' });
  });
});

it('answers nothing after a write that failed', async () => {
  const { files } = await CollectionFiles.create(folder, config);
  await files.append(upsertOf(1));
  await files.close();
  await expect(files.append(upsertOf(2))).rejects.toMatchObject({ code: 'vector_store_failed' });
  expect(files.failure).toMatchObject({ code: 'vector_store_failed' });
});
