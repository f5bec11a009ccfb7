import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { EmbeddingModel } from './embedding-model.js';
import { resolveModel } from './model-source.js';
import { type GuardState, runNative } from './native-guard.js';
import { Tokenizer } from './tokenizer.js';
import { serializeError, type WorkerRequest, type WorkerResponse } from './worker-protocol.js';

const port = parentPort!;
const guard = workerData as GuardState;
const waiting: WorkerRequest[] = [];
let isBusy = false;
let tokenizer: Tokenizer | undefined;
let model: EmbeddingModel | undefined;

port.on('message', (request: WorkerRequest) => {
  // Messages come between two native calls, never during one.
  if (request.type === 'exit') process.exit();
  if (request.type === 'cancel') {
    const index = waiting.findIndex(({ id }) => id === request.target);
    if (index >= 0) waiting.splice(index, 1);
    return;
  }
  waiting.push(request);
  if (!isBusy) void work();
});

async function work(): Promise<void> {
  isBusy = true;
  do {
    // Messages that came during a run are heard of a turn later; one of them may be urgent.
    await setImmediate();
    const request = takeNext();
    if (request !== undefined) await answer(request);
  } while (waiting.length > 0);
  isBusy = false;
}

/** Between the runs of a large request, the urgent ones that came meanwhile. */
async function serveUrgent(): Promise<void> {
  await setImmediate();
  for (let index = waiting.findIndex(isUrgent); index >= 0; index = waiting.findIndex(isUrgent)) {
    await answer(waiting.splice(index, 1)[0]!);
  }
}

/** Urgent requests first, then the order of arrival. */
function takeNext(): WorkerRequest | undefined {
  return waiting.splice(Math.max(waiting.findIndex(isUrgent), 0), 1)[0];
}

function isUrgent(request: WorkerRequest): boolean {
  return 'isUrgent' in request && request.isUrgent;
}

async function answer(request: WorkerRequest): Promise<void> {
  const { id } = request;
  try {
    if (request.type === 'resolve') {
      const value = await resolveModel(request.source, (progress) => respond({ id, progress }));
      respond({ id, value });
    } else if (request.type === 'load_tokenizer') {
      tokenizer = await Tokenizer.load(request.manifest);
      respond({ id, value: null });
    } else if (request.type === 'load_model') {
      model = await runNative(guard, () => EmbeddingModel.load(request.manifest, request.session));
      respond({ id, value: model.device });
    } else if (request.type === 'tokenize') {
      const value = tokenizer!.encodeAll(request.texts, request.prompt);
      respond({ id, value }, [value.tokenIds.buffer, value.lengths.buffer, value.skipped.buffer]);
    } else if (request.type === 'run') {
      const started = performance.now();
      const vectors = await runNative(guard, () => model!.embed(request.texts, serveUrgent));
      respond({ id, value: { vectors, milliseconds: performance.now() - started } }, [vectors.buffer]);
    }
  } catch (error) {
    respond({ id, error: serializeError(error) });
  }
}

function respond(response: WorkerResponse, transfer: ArrayBuffer[] = []): void {
  port.postMessage(response, transfer);
}
