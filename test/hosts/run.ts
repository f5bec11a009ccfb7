/**
 * Packs a fresh clone of this checkout and loads the package in the hosts that people run it in, each as it comes,
 * without settings for this library: `npm run test:hosts` runs the quick ones, `npm run test:hosts -- --all` every one,
 * and `npm run test:hosts -- next jest-30` those that are named. Needs the npm registry.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Host, hosts } from './hosts.js';
import { packFreshClone } from './pack-fresh-clone.js';
import { installInto, runIn } from './tools.js';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { all: { type: 'boolean' } } });
const unknown = positionals.filter((name) => !hosts.some((host) => host.name === name));
if (unknown.length > 0) {
  console.error(`Unknown: ${unknown.join(', ')}. There are ${hosts.map(({ name }) => name).join(', ')}.`);
  process.exit(2);
}
const isChosen = ({ name, isQuick }: Host) =>
  positionals.length > 0 ? positionals.includes(name) : values.all === true || isQuick;
const chosen = hosts.filter(isChosen);

const root = await mkdtemp(join(tmpdir(), 'hosts-'));
const failed: string[] = [];
try {
  const tarball = await timed('npm pack of a fresh clone', () => packFreshClone(root));
  if (tarball !== undefined) {
    // The quick hosts share one installation.
    const quick = chosen.filter((host) => host.isQuick);
    if (quick.length > 0) await tryHosts('quick', quick, tarball);
    for (const host of chosen.filter(({ isQuick }) => !isQuick)) await tryHosts(host.name, [host], tarball);
  }
} finally {
  await rm(root, { recursive: true, force: true });
}
console.log(
  `\n${chosen.length - failed.filter((name) => chosen.some((host) => host.name === name)).length} passed, ${failed.length} failed`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

async function tryHosts(name: string, together: readonly Host[], tarball: string): Promise<void> {
  const folder = join(root, name);
  const packages = Object.assign({}, ...together.map((host) => host.packages));
  await cp(join(import.meta.dirname, 'files'), folder, { recursive: true });
  const isReady = await timed(`${name}: installed`, async () => {
    await installInto(folder, tarball, packages);
    return true;
  });
  for (const host of together) {
    if (isReady !== true) failed.push(host.name);
    else await timed(host.name, () => host.run({ folder, run: (...command) => runIn(folder, command), tarball }));
  }
}

/** Runs one step and prints how it went; undefined after a failure. */
async function timed<Result>(name: string, step: () => Promise<Result>): Promise<Result | undefined> {
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  try {
    const result = await step();
    console.log(`  passed  ${name} (${seconds()} s)`);
    return result;
  } catch (error) {
    failed.push(name);
    console.log(
      `  FAILED  ${name} (${seconds()} s)\n${String((error as Error).message).replaceAll(/^/gm, '          ')}`,
    );
    return undefined;
  }
}
