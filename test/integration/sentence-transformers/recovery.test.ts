import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { FakeHub } from '../../helpers/fake-hub.js';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

let folder: string;
let modelFolder: string;
const workers: Worker[] = [];
const remember = (worker: Worker): void => void workers.push(worker);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-recovery-'));
  process.on('worker', remember);
});
beforeEach(async () => {
  modelFolder = await mkdtemp(join(folder, 'model-'));
  await writeFiles(modelFolder, await tinyBertFiles());
});
afterEach(() => void workers.splice(0));
afterAll(async () => {
  process.off('worker', remember);
  await rm(folder, { recursive: true });
});

const open = (options: SentenceTransformersOptions = {}) =>
  new SentenceTransformersProvider({
    model: 'acme/tiny',
    modelFolder,
    cacheFolder: join(folder, 'cache'),
    maxWorkers: 1,
    idleTimeoutMs: 20,
    ...options,
  });

const allEnded = (): Promise<unknown> =>
  Promise.all(workers.splice(0).map((worker) => (worker.threadId === -1 ? undefined : once(worker, 'exit'))));

describe('a model whose files were removed while its threads idled', () => {
  it('is looked for, and built, once more', async () => {
    await using provider = open();
    const before = await provider.embedDocument('a cat');
    await allEnded();
    await rm(join(folder, 'cache'), { recursive: true });
    expect(await provider.embedDocument('a cat')).toEqual(before);
  });

  it('is unhealthy where there is nothing left of it, and serves again when it is back', async () => {
    await using provider = open();
    await provider.embedDocument('a cat');
    await allEnded();
    await rm(join(folder, 'cache'), { recursive: true });
    await rm(modelFolder, { recursive: true });
    expect(await provider.health()).toMatchObject({ status: 'unhealthy' });
    await expect(provider.embedDocument('a cat')).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(await provider.health()).toMatchObject({ status: 'unhealthy' });
    await writeFiles(modelFolder, await tinyBertFiles());
    expect(await provider.embedDocument('a cat')).toHaveLength(16);
  });

  it('is never taken for another one that is found in its place', async () => {
    await using provider = open();
    const [space] = [await provider.embeddingSpace(), await provider.embedDocument('a cat')];
    await allEnded();
    await rm(join(folder, 'cache'), { recursive: true });
    const weights = await readFile(join(modelFolder, 'model.safetensors'));
    weights[weights.length - 1]! ^= 1;
    await writeFile(join(modelFolder, 'model.safetensors'), weights);
    await expect(provider.embedDocument('a cat')).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: true,
      message: expect.stringContaining('replaced'),
    });
    expect(await provider.embedDocument('a cat')).toHaveLength(16);
    expect((await provider.embeddingSpace()).revision).not.toBe(space.revision);
  });
});

describe('a model that cannot be had', () => {
  it('leaves no thread behind', async () => {
    await using provider = open({ modelFolder: join(folder, 'nothing') });
    await expect(provider.embedDocument('a')).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(workers).toHaveLength(1);
    await allEnded();
  });
});

describe('a download whose progress the host cannot take', () => {
  it("fails the call with the host's own error, and the next call finds the model", async () => {
    const hub = await FakeHub.start(await tinyBertFiles());
    const mine = new Error('a bug of the host');
    let isBroken = true;
    await using provider = open({
      modelFolder: undefined,
      hubEndpoint: hub.endpoint,
      onDownloadProgress: () => {
        if (isBroken) throw mine;
      },
    });
    await expect(provider.embedDocument('a')).rejects.toBe(mine);
    isBroken = false;
    expect(await provider.embedDocument('a')).toHaveLength(16);
    await hub.stop();
  });
});
