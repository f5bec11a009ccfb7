import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
let folder: string;

/** A host with the library in its node_modules. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-bundled-'));
  await mkdir(join(folder, 'node_modules', '@pulse'), { recursive: true });
  await symlink(root, join(folder, 'node_modules', '@pulse', 'ai-providers'));
  const cacheFolder = JSON.stringify(join(folder, 'cache'));
  const body = `const provider = new SentenceTransformersProvider({ cacheFolder: ${cacheFolder} });
    provider.embedQuery('a bundled host').then((vector) => console.log(vector.length));`;
  await writeFile(
    join(folder, 'host.mjs'),
    `import { SentenceTransformersProvider } from '@pulse/ai-providers';\n${body}`,
  );
  await writeFile(
    join(folder, 'host.cjs'),
    `const { SentenceTransformersProvider } = require('@pulse/ai-providers');\n${body}`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

describe('a host that is bundled with esbuild finds the worker, wherever it is started from', () => {
  it.each([
    ['host.mjs', 'esm', 'out.mjs'],
    ['host.cjs', 'cjs', 'out.cjs'],
    ['host.mjs', 'cjs', 'from-esm.cjs'],
  ] as const)('%s as %s', async (entry, format, output) => {
    const outfile = join(folder, 'dist', output);
    await build({
      entryPoints: [join(folder, entry)],
      bundle: true,
      platform: 'node',
      format,
      outfile,
      logLevel: 'error',
      // What a host leaves out of its bundle anyway: native and optional packages.
      external: [
        'onnxruntime-node',
        '@huggingface/*',
        '@lat.md/*',
        '@qdrant/*',
        '@electric-sql/*',
        'kysely',
        'undici',
        'openai',
        '@opentelemetry/*',
        'gpt-tokenizer*',
      ],
    });
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], { cwd: tmpdir(), timeout: 25_000 });
    expect(stdout).toBe('384\n');
  });
});
