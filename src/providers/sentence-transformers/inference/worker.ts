import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { isAiProviderError } from '../../../errors.js';
import type { ModelManifest } from '../model/model-manifest.js';
import { resolveModel, weightsPackageOf } from '../model/resolve-model.js';
import { firstLine, unusableModel } from '../model/unusable-model.js';
import { buildOnnx } from '../onnx/build-onnx.js';
import { type GuardState, runNative } from '../threads/native-guard.js';
import { serializeError, type WorkerRequest, type WorkerResponse } from '../threads/worker-protocol.js';
import { EmbeddingModel } from './embedding-model.js';
import { requirePackages } from './packages.js';
import { Tokenizer } from './tokenizer.js';

/** Null in a process of its own; see threads/worker-port.ts. */
const guard = workerData as GuardState | null;
const waiting: WorkerRequest[] = [];
/** Requests that have begun and that nobody waits for any more. */
const withdrawn = new Set<number>();
const begun = new Set<number>();
let isBusy = false;
let tokenizer: Tokenizer | undefined;
let model: EmbeddingModel | undefined;

const onRequest = (request: WorkerRequest): void => {
  // Messages come between two native calls, never during one.
  if (request.type === 'exit') process.exit();
  if (request.type === 'cancel') {
    const index = waiting.findIndex(({ id }) => id === request.target);
    if (index >= 0) waiting.splice(index, 1);
    else if (begun.has(request.target)) withdrawn.add(request.target);
    return;
  }
  waiting.push(request);
  if (!isBusy) void work();
};
if (parentPort !== null) parentPort.on('message', onRequest);
else {
  process.on('message', onRequest);
  process.on('disconnect', () => process.exit());
  // A terminal sends it to the host as well, which decides what becomes of this process.
  process.on('SIGINT', () => {});
}

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

/** Between the runs of a large request: serves the urgent ones that came meanwhile. @throws where the large one was withdrawn. */
async function betweenRuns(requestId: number): Promise<void> {
  await setImmediate();
  for (let index = waiting.findIndex(isUrgent); index >= 0; index = waiting.findIndex(isUrgent)) {
    await answer(waiting.splice(index, 1)[0]!);
  }
  if (withdrawn.has(requestId)) throw new Error('the request was withdrawn');
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
  begun.add(id);
  try {
    if (request.type === 'resolve') {
      await requirePackages(weightsPackageOf(request.source));
      const value = await resolveModel(request.source, buildOnnx, (progress) => respond({ id, progress }));
      respond({ id, value });
    } else if (request.type === 'load_tokenizer') {
      tokenizer = await loadTokenizer(request.manifest);
      respond({ id, value: null });
    } else if (request.type === 'load_model') {
      model = await runNative(guard, () => EmbeddingModel.load(request.manifest, request.session));
      respond({ id, value: model.device });
    } else if (request.type === 'tokenize') {
      const value = tokenizer!.encodeAll(request.texts, request.prompt);
      respond({ id, value }, [value.tokenIds.buffer, value.lengths.buffer, value.skipped.buffer]);
    } else if (request.type === 'run') {
      const started = performance.now();
      const vectors = await runNative(guard, () => model!.embed(request.texts, () => betweenRuns(id)));
      respond({ id, value: { vectors, milliseconds: performance.now() - started } }, [vectors.buffer]);
    }
  } catch (error) {
    respond({ id, error: serializeError(error) });
  }
  begun.delete(id);
  withdrawn.delete(id);
}

async function loadTokenizer(manifest: ModelManifest): Promise<Tokenizer> {
  try {
    return await Tokenizer.load(manifest);
  } catch (cause) {
    if (isAiProviderError(cause)) throw cause;
    const reason = `the file ${manifest.tokenizerFile} could not be loaded: ${firstLine(cause)}`;
    throw unusableModel(manifest, reason, cause);
  }
}

function respond(response: WorkerResponse, transfer: ArrayBuffer[] = []): void {
  if (parentPort !== null) parentPort.postMessage(response, transfer);
  // The host ended meanwhile: nobody is left to answer.
  else process.send?.(response, undefined, {}, (error) => void (error && process.exit()));
}
