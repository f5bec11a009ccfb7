import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalModelOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

const root = resolve(import.meta.dirname, '../../..');
const model = 'acme/tiny';
const packageName = '@acme/tiny-weights';
let host: string;
let entry: string;
let sha256: string;
let caches = 0;

/** A host with a weights package in its node_modules, and without this library: as where the library is linked. */
beforeAll(async () => {
  host = await mkdtemp(join(tmpdir(), 'local-weights-'));
  const folder = join(host, 'node_modules', packageName);
  entry = join(folder, 'lib', 'index.js');
  const files = await tinyBertFiles();
  sha256 = createHash('sha256').update(files.get('model.safetensors')!).digest('hex');
  const manifest = { name: packageName, type: 'module', exports: { '.': { import: './lib/index.js' } } };
  await writeFiles(folder, new Map([...files, ['package.json', Buffer.from(JSON.stringify(manifest))]]));
  const paths = { weightsPath: 'model.safetensors', tokenizerPath: 'tokenizer.json', configPath: 'config.json' };
  const absolute = Object.entries(paths).map(([name, file]) => [name, join(folder, file)]);
  await writeFiles(join(folder, 'lib'), new Map([['index.js', asModule(Object.fromEntries(absolute))]]));
});
afterAll(() => rm(host, { recursive: true }));

function asModule(value: unknown): Buffer {
  return Buffer.from(`export default ${JSON.stringify(value)};`);
}

const optionsFor = (name: string, checksum = sha256) => ({
  model,
  cacheFolder: join(host, `cache-${++caches}`),
  weightsPackages: { [model]: { packageName: name, sha256: checksum, maxTokens: 8 } },
  isOffline: true,
});

async function failureOf(options: LocalModelOptions): Promise<{ readonly code: string; readonly message: string }> {
  await using provider = new SentenceTransformersProvider({ model, ...options });
  return await provider.embeddingSpace().then(
    () => expect.unreachable(),
    (error) => error,
  );
}

describe('weightsPackages', () => {
  it("are found in the host's node_modules", async () => {
    const script = join(host, 'embed.mts');
    const providerFile = join(root, 'src/providers/sentence-transformers/provider.ts');
    await writeFile(
      script,
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       const provider = new SentenceTransformersProvider(${JSON.stringify(optionsFor(packageName))});
       const { usage, embeddingSpace } = await provider.generateEmbeddings(['one two three four five six seven eight']);
       console.log(JSON.stringify([usage.inputTokens, embeddingSpace.model, embeddingSpace.revision]));`,
    );
    const flags = ['--import', import.meta.resolve('tsx'), script];
    const { stdout } = await promisify(execFile)(process.execPath, flags, { cwd: host, timeout: 25_000 });
    expect(JSON.parse(stdout)).toEqual([8, model, sha256.slice(0, 12)]);
  });

  it('are found by a URL', async () => {
    await using provider = new SentenceTransformersProvider(optionsFor(pathToFileURL(entry).href));
    expect(await provider.embedDocument('a text')).toHaveLength(16);
  });

  it('are cut where the option says, also where they were used with another length before', async () => {
    const options = optionsFor(pathToFileURL(entry).href);
    for (const maxTokens of [8, 5]) {
      const weightsPackages = { [model]: { ...options.weightsPackages[model]!, maxTokens } };
      await using provider = new SentenceTransformersProvider({ ...options, weightsPackages });
      const { usage } = await provider.generateEmbeddings(['one two three four five six seven eight']);
      expect(usage.inputTokens).toBe(maxTokens);
    }
  });

  it('that are not installed are asked for by name', async () => {
    const { code, message } = await failureOf(optionsFor('@acme/none'));
    expect(code).toBe('model_unavailable');
    expect(message).toContain('npm install @acme/none');
  });

  it.each([
    ['throw while they are loaded', 'throw new Error("no weights for this platform")', /no weights for this platform/],
    ['import what is not there', 'import "@acme/absent"', /@acme\/absent/],
    ['export something else', 'export default { weightsPath: "/w" }', /exports no object with weightsPath, tokenizer/],
  ])('that %s are not passed over', async (name, code, message) => {
    const file = join(host, `${name}.mjs`);
    await writeFile(file, code);
    const failure = await failureOf(optionsFor(pathToFileURL(file).href));
    expect(failure).toMatchObject({ code: 'model_unavailable', message: expect.stringMatching(message) });
  });

  it('whose weights are others are not used', async () => {
    const { message } = await failureOf(optionsFor(pathToFileURL(entry).href, '0'.repeat(64)));
    expect(message).toMatch(/have another checksum than expected/);
  });

  it('at a URL where nothing lies are named', async () => {
    const { message } = await failureOf(optionsFor(pathToFileURL(join(host, 'nothing.js')).href));
    expect(message).toContain('nothing.js');
  });
});
