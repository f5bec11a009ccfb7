import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

const library = JSON.stringify(resolve(import.meta.dirname, '../../../dist/index.js'));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-starved-'));
  await writeFiles(join(folder, 'model'), await tinyBertFiles());
});
afterAll(() => rm(folder, { recursive: true }));

const failed = expect.stringMatching(/^(worker_crashed|circuit_open)$/);

/** What a program prints, one JSON value a line. Its children count: it has ended when they have. */
async function resultsOf(name: string, source: string): Promise<unknown[]> {
  const file = join(folder, name);
  await writeFile(file, source);
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { timeout: 100_000 });
  expect(stderr).toBe('');
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Calls a provider twice, under a limit of 0, 1, 2, … threads, and says what became of the calls. */
const starvedHost = (construct: string) => `
  import threads from 'node:worker_threads';
  import { syncBuiltinESMExports } from 'node:module';
  let threadsLeft = 0;
  const Real = threads.Worker;
  threads.Worker = class extends Real { constructor(file, options) { ${construct} } };
  syncBuiltinESMExports();
  const { SentenceTransformersProvider, isAiProviderError } = await import(${library});
  const options = { model: 'acme/tiny', modelFolder: ${JSON.stringify(join(folder, 'model'))}, cacheFolder: ${JSON.stringify(folder)}, maxWorkers: 3 };
  const outcome = async (provider) => {
    const texts = Array.from({ length: 400 }, (_, index) => 'text ' + index);
    try {
      return (await provider.generateEmbeddings(texts)).embeddings.every((vector) => vector.length === 16) ? 'served' : 'wrong';
    } catch (error) {
      return isAiProviderError(error) ? error.code : String(error);
    }
  };
  for (let limit = 0; limit <= 4; limit++) {
    threadsLeft = limit;
    const provider = new SentenceTransformersProvider(options);
    const outcomes = [await outcome(provider), await outcome(provider)];
    threadsLeft = Infinity;
    await provider.close();
    const other = new SentenceTransformersProvider(options);
    outcomes.push(await outcome(other));
    await other.close();
    console.log(JSON.stringify(outcomes));
  }`;

describe('a host whose threads cannot start', () => {
  it('is served by as many as there are, by one thread for everything if need be, and gets typed errors without any', async () => {
    const source = starvedHost(
      `if (threadsLeft-- <= 0) throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' });
      super(file, options);`,
    );
    expect(await resultsOf('refused.mjs', source)).toEqual([
      ['worker_crashed', 'worker_crashed', 'served'],
      ...Array(4).fill(['served', 'served', 'served']),
    ]);
  });

  it.each([
    ['end at once', 'data:text/javascript,process.exit(3)'],
    ['find their file gone', 'file:///nothing/worker.js'],
  ])('gets typed errors when threads %s, and is served once one runs the model', async (name, file) => {
    const source = starvedHost(`super(threadsLeft-- <= 0 ? new URL('${file}') : file, options);`);
    expect(await resultsOf(`${name}.mjs`, source)).toEqual([
      [failed, failed, 'served'],
      [failed, failed, 'served'],
      ...Array(3).fill(['served', 'served', 'served']),
    ]);
  });
});

describe('a worker thread of the host that is terminated', () => {
  it('takes neither the process with it nor leaves another behind, at any moment of a call', async () => {
    await writeFile(
      join(folder, 'thread.mjs'),
      `import { parentPort } from 'node:worker_threads';
      import { SentenceTransformersProvider } from ${library};
      const provider = new SentenceTransformersProvider({ cacheFolder: ${JSON.stringify(folder)}, maxWorkers: 2 });
      await provider.embedQuery('a query');
      parentPort.postMessage('runs');
      await provider.generateEmbeddings(Array(5000).fill('a text of a bulk job '.repeat(20)));`,
    );
    const source = `
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      // From the first line of the thread, over the load of the model, into its runs.
      for (let turn = 0; turn < 12; turn++) {
        const thread = new Worker(new URL('thread.mjs', import.meta.url));
        const runs = once(thread, 'message');
        if (turn < 8) await new Promise((resolve) => setTimeout(resolve, 60 * turn));
        else {
          await runs;
          await new Promise((resolve) => setTimeout(resolve, 40 * turn));
        }
        await thread.terminate();
      }
      console.log(JSON.stringify('alive'));`;
    expect(await resultsOf('terminates.mjs', source)).toEqual(['alive']);
  });
});
