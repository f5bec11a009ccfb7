import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalQdrantClient } from '../../../../../src/vector-stores/local/local-qdrant-client.js';

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

it('finishes a deletion, and forgets a creation, that a crash interrupted', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const [name = ''] = await collectionFolders();
  await rename(join(folder, 'collections', name), join(folder, 'collections', '.deleted-by-a-crash'));
  await mkdir(join(folder, 'collections', 'begun'));
  await use(async (client) => expect(await client.getCollections()).toEqual({ collections: [] }));
  expect(await collectionFolders()).toEqual([]);
});

it('drops an alias whose collection a crash left deleted, for good', async () => {
  const alias = { create_alias: { collection_name: 'docs', alias_name: 'live' } };
  await use(async (client) => {
    await client.createCollection('docs', { vectors });
    await client.updateCollectionAliases({ actions: [alias] });
  });
  await rm(join(folder, 'collections', (await collectionFolders())[0] as string), { recursive: true });
  await use((client) => client.createCollection('docs', { vectors }));
  await use(async (client) => expect(await client.getAliases()).toEqual({ aliases: [] }));
});

it('refuses a store of a newer format, and a folder of something else', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const path = join(folder, 'store.json');
  const { format, version } = JSON.parse(await readFile(path, 'utf8'));
  for (const text of [JSON.stringify({ format, version: version + 1 }), '{"format":"other","version":1}', '{']) {
    await writeFile(path, text);
    await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({ code: 'storage_corrupt' });
  }
  await writeFile(path, JSON.stringify({ format, version }));
  await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
});

it('gives the folder free where it cannot be opened', async () => {
  await use((client) => client.createCollection('docs', { vectors }));
  const [name = ''] = await collectionFolders();
  const log = join(folder, 'collections', name, '00000000.log');
  const whole = await readFile(log);
  await writeFile(log, Buffer.concat([whole.subarray(0, 20), Buffer.from([1]), whole.subarray(21)]));
  await expect(LocalQdrantClient.open({ location: folder })).rejects.toMatchObject({ code: 'storage_corrupt' });
  await writeFile(log, whole);
  await use(async (client) => expect(await client.collectionExists('docs')).toEqual({ exists: true }));
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
