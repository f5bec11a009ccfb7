import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { buildProgram } from '../../../../fixtures/local-engine/build-program.js';
import { runWithoutRoom } from '../../../../fixtures/local-engine/run-without-room.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'folder-storage-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const vectors = { size: 1, distance: 'Dot' };
const collectionFolders = async (): Promise<string[]> => (await readdir(join(folder, 'collections'))).sort();

async function use<Result>(run: (client: LocalQdrantClient) => Promise<Result>): Promise<Result> {
  const client = await LocalQdrantClient.open({ location: folder });
  try {
    return await run(client);
  } finally {
    await client.close();
  }
}

it('keeps names apart that a file system may not', async () => {
  const names = ['Docs', 'docs', 'docs.', 'client_7_docs@2', 'ä', 'x'.repeat(255), `${'x'.repeat(254)}y`];
  await use(async (client) => {
    for (const name of names) await client.createCollection(name, { vectors });
    await client.upsert('Docs', { points: [{ id: 1, vector: [1] }] });
  });
  await use(async (client) => {
    expect((await client.getCollections()).collections.map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(await client.count('Docs')).toEqual({ count: 1 });
    expect(await client.count('docs')).toEqual({ count: 0 });
  });
  for (const name of await collectionFolders()) expect(name).toMatch(/^[a-z0-9_-]{1,140}$/);
});

it.each(['', '../up', 'a/b', 'a\\b', 'a:b', 'a\u0000b', 'x'.repeat(256)])('refuses the name %j', async (name) => {
  await use(async (client) => {
    await expect(client.createCollection(name, { vectors })).rejects.toMatchObject({ status: 400 });
  });
  expect(await collectionFolders()).toEqual([]);
});

it('makes a collection once, also when asked for it twice at the same time', async () => {
  await use(async (client) => {
    const results = await Promise.allSettled([1, 2, 3].map(() => client.createCollection('docs', { vectors })));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { status: 409 } });
  });
});

/** As a crash leaves a collection whose folder was renamed, which is when it is gone. */
async function leaveDropped(name: string): Promise<void> {
  const { collections } = JSON.parse(await readFile(join(folder, 'store.json'), 'utf8'));
  const identity = new Map<string, string>(collections).get(name);
  const [place = ''] = await collectionFolders();
  await rename(join(folder, 'collections', place), join(folder, 'collections', `.deleted-${identity}`));
}

it('finishes a deletion, and forgets a creation, that a crash interrupted', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  await leaveDropped('docs');
  for (const [begun, files] of [
    ['begun-0123456789abcdef', []],
    ['torn-0123456789abcdef', ['00000000.log']],
  ] as const) {
    await mkdir(join(folder, 'collections', begun));
    for (const file of files) await writeFile(join(folder, 'collections', begun, file), 'PLSL');
  }
  await use(async (client) => expect(await client.getCollections()).toEqual({ collections: [] }));
  expect(await collectionFolders()).toEqual([]);
});

it('drops an alias whose collection a crash left deleted, for good', async () => {
  const alias = { create_alias: { collection_name: 'docs', alias_name: 'live' } };
  await use(async (client) => {
    await client.createCollection('docs', { vectors });
    await client.updateCollectionAliases({ actions: [alias] });
  });
  await leaveDropped('docs');
  await use((client) => client.createCollection('docs', { vectors }));
  await use(async (client) => expect(await client.getAliases()).toEqual({ aliases: [] }));
});

/** All files below a folder with their content, and empty folders. */
async function contentOf(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const content = await Promise.all(
    entries.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path, entry.isFile() ? await readFile(path, 'latin1') : 'a folder'];
    }),
  );
  return Object.fromEntries(content);
}

describe('what is not of the store', () => {
  const openFails = async (): Promise<Error> =>
    LocalQdrantClient.open({ location: folder }).then(
      () => new Error('It was opened.'),
      (error) => error,
    );

  it.each(['notes.txt', 'collections/photos/holiday.jpg', 'photos/holiday.jpg', 'aliases.json'])(
    'is kept, and a folder that holds %s refused',
    async (path) => {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), 'irreplaceable');
      const before = await contentOf(folder);
      expect(await openFails()).toMatchObject({
        code: 'vector_store_failed',
        message: expect.stringMatching(`it holds \`${path.split('/')[0]}\`.*a folder of its own \\(${folder}\\)`),
      });
      expect(await contentOf(folder)).toEqual(before);
    },
  );

  it('is not what a crash left of a store that was just begun', async () => {
    await mkdir(join(folder, 'collections'));
    await writeFile(join(folder, 'store.json.tmp'), '{"for');
    const lock = join(folder, `lock-${randomUUID()}.json`);
    await writeFile(lock, '');
    await utimes(lock, new Date(0), new Date(0));
    await use((client) => client.createCollection('docs', { vectors }));
    await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
    expect((await readdir(folder)).sort()).toEqual(['collections', 'store.json']);
  });

  it('is left alone among the collections', async () => {
    await use((client) => client.createCollection('docs', { vectors }));
    const collections = join(folder, 'collections');
    await writeFile(join(collections, '.DS_Store'), 'x');
    for (const name of ['photos', 'photos-0123456789abcdef', '.deleted-photos', 'empty']) {
      await mkdir(join(collections, name));
      if (name !== 'empty') await writeFile(join(collections, name, 'holiday.jpg'), 'irreplaceable');
    }
    const strangers = async () =>
      Object.entries(await contentOf(collections)).filter(([path]) => !path.includes('docs-'));
    const before = await strangers();
    await use(async (client) => expect(await client.getCollections()).toEqual({ collections: [{ name: 'docs' }] }));
    expect(await strangers()).toEqual(before);
  });

  it.each(['%.bak', 'other-0123456789abcdef'])(
    'may be no copy of a collection: %s is refused by name',
    async (form) => {
      await use((client) => client.createCollection('docs', { vectors }));
      const [name = ''] = await collectionFolders();
      const copy = join(folder, 'collections', form.replace('%', name));
      await cp(join(folder, 'collections', name), copy, { recursive: true });
      const before = await contentOf(copy);
      expect(await openFails()).toMatchObject({
        code: 'vector_store_failed',
        message: expect.stringMatching(`\`docs\`.*move a copy out of the store \\(${copy}\\)`),
      });
      expect(await contentOf(copy)).toEqual(before);
      await rm(copy, { recursive: true });
      await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
    },
  );
});

it('refuses a store of a newer version, which is not damaged', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const path = join(folder, 'store.json');
  const { format, version } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ format, version: version + 1 }));
  await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({
    code: 'unsupported_operation',
    message: expect.stringMatching(/written by a newer version of this package .*update the package/),
  });
});

it('refuses a store whose file of its own was damaged', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const path = join(folder, 'store.json');
  const whole = await readFile(path, 'utf8');
  for (const text of ['{"format":"other","version":1}', '{']) {
    await writeFile(path, text);
    await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({ code: 'storage_corrupt' });
  }
  await writeFile(path, whole);
  await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
});

it('gives the folder free if it cannot be opened', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const [name = ''] = await collectionFolders();
  const log = join(folder, 'collections', name, '00000000.log');
  const whole = await readFile(log);
  await writeFile(log, Buffer.concat([whole.subarray(0, 20), Buffer.from([1]), whole.subarray(21)]));
  await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({ code: 'storage_corrupt' });
  await writeFile(log, whole);
  await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
});

it('keeps a collection whose folder could not be dropped', async () => {
  await use(async (client) => {
    await client.createCollection('docs', { vectors });
    const [name = ''] = await collectionFolders();
    const path = join(folder, 'collections', name);
    const elsewhere = join(folder, 'elsewhere');
    await rename(path, elsewhere);
    for (const _ of ['first', 'second']) {
      await expect(client.deleteCollection('docs')).rejects.toThrow(
        `Dropping a collection of the local vector store failed with ENOENT (${path}).`,
      );
    }
    await expect(client.count('docs')).rejects.toThrow('by a drop that failed');
    await rename(elsewhere, path);
    expect(await client.deleteCollection('docs')).toBe(true);
  });
  await use(async (client) => expect(await client.getCollections()).toEqual({ collections: [] }));
});

it('has no collection whose folder could not be made', async () => {
  await use(async (client) => {
    await client.createCollection('docs', { vectors });
    const [name = ''] = await collectionFolders();
    await client.deleteCollection('docs');
    await writeFile(join(folder, 'collections', name), 'in the way');
    await expect(client.createCollection('docs', { vectors })).rejects.toThrow('failed with EEXIST');
    expect(await client.collectionExists('docs')).toEqual({ exists: false });
    await rm(join(folder, 'collections', name));
    await client.createCollection('docs', { vectors });
  });
});

it('changes no alias if that cannot be written, and drops a collection that has none', async () => {
  const actions = [{ create_alias: { collection_name: 'docs', alias_name: 'live' } }];
  await use(async (client) => {
    for (const name of ['docs', 'more']) await client.createCollection(name, { vectors });
    // What a full disk would do: the file cannot be written.
    await symlink('/dev/full', join(folder, 'store.json.tmp'));
    await expect(client.updateCollectionAliases({ actions })).rejects.toThrow(
      'Changing the aliases of the local vector store failed with ENOSPC',
    );
    expect(await client.getAliases()).toEqual({ aliases: [] });
    expect(await readdir(folder)).not.toContain('store.json.tmp');
    await symlink('/dev/full', join(folder, 'store.json.tmp'));
    expect(await client.deleteCollection('more')).toBe(true);
    await rm(join(folder, 'store.json.tmp'), { force: true });
    await client.updateCollectionAliases({ actions });
  });
  await use(async (client) => {
    expect((await client.getAliases()).aliases.length).toBe(1);
    expect(await client.getCollections()).toEqual({ collections: [{ name: 'docs' }] });
  });
  expect((await collectionFolders()).length).toBe(1);
});

it('says what the operating system refused, and where', async () => {
  const file = join(folder, 'file');
  await writeFile(file, 'x');
  for (const location of [file, join(file, 'below')]) {
    await expect(LocalQdrantClient.open({ location })).rejects.toMatchObject({
      code: 'vector_store_failed',
      message: expect.stringMatching(`Opening the local vector store failed with ENOTDIR \\(${location}`),
    });
  }
});

it('is where it was opened, wherever the process goes', async () => {
  const before = process.cwd();
  process.chdir(folder);
  const client = await LocalQdrantClient.open({ location: './vectors' }).finally(() => process.chdir(before));
  await client.createCollection('docs', { vectors });
  expect(await client.deleteCollection('docs')).toBe(true);
  await client.close();
  expect((await readdir(join(folder, 'vectors'))).sort()).toEqual(['collections', 'store.json']);
});

it('tells that it can no longer write, is closed all the same, and has all that was acknowledged', async () => {
  const script = await buildProgram('full-disk', folder);
  const store = join(folder, 'store');
  const report = await runWithoutRoom(script, store, 64);
  const failure = /^Writing the local vector store failed with EFBIG \(.*00000000\.log\): close this client/;
  expect(report).toMatchObject({ read: expect.stringMatching(failure), close: 'no failure' });
  expect(report.write).toBe(report.read);
  expect(report.version).toBe(report.read);
  const client = await LocalQdrantClient.open({ location: store });
  expect(await client.count('docs')).toEqual({ count: report.stored });
  expect(await client.versionInfo()).toMatchObject({ version: expect.any(String) });
  await client.close();
});

it('answers nothing once its lock is gone, and tells so', async () => {
  await use(async (client) => {
    await client.createCollection('docs', { vectors });
    const [lock = ''] = (await readdir(folder)).filter((name) => name.startsWith('lock-'));
    await rm(join(folder, lock));
    const gone = 'The lock of the local vector store is gone';
    await expect(client.upsert('docs', { points: [{ id: 1, vector: [1] }] })).rejects.toThrow(gone);
    await expect(client.count('docs')).rejects.toThrow(gone);
    await expect(client.getCollections()).rejects.toThrow(gone);
    await expect(client.versionInfo()).rejects.toThrow(gone);
  });
});

it('makes, drops and aliases nothing in a folder whose lock is gone', async () => {
  for (const change of [
    (client: LocalQdrantClient) => client.createCollection('more', { vectors }),
    (client: LocalQdrantClient) => client.deleteCollection('docs'),
    (client: LocalQdrantClient) =>
      client.updateCollectionAliases({ actions: [{ create_alias: { collection_name: 'docs', alias_name: 'live' } }] }),
  ]) {
    const location = await mkdtemp(join(folder, 'store-'));
    const client = await LocalQdrantClient.open({ location });
    await client.createCollection('docs', { vectors });
    const before = Object.keys(await contentOf(location)).filter((path) => !path.includes('lock-'));
    const [lock = ''] = (await readdir(location)).filter((name) => name.startsWith('lock-'));
    await rm(join(location, lock));
    await expect(change(client)).rejects.toThrow('The lock of the local vector store is gone');
    await client.close();
    expect(Object.keys(await contentOf(location))).toEqual(before);
  }
});

it('takes all actions on aliases, or none', async () => {
  await use(async (client) => {
    await client.createCollection('docs@1', { vectors });
    await client.createCollection('docs@2', { vectors });
    const create = (name: string) => ({ create_alias: { collection_name: name, alias_name: 'docs' } });
    await client.updateCollectionAliases({ actions: [create('docs@1')] });
    await expect(
      client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: 'docs' } }, create('absent')] }),
    ).rejects.toMatchObject({ status: 404 });
    expect(await client.getAliases()).toEqual({ aliases: [{ alias_name: 'docs', collection_name: 'docs@1' }] });
    await client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: 'docs' } }, create('docs@2')] });
    await client.upsert('docs', { points: [{ id: 1, vector: [1] }] });
    expect(await client.count('docs@2')).toEqual({ count: 1 });
    await expect(client.createCollection('docs', { vectors })).rejects.toMatchObject({ status: 400 });
    const taken = { create_alias: { collection_name: 'docs@1', alias_name: 'docs@2' } };
    await expect(client.updateCollectionAliases({ actions: [taken] })).rejects.toMatchObject({ status: 409 });
    await client.updateCollectionAliases({
      actions: [{ rename_alias: { old_alias_name: 'docs', new_alias_name: 'all' } }],
    });
    expect(await client.getAliases()).toEqual({ aliases: [{ alias_name: 'all', collection_name: 'docs@2' }] });
  });
});

describe('a store of the first version', () => {
  /** As the first version wrote it: no list of collections, aliases in a file without a checksum. */
  async function makeFirst(): Promise<void> {
    await use(async (client) => {
      for (const name of ['docs@1', 'docs@2']) await client.createCollection(name, { vectors });
      await client.upsert('docs@2', { points: [{ id: 1, vector: [1] }] });
    });
    await writeFile(join(folder, 'store.json'), '{"format":"pulse-local-vector-store","version":1}');
    await writeFile(join(folder, 'aliases.json'), '{"docs":"docs@2","old":"docs@0"}');
  }

  it('is opened with its collections and aliases, and is one of this version from then on', async () => {
    await makeFirst();
    for (const _ of ['first', 'again']) {
      await use(async (client) => {
        expect(await client.getAliases()).toEqual({ aliases: [{ alias_name: 'docs', collection_name: 'docs@2' }] });
        expect(await client.count('docs')).toEqual({ count: 1 });
      });
      await rm(join(folder, 'aliases.json'), { force: true });
    }
    expect(JSON.parse(await readFile(join(folder, 'store.json'), 'utf8'))).toMatchObject({ version: 2 });
  });
});

it('says that a collection is missing, and takes in one that a crash left unlisted', async () => {
  await use(async (client) => {
    for (const name of ['docs', 'more']) await client.createCollection(name, { vectors });
  });
  const [docs = ''] = await collectionFolders();
  await rename(join(folder, 'collections', docs), join(folder, docs));
  await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({ code: 'storage_corrupt' });
  await rename(join(folder, docs), join(folder, 'collections', docs));
  const listed = await readFile(join(folder, 'store.json'), 'utf8');
  await use((client) => client.createCollection('unlisted', { vectors }));
  await writeFile(join(folder, 'store.json'), listed);
  await use(async (client) => expect((await client.getCollections()).collections.length).toBe(3));
});

it('reads a store in a folder that can only be read, and refuses changes', async () => {
  const store = join(folder, 'store');
  const client = await LocalQdrantClient.open({ location: store });
  await client.createCollection('docs', { vectors });
  await client.upsert('docs', { points: [1, 2].map((id) => ({ id, vector: [id] })) });
  const alias = { create_alias: { collection_name: 'docs', alias_name: 'live' } };
  await client.updateCollectionAliases({ actions: [alias] });
  await client.close();
  const script = await buildProgram('read-only', folder);
  await chmod(folder, 0o755);
  await chmod(store, 0o555);
  // Permissions do not bind the superuser.
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const { stdout } = await promisify(execFile)(process.execPath, [script, store], nobody);
  await chmod(store, 0o755);
  const refused = 'unsupported_operation';
  expect(JSON.parse(stdout)).toEqual({
    count: { count: 2 },
    alias: { count: 2 },
    upsert: refused,
    delete: refused,
    create: refused,
    drop: refused,
    after: { count: 2 },
  });
});
