import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { repositoryRoot } from '../helpers/source-file.js';

const run = promisify(execFile);
const dist = join(repositoryRoot, 'dist');

/** Prints every module that Node loads for a door, in a process of its own. */
const recorder = `
import { register } from 'node:module';
import { MessageChannel } from 'node:worker_threads';
const hooks = \`
let port;
export const initialize = (data) => { port = data.port; };
export async function load(url, context, next) {
  const result = await next(url, context);
  port.postMessage(url);
  return result;
}\`;
const { port1, port2 } = new MessageChannel();
const urls = [];
port1.on('message', (url) => urls.push(url));
port1.unref();
register('data:text/javascript,' + encodeURIComponent(hooks), { data: { port: port2 }, transferList: [port2] });
await import(process.argv[1]);
await new Promise((resolve) => setTimeout(resolve, 50));
console.log(JSON.stringify(urls));
process.exit();
`;

async function filesLoadedWith(door: string): Promise<string[]> {
  const entry = join(dist, `${door}.js`);
  if (!existsSync(entry)) throw new Error('Run `npm run build` first.');
  const args = ['--input-type=module', '--eval', recorder, pathToFileURL(entry).href];
  const { stdout } = await run(process.execPath, args, { cwd: repositoryRoot });
  const urls = JSON.parse(stdout.trim().split('\n').at(-1)!) as string[];
  return urls
    .filter((url) => url.startsWith('file:'))
    .map((url) => fileURLToPath(url))
    .filter((file) => file.startsWith(dist));
}

/** Bytes of this library's own files that Node reads with a door, before anything is called. The root is in each. */
const limits: Readonly<Record<string, number>> = {
  index: 330_000,
  admin: 300_000,
  'ai-sdk': 320_000,
  langchain: 320_000,
  mcp: 320_000,
};

it.each(Object.entries(limits))('%s loads at most %d bytes', { timeout: 60_000 }, async (door, limit) => {
  const files = await filesLoadedWith(door);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  console.log(`${door}: ${files.length} files, ${bytes} bytes`);
  expect(files.length).toBeGreaterThan(0);
  expect(bytes).toBeLessThanOrEqual(limit);
});

it('leaves what a call needs to the call', { timeout: 60_000 }, async () => {
  const files = await filesLoadedWith('index');
  const lazy = /sentence-transformers-worker|local-qdrant-client|open-gateway|doctor|copy-vectors/;
  expect(files.filter((file) => lazy.test(file))).toEqual([]);
});
