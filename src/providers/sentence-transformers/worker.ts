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
  for (let request = takeNext(); request !== undefined; request = takeNext()) await answer(request);
  isBusy = false;
}

/** Between the runs of a large request, the urgent ones that came meanwhile. */
async function serveUrgent(): Promise<void> {
  for (;;) {
    const index = waiting.findIndex((request) => 'isUrgent' in request && request.isUrgent);
    if (index < 0) return;
    await answer(waiting.splice(index, 1)[0]!);
  }
}

/** Urgent requests first, then tokenising, since other workers may wait for it, then the order of arrival. */
function takeNext(): WorkerRequest | undefined {
  const rank = (request: WorkerRequest): number => {
    if ('isUrgent' in request && request.isUrgent) return 0;
    return request.type === 'run' ? 2 : 1;
  };
  let best = 0;
  for (let index = 1; index < waiting.length; index++) {
    if (rank(waiting[index]!) < rank(waiting[best]!)) best = index;
  }
  return waiting.splice(best, 1)[0];
}

async function answer(request: WorkerRequest): Promise<void> {
  const { id } = request;
  try {
    if (request.type === 'resolve') {
      const value = await resolveModel(request.source, (progress) => respond({ id, progress }));
      respond({ id, value });
    } else if (request.type === 'load') {
      tokenizer = await Tokenizer.load(request.manifest);
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
