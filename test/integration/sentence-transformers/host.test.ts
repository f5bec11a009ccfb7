import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

const root = resolve(import.meta.dirname, '../../..');
const providerFile = resolve(root, 'src/providers/sentence-transformers/provider.ts');
let folder: string;
let opening: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-host-'));
  await writeFiles(join(folder, 'model'), await tinyBertFiles());
  const options = { model: 'acme/tiny', modelFolder: join(folder, 'model'), cacheFolder: folder, maxWorkers: 2 };
  opening = `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
    const provider = new SentenceTransformersProvider(${JSON.stringify(options)});`;
});
afterAll(() => rm(folder, { recursive: true }));

async function outputOf(...args: readonly string[]): Promise<string> {
  const node = promisify(execFile)(process.execPath, ['--import', 'tsx', ...args], { cwd: root, timeout: 60_000 });
  return (await node).stdout;
}

describe('a host process', () => {
  it('goes on after close(), also where it was called while a thread loaded its model', async () => {
    const script = join(folder, 'closes.mts');
    await writeFile(
      script,
      `${opening}
      let count = 0;
      const secondStarts = new Promise((resolve) => process.on('worker', (worker) => {
        // One that tokenises and two that run.
        if (++count !== 3) return;
        const { postMessage } = worker;
        // While it loads, a thread reads nothing: it is told to end after it has answered.
        worker.postMessage = (request, ...rest) => {
          if (request.type === 'exit') worker.once('message', () => postMessage.call(worker, request));
          else postMessage.call(worker, request, ...rest);
        };
        resolve();
      }));
      provider.generateEmbeddings(Array(2000).fill('a text that keeps the first thread busy')).catch(() => {});
      await secondStarts;
      await provider.close();
      console.log('closed');`,
    );
    expect(await outputOf(script)).toBe('closed\n');
  });

  it('may be a script on the command line', async () => {
    const script = `${opening} console.log((await provider.embedQuery('a')).length)`;
    expect(await outputOf('--input-type=module', '--eval', script)).toBe('16\n');
  });

  it('may ask eleven times with one signal without a warning', async () => {
    const script = join(folder, 'signal.mts');
    await writeFile(
      script,
      `${opening}
      import { getEventListeners } from 'node:events';
      process.on('warning', (warning) => console.log(warning.name));
      const { signal } = new AbortController();
      const calls = Array.from({ length: 11 }, () => provider.embedQuery('a', { signal }));
      console.log(getEventListeners(signal, 'abort').length);
      await Promise.all(calls);
      console.log(getEventListeners(signal, 'abort').length);`,
    );
    expect(await outputOf(script)).toBe('1\n0\n');
  });
});
