import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { FakeHub } from '../../helpers/fake-hub.js';
import { poolingFiles, tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

const model = 'acme/tiny-bert';
let hub: FakeHub;
let home: string;

beforeEach(async () => {
  hub = await FakeHub.start(new Map([...(await tinyBertFiles()), ...poolingFiles('1_Pooling', 'cls')]));
  home = await mkdtemp(join(tmpdir(), 'local-shared-cache-'));
});
afterEach(async () => {
  await hub.stop();
  await rm(home, { recursive: true });
});

const repository = (): string => join(home, 'hub', 'models--acme--tiny-bert');

/** What Python's huggingface_hub would have left in HF_HOME after it loaded these files. */
async function fillSharedCache(files: ReadonlyMap<string, Buffer>, commit = hub.commit): Promise<void> {
  await writeFiles(join(repository(), 'snapshots', commit), files);
  await mkdir(join(repository(), 'refs'), { recursive: true });
  await writeFile(join(repository(), 'refs', 'main'), commit);
}

/** A model whose last weight differs, so that its revision does. */
function otherWeights(): Map<string, Buffer> {
  const weights = Buffer.from(hub.files.get('model.safetensors')!);
  weights[weights.length - 1]! ^= 1;
  return new Map([...hub.files, ['model.safetensors', weights]]);
}

async function spaceOf(env: Readonly<Record<string, string>> = {}) {
  const all = { HF_HOME: home, HF_ENDPOINT: hub.endpoint, ...env };
  await using provider = SentenceTransformersProvider.fromEnv({ model, maxWorkers: 1 }, all);
  return await provider.embeddingSpace();
}

describe("Python's cache", () => {
  it('is read where it has the whole model', async () => {
    await fillSharedCache(hub.files);
    expect(await spaceOf({ HF_HUB_OFFLINE: 'true' })).toMatchObject({ pooling: 'cls', dimension: 16 });
    expect(hub.requests).toEqual([]);
  });

  it('is read where Python noted that the model has no modules.json', async () => {
    await fillSharedCache(await tinyBertFiles());
    const note = join(repository(), '.no_exist', hub.commit, 'modules.json');
    await mkdir(dirname(note), { recursive: true });
    await writeFile(note, '');
    expect(await spaceOf({ HF_HUB_OFFLINE: '1' })).toMatchObject({ pooling: 'mean' });
    expect(hub.requests).toEqual([]);
  });

  it.each([
    ['modules.json', 'as transformers.AutoModel leaves it'],
    ['1_Pooling/config.json', 'as an interrupted download leaves it'],
    ['tokenizer.json', 'as a slow tokenizer leaves it'],
    ['model.safetensors', 'as AutoTokenizer leaves it'],
  ])('without %s, %s, is not taken for the model', async (missing) => {
    const some = new Map(hub.files);
    some.delete(missing);
    await fillSharedCache(some);
    await expect(spaceOf({ HF_HUB_OFFLINE: '1' })).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(await spaceOf()).toMatchObject({ pooling: 'cls', dimension: 16 });
    expect(hub.requests.length).toBeGreaterThan(0);
  });

  it('comes after our own, which holds the commit that was pinned', async () => {
    const { revision } = await spaceOf();
    await fillSharedCache(otherWeights(), '2'.repeat(40));
    expect((await spaceOf()).revision).toBe(revision);
  });

  it('pins the commit that was read from it', async () => {
    await fillSharedCache(hub.files);
    const { revision } = await spaceOf();
    await fillSharedCache(otherWeights(), '2'.repeat(40));
    expect((await spaceOf()).revision).toBe(revision);
  });
});
