import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { repositoryRoot } from './source-file.js';

const run = promisify(execFile);
const consumerSource = fileURLToPath(new URL('../package/consumer', import.meta.url));

export interface Consumer {
  readonly folder: string;
  /** Runs a file of the folder in a process of its own and returns what it printed. */
  node(file: string, ...flags: string[]): Promise<string>;
  /** The same, with variables in the environment. */
  nodeWith(env: Readonly<Record<string, string>>, file: string): Promise<string>;
  /** Type-checks with the declarations of the installed package; returns the compiler's complaints. */
  typeCheck(...flags: string[]): Promise<string>;
  /** Makes packages of this repository's node_modules resolvable, as if they were installed. */
  link(...packageNames: string[]): Promise<void>;
  /** Takes an installed package away, as a deployment does that copies too little. */
  hide(packageName: string): Promise<void>;
  /** Puts back all that was hidden. */
  showAgain(): Promise<void>;
  remove(): Promise<void>;
}

/**
 * Packs the package as it would be published and installs it into an empty folder outside the repository, with its
 * dependencies only. `packages` are installed besides, and in place of the versions that the package itself would
 * choose.
 */
export async function installPackedPackage(packages: Readonly<Record<string, string>> = {}): Promise<Consumer> {
  if (!existsSync(join(repositoryRoot, 'dist', 'index.js'))) throw new Error('Run `npm run build` first.');
  const folder = await mkdtemp(join(tmpdir(), 'consumer-'));
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: repositoryRoot,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ readonly filename: string }];
  const manifest = { name: 'consumer', version: '1.0.0', private: true, dependencies: packages, overrides: packages };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  // The cache has every dependency since this repository was installed, so this needs no network.
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--omit=peer', '--ignore-scripts'];
  await run('npm', ['install', ...flags, `./${filename}`], { cwd: folder });
  await cp(consumerSource, folder, { recursive: true });

  const hidden: string[] = [];
  return {
    folder,
    node: async (file, ...flags) =>
      (await run(process.execPath, [...flags, join(folder, file)], { cwd: folder })).stdout,
    nodeWith: async (env, file) =>
      (await run(process.execPath, [join(folder, file)], { cwd: folder, env: { ...process.env, ...env } })).stdout,
    typeCheck: async (...flags) => {
      const compiler = join(repositoryRoot, 'node_modules', 'typescript', 'bin', 'tsc');
      try {
        return (await run(process.execPath, [compiler, '--noEmit', ...flags], { cwd: folder })).stdout;
      } catch (error) {
        return (error as { readonly stdout: string }).stdout;
      }
    },
    link: async (...packageNames) => {
      for (const name of packageNames) {
        const target = join(folder, 'node_modules', name);
        if (existsSync(target)) continue;
        await mkdir(dirname(target), { recursive: true });
        await symlink(join(repositoryRoot, 'node_modules', name), target);
      }
    },
    hide: async (name) => {
      hidden.push(name);
      await rename(join(folder, 'node_modules', name), join(folder, `hidden-${name}`));
    },
    showAgain: async () => {
      for (const name of hidden.splice(0))
        await rename(join(folder, `hidden-${name}`), join(folder, 'node_modules', name));
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
