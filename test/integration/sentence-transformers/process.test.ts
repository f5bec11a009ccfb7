import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ProviderError } from '#src/errors.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { cosine, readMiniLmReference } from '../../helpers/mini-lm-reference.js';
import { onRequest } from '../../helpers/worker-requests.js';

const golden = readMiniLmReference();
const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');
const providerFile = resolve(root, 'src/providers/sentence-transformers/provider.ts');
let folder: string;
let cacheFolder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-process-'));
  cacheFolder = join(folder, 'cache');
});
afterAll(() => rm(folder, { recursive: true }));

const workers: Worker[] = [];
const remember = (worker: Worker): void => void workers.push(worker);
beforeAll(() => void process.on('worker', remember));
afterEach(() => void workers.splice(0));
afterAll(() => void process.off('worker', remember));

describe('a query during a bulk job', () => {
  it('waits for the run under way, and not for the one that lies ready behind it', async () => {
    await using provider = new SentenceTransformersProvider({ cacheFolder, maxWorkers: 1 });
    await provider.embedQuery('warm');
    const waiting: number[] = [];
    const queries: { readonly id: number; readonly ready: number | undefined }[] = [];
    const answered: number[] = [];
    const worker = workers.at(-1)!;
    onRequest(worker, (request) => {
      if (request.type !== 'run') return;
      if (request.isUrgent) queries.push({ id: request.id, ready: waiting[1] });
      else waiting.push(request.id);
    });
    worker.on('message', ({ id }: { readonly id: number }) => {
      answered.push(id);
      if (waiting.includes(id)) waiting.splice(waiting.indexOf(id), 1);
    });
    const abort = new AbortController();
    const bulk = provider.generateEmbeddings(Array<string>(3000).fill('a text of a bulk job '.repeat(5)), abort);
    const aborted = expect(bulk).rejects.toThrow();
    for (let query = 0; query < 12; query++) await provider.embedQuery(`query ${query}`);
    abort.abort();
    await aborted;
    const behind = queries.filter(({ ready }) => ready !== undefined);
    const overtaking = behind.filter(({ id, ready }) => {
      const ends = answered.indexOf(ready!);
      return ends === -1 || answered.indexOf(id) < ends;
    });
    // Not all: the run that lay ready may have begun while the query was on its way.
    expect(behind.length).toBeGreaterThanOrEqual(6);
    expect(overtaking.length).toBeGreaterThanOrEqual(behind.length / 2);
  });
});

describe('a worker thread that dies', () => {
  /** Makes a thread, the newest if not told otherwise, die of an uncaught exception: it expects requests, and `null` is none. */
  const killWorker = async (worker = workers.at(-1)!): Promise<void> => {
    const ended = new Promise((end) => worker.once('exit', end));
    worker.postMessage(null);
    await ended;
  };

  const untilNewestRuns = (): Promise<void> =>
    new Promise((resolve) => onRequest(workers.at(-1)!, ({ type }) => type === 'run' && resolve()));

  const nextWorker = async (count: number): Promise<void> => {
    while (workers.length < count) await once(process, 'worker');
  };

  it('fails the call with a typed error, and the next call gets a new thread', async () => {
    await using provider = new SentenceTransformersProvider({ cacheFolder, maxWorkers: 1 });
    await provider.generateEmbeddings(['warm']);
    const call = provider.generateEmbeddings(Array<string>(500).fill('a text that is being embedded'));
    const rejected = expect(call).rejects.toMatchObject({ code: 'worker_crashed', isRetryable: true });
    await untilNewestRuns();
    await killWorker();
    await rejected;
    expect((await provider.generateEmbeddings(['again'])).embeddings[0]).toHaveLength(384);
    // The one that tokenises, and two that ran.
    expect(workers).toHaveLength(3);
  });

  it('is replaced also where it is the one that tokenises', async () => {
    await using provider = new SentenceTransformersProvider({ cacheFolder, maxWorkers: 1 });
    await provider.generateEmbeddings(['warm']);
    const call = provider.generateEmbeddings(Array<string>(5000).fill('a text that waits to be tokenised'));
    const rejected = expect(call).rejects.toMatchObject({ code: 'worker_crashed', isRetryable: true });
    await killWorker(workers[0]);
    await rejected;
    expect((await provider.generateEmbeddings(['again'])).embeddings[0]).toHaveLength(384);
    expect(workers).toHaveLength(3);
  });

  it('three times in a row opens a circuit, whether it dies at work or while it starts', async () => {
    await using provider = new SentenceTransformersProvider({ cacheFolder, maxWorkers: 1 });
    await provider.generateEmbeddings(['warm']);
    const first = provider.generateEmbeddings(Array<string>(500).fill('a text that is being embedded'));
    const firstRejected = expect(first).rejects.toMatchObject({ code: 'worker_crashed' });
    await untilNewestRuns();
    await killWorker();
    await firstRejected;
    const second = provider.generateEmbeddings(['waits for a thread that starts']);
    const secondRejected = expect(second).rejects.toMatchObject({ code: 'circuit_open', isRetryable: true });
    await nextWorker(3);
    await killWorker();
    await nextWorker(4);
    await killWorker();
    await secondRejected;
    const refused = await provider.generateEmbeddings(['a']).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'circuit_open', cause: { code: 'worker_crashed' } });
    expect((refused as ProviderError).retryAfterMs).toBeGreaterThan(0);
    expect((refused as ProviderError).retryAfterMs).toBeLessThanOrEqual(30_000);
    expect(await provider.health()).toMatchObject({ status: 'unhealthy', detail: expect.stringContaining('crashed') });
    expect(workers).toHaveLength(4);
  });
});

describe('the host process', () => {
  it('ends by itself after a call, without a close', async () => {
    const script = join(folder, 'host.mts');
    await writeFile(
      script,
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       const provider = new SentenceTransformersProvider({ cacheFolder: ${JSON.stringify(cacheFolder)} });
       const { embeddings } = await provider.generateEmbeddings(['a host that does not close anything']);
       console.log(embeddings[0].length);`,
    );
    const { stdout } = await run(process.execPath, ['--import', 'tsx', script], { cwd: root, timeout: 25_000 });
    expect(stdout).toBe('384\n');
  });

  it('has no device id written for it by the native runtime, and reports nothing', async () => {
    const home = join(folder, 'home');
    // What makes the runtime keep still by itself must not help: CI, and what vitest.config.ts sets.
    const env = { PATH: process.env.PATH, HOME: home };
    const script = join(folder, 'silent.mts');
    await writeFile(
      script,
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       await using provider = new SentenceTransformersProvider();
       console.log((await provider.embedQuery('a host that asked for no network')).length);`,
    );
    const { stdout } = await run(process.execPath, ['--import', 'tsx', script], { cwd: root, env, timeout: 25_000 });
    expect(stdout).toBe('384\n');
    expect(readdirSync(home)).toEqual(['.cache']);
    expect(readdirSync(join(home, '.cache'))).toEqual(['pulse-ai-providers']);
  });
});

describe('a process that exits in the middle of a run', () => {
  const exits = {
    'process.exit()': 'process.exit(7)',
    'an uncaught exception': "throw new Error('a bug of the host')",
  };

  it.each(Object.entries(exits))('by %s is not brought down by the native code', async (_, statement) => {
    const script = join(folder, 'exits.mts');
    await writeFile(
      script,
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       const provider = new SentenceTransformersProvider({ cacheFolder: ${JSON.stringify(cacheFolder)} });
       await provider.embedQuery('warm');
       void provider.generateEmbeddings(Array(5000).fill('a text that is being embedded '.repeat(20)));
       setTimeout(() => { ${statement} }, 60);`,
    );
    const failure = await run(process.execPath, ['--import', 'tsx', script], { cwd: root, timeout: 25_000 }).catch(
      (error: { readonly code: number; readonly signal: string | null; readonly stderr: string }) => error,
    );
    expect(failure).toMatchObject({ code: statement.includes('exit') ? 7 : 1, signal: null });
    expect(failure.stderr).not.toContain('Napi::Error');
  });
});

describe('processes that build the cache', () => {
  const models = (): string => join(folder, 'contended', 'sentence-transformers--all-MiniLM-L6-v2');
  const script = (): string => join(folder, 'builder.mts');

  beforeAll(() =>
    writeFile(
      script(),
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       const provider = new SentenceTransformersProvider({ cacheFolder: ${JSON.stringify(join(folder, 'contended'))} });
       const { embeddings } = await provider.generateEmbeddings([${JSON.stringify(golden.texts[0])}]);
       console.log(JSON.stringify([...embeddings[0]]));`,
    ),
  );

  const start = () => run(process.execPath, ['--import', 'tsx', script()], { cwd: root, timeout: 25_000 });
  const expectRight = ({ stdout }: { readonly stdout: string }): void =>
    expect(cosine(JSON.parse(stdout), golden.vectors[0]!)).toBeGreaterThan(0.9999);

  it('one that is killed in the middle leaves nothing that the next one takes for a model', async () => {
    for (const stage of ['config.json', 'onnx/model.onnx', 'checksums.json']) {
      await rm(models(), { recursive: true, force: true });
      const killed = start();
      const ended = killed.catch((error: { readonly signal?: string }) => error.signal);
      await until(() => hasUnfinished(models(), stage) || readyModels(models()).length > 0);
      killed.child.kill('SIGKILL');
      await ended;
      expectRight(await start());
      expect(readyModels(models())).toHaveLength(1);
    }
  });

  it('several at once all get a whole model', async () => {
    await rm(models(), { recursive: true, force: true });
    const processes = await Promise.all(Array.from({ length: 3 }, start));
    processes.forEach(expectRight);
    expect(readdirSync(models())).toHaveLength(1);
  });
});

function readyModels(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => !name.endsWith('.tmp')) : [];
}

function hasUnfinished(folder: string, file: string): boolean {
  if (!existsSync(folder)) return false;
  return readdirSync(folder).some((name) => name.endsWith('.tmp') && existsSync(join(folder, name, file)));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resume) => setImmediate(resume));
}

describe('packages that are not installed', () => {
  it('are named with their install line', async () => {
    // The bundle lies outside of any node_modules, so the worker beside it finds none of its packages.
    const bundle = join(folder, 'bundle.js');
    await build({ entryPoints: [providerFile], bundle: true, platform: 'node', format: 'esm', outfile: bundle });
    const worker = await build({
      entryPoints: [resolve(root, 'src/providers/sentence-transformers/inference/worker.ts')],
      bundle: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
      outfile: join(folder, 'sentence-transformers-worker.js'),
    });
    expect(worker.errors).toEqual([]);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const { SentenceTransformersProvider: Bundled } = (await import(bundle)) as {
      SentenceTransformersProvider: typeof SentenceTransformersProvider;
    };
    await using provider = new Bundled({ cacheFolder });
    await expect(provider.generateEmbeddings(['a'])).rejects.toMatchObject({
      code: 'missing_dependency',
      packageName: '@huggingface/tokenizers',
      message: expect.stringContaining('npm install @huggingface/tokenizers'),
    });
  });
});
