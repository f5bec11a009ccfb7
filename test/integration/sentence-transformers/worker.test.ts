import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveOptions } from '#src/providers/sentence-transformers/options.js';
import { WorkerHandle } from '#src/providers/sentence-transformers/threads/worker-handle.js';
import { tinyBertFiles, tinyBertOnnx, writeFiles } from '../../helpers/tiny-bert.js';

let folder: string;
const threads: Worker[] = [];
const remember = (worker: Worker): void => void threads.push(worker);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-worker-'));
  process.on('worker', remember);
});
afterAll(async () => {
  process.off('worker', remember);
  await rm(folder, { recursive: true });
});

/** So many texts of five tokens. */
const texts = (count: number) => ({
  tokenIds: new Int32Array(5 * count).fill(101),
  lengths: new Int32Array(count).fill(5),
  skipped: new Int32Array(count),
});

describe('a request that is cancelled', () => {
  it('stops between two of its runs: texts that must run alone are not begun any more', async () => {
    await writeFiles(folder, new Map([...(await tinyBertFiles()), ['onnx/model_int8.onnx', await tinyBertOnnx()]]));
    const { source, session } = resolveOptions({ model: 'acme/own', modelFolder: folder, dtype: 'int8' }).engine;
    const worker = new WorkerHandle(() => {});
    const manifest = await worker.request({ type: 'resolve', source });
    await worker.request({ type: 'load_model', manifest, session });
    const answers: { readonly id: number; readonly value?: unknown }[] = [];
    threads.at(-1)!.on('message', (answer) => answers.push(answer));

    const bulk = worker.request({ type: 'run', texts: texts(5000), isUrgent: false });
    const rejected = expect(bulk).rejects.toMatchObject({ code: 'aborted_by_close' });
    // Served between two runs of the first request, or before it at most.
    for (let urgent = 0; urgent < 3; urgent++) await worker.request({ type: 'run', texts: texts(1), isUrgent: true });
    worker.cancel(bulk.requestId);
    await rejected;
    // Gets its turn after the first request, whatever became of that.
    await worker.request({ type: 'run', texts: texts(1), isUrgent: false });
    expect(answers.filter(({ id }) => id > bulk.requestId)).toHaveLength(4);
    expect(answers.filter((answer) => answer.id === bulk.requestId && 'value' in answer)).toEqual([]);
    await worker.terminate();
  });
});
