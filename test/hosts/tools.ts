import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Running {
  readonly env?: Readonly<Record<string, string>>;
  /** @default 240 000 */
  readonly limitMs?: number;
}

/** Runs a program to its end and returns what it printed. @throws an Error with the end of its output if it fails. */
export function runIn(
  folder: string,
  [program = '', ...args]: readonly string[],
  options: Running = {},
): Promise<string> {
  const { env = {}, limitMs = 240_000 } = options;
  return new Promise((resolve, reject) => {
    // npm sets variables for its scripts, among them its own settings: a host has none of them.
    const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
    const child = spawn(program, args, {
      cwd: folder,
      env: { ...inherited, ONNXRUNTIME_NODE_INSTALL: 'skip', NEXT_TELEMETRY_DISABLED: '1', CI: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += String(data)));
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ${args.join(' ')}: ${signal ?? `exit code ${code}`}\n${output.slice(-3_000)}`));
    });
  });
}

const npmFlags = ['--no-audit', '--no-fund', '--no-package-lock', '--prefer-offline', '--loglevel=error'];

/** Installs the tarball and packages as a host does, with npm. */
export async function installInto(
  folder: string,
  tarball: string,
  packages: Readonly<Record<string, string>>,
): Promise<void> {
  await writeManifest(folder, { dependencies: { ...packages, '@pulse/ai-providers': `file:${tarball}` } });
  await runIn(folder, ['npm', 'install', ...npmFlags]);
}

/** Merges into the folder's package.json, which says at least that it is a host. */
export async function writeManifest(folder: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
  const file = join(folder, 'package.json');
  const present = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as object;
  const manifest = { name: 'a-host', version: '1.0.0', private: true, ...present, ...fields };
  await writeFile(file, JSON.stringify(manifest, undefined, 2));
}

/** @throws an Error unless the output has the text. */
export function expectOutput(output: string, text: string): void {
  if (!output.includes(text))
    throw new Error(`Expected ${JSON.stringify(text)} in the output:\n${output.slice(-3_000)}`);
}
