import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../helpers/source-file.js';
import { runIn } from './tools.js';

/**
 * What `npm publish` would send from a clone in which nobody has built: the files that Git knows, with the installed
 * packages.
 *
 * @returns The path of the tarball.
 */
export async function packFreshClone(folder: string): Promise<string> {
  const clone = join(folder, 'clone');
  const listed = await runIn(repositoryRoot, ['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  for (const file of listed.split('\0').filter((name) => name !== '' && existsSync(join(repositoryRoot, name)))) {
    await mkdir(dirname(join(clone, file)), { recursive: true });
    await cp(join(repositoryRoot, file), join(clone, file));
  }
  await symlink(join(repositoryRoot, 'node_modules'), join(clone, 'node_modules'));
  await runIn(clone, ['npm', 'pack', '--loglevel=error', '--pack-destination', folder]);
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack made no tarball.');
  return join(folder, tarball);
}
