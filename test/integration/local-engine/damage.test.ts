import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';

// A store that was closed and then damaged, as by a backup that was copied in part or a disk that rots: it says so, or
// it has everything. It never opens with less, and what is left of its files stays as it was.

const vectors = { size: 2, distance: 'Dot' };
let root: string;
let whole: string;
let files: string[];
let expected: unknown;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'damage-'));
  whole = join(root, 'whole');
  const client = await LocalQdrantClient.open({ location: whole });
  for (const name of ['docs@1', 'docs@2', 'empty']) await client.createCollection(name, { vectors });
  for (let id = 0; id < 6; id++) await client.upsert('docs@1', { points: [{ id, vector: [1, id], payload: { id } }] });
  // Enough changes for a snapshot to take the place of the log.
  for (let round = 0; round < 130; round++) {
    const points = Array.from({ length: 80 }, (_, id) => ({ id, vector: [1, id], payload: { round } }));
    await client.upsert('docs@2', { points });
  }
  const create = { create_alias: { collection_name: 'docs@2', alias_name: 'docs' } };
  await client.updateCollectionAliases({ actions: [create] });
  await untilSnapshot();
  expected = await contentOf(client);
  await client.close();
  const entries = await readdir(whole, { recursive: true, withFileTypes: true });
  files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(whole.length + 1));
});

afterAll(async () => {
  await rm(root, { recursive: true });
});

async function untilSnapshot(): Promise<void> {
  for (;;) {
    const names = await readdir(join(whole, 'collections'), { recursive: true });
    if (names.some((name) => name.endsWith('.snapshot'))) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function contentOf(client: LocalQdrantClient): Promise<unknown> {
  const collections = [];
  for (const { name } of (await client.getCollections()).collections) {
    collections.push([name, (await client.scroll(name, { limit: 1000, with_vector: true })).points]);
  }
  return { collections, aliases: await client.getAliases() };
}

/** How a store opens once `damage` was done to one of its files. */
async function openDamaged(file: string, damage: (path: string) => Promise<void>): Promise<unknown> {
  const location = await mkdtemp(join(root, 'damaged-'));
  try {
    await cp(whole, location, { recursive: true });
    await damage(join(location, file));
    const before = await readFile(join(location, file)).catch(() => undefined);
    try {
      const client = await LocalQdrantClient.open({ location });
      const content = await contentOf(client);
      await client.close();
      return content;
    } catch (error) {
      // Nothing was changed.
      expect(await readFile(join(location, file)).catch(() => undefined)).toEqual(before);
      return (error as { code?: string }).code;
    }
  } finally {
    await rm(location, { recursive: true });
  }
}

/** Some positions of a file, the first and the last among them. */
function positions(size: number, count: number): number[] {
  const step = Math.max(1, Math.floor(size / count));
  return [...new Set([...Array.from({ length: Math.ceil(size / step) }, (_, at) => at * step), size - 1])];
}

const isReported = (result: unknown): boolean =>
  result === 'storage_corrupt' || result === 'unsupported_operation' || result === 'vector_store_failed';

describe('a closed store of which one file', () => {
  it('is cut anywhere says that it is damaged', { timeout: 120_000 }, async () => {
    for (const file of files) {
      const { length: size } = await readFile(join(whole, file));
      for (const length of positions(size, 24)) {
        const result = await openDamaged(file, (path) => truncate(path, length));
        expect(result, `${file} cut to ${length} of ${size}`).toBe('storage_corrupt');
      }
    }
  });

  it('has one flipped bit says so, or has everything', { timeout: 120_000 }, async () => {
    for (const file of files) {
      const bytes = await readFile(join(whole, file));
      for (const at of positions(bytes.length, 24)) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ (1 << (at % 8));
        const result = await openDamaged(file, (path) => writeFile(path, flipped));
        if (isReported(result)) continue;
        expect(result, `${file}, byte ${at}`).toEqual(expected);
      }
    }
  });

  it('is empty, or removed, says so', async () => {
    for (const file of files) {
      expect(await openDamaged(file, (path) => truncate(path, 0)), `${file} emptied`).toBe('storage_corrupt');
      const result = await openDamaged(file, (path) => rm(path));
      expect(isReported(result), `${file} removed: ${JSON.stringify(result)}`).toBe(true);
    }
  });

  it('is whole has everything', async () => {
    expect(await openDamaged(files[0] as string, async () => undefined)).toEqual(expected);
  });
});
