import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostRun } from './hosts.js';
import { expectOutput, runIn } from './tools.js';

/**
 * Next.js builds a route handler that embeds in its own process, with Turbopack and with webpack, and what it puts into
 * `standalone` serves from a folder that has nothing else: the configuration lists
 * what only the threads load.
 */
export async function tryNext({ folder }: HostRun): Promise<void> {
  const app = join(folder, 'next');
  await cp(join(folder, 'node_modules'), join(app, 'node_modules'), { recursive: true, verbatimSymlinks: true });
  await cp(join(folder, 'package.json'), join(app, 'package.json'));
  for (const bundler of ['--turbopack', '--webpack']) {
    await rm(join(app, '.next'), { recursive: true, force: true });
    await runIn(app, ['node', 'node_modules/next/dist/bin/next', 'build', bundler], { limitMs: 400_000 });
    // Not inside of `folder`, whose node_modules would be found from there.
    const alone = await mkdtemp(join(tmpdir(), 'next-standalone-'));
    try {
      await cp(join(app, '.next/standalone'), alone, { recursive: true, verbatimSymlinks: true });
      expectOutput(await served(alone), '"dimension":384');
    } finally {
      await rm(alone, { recursive: true, force: true });
    }
  }
}

/** What the standalone server answers. */
async function served(folder: string): Promise<string> {
  const port = await freePort();
  const env = { ...process.env, PORT: String(port), HOSTNAME: '127.0.0.1', MODEL_CACHE: join(folder, 'model-cache') };
  const server = spawn(process.execPath, ['server.js'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (data) => (log += String(data)));
  try {
    for (let attempt = 0; attempt < 100; attempt++) {
      const answer = await fetch(`http://127.0.0.1:${port}/api`).catch(() => undefined);
      if (answer !== undefined) return `${await answer.text()}\n${log}`;
      await sleep(200);
    }
    return log;
  } finally {
    server.kill('SIGKILL');
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { readonly port: number };
      probe.close(() => resolve(port));
    });
  });
}
