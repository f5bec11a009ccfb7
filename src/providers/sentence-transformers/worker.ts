import { parentPort } from 'node:worker_threads';
import { EmbeddingModel } from './embedding-model.js';
import { resolveModel } from './model-source.js';
import { Tokenizer } from './tokenizer.js';
import { serializeError, type TokenizedTexts, type WorkerRequest, type WorkerResponse } from './worker-protocol.js';

const port = parentPort!;
const waiting: WorkerRequest[] = [];
let isBusy = false;
let tokenizer: Tokenizer | undefined;
let model: EmbeddingModel | undefined;

port.on('message', (request: WorkerRequest) => {
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
    if (request.type === 'resolve') respond({ id, value: await resolveModel(request.source) });
    else if (request.type === 'load') {
      tokenizer = await Tokenizer.load(request.manifest.tokenizerFile, request.manifest.maxTokens);
      model = await EmbeddingModel.load(request.manifest, request.session);
      respond({ id, value: null });
    } else if (request.type === 'tokenize') {
      const value = tokenize(request.texts);
      respond({ id, value }, [value.tokenIds.buffer, value.lengths.buffer]);
    } else if (request.type === 'run') {
      const value = await model!.run(request.tokenIds, request.lengths);
      respond({ id, value }, [value.buffer]);
    }
  } catch (error) {
    respond({ id, error: serializeError(error) });
  }
}

function tokenize(texts: readonly string[]): TokenizedTexts {
  const encoded = texts.map((text) => tokenizer!.encode(text));
  const lengths = Int32Array.from(encoded, (ids) => ids.length);
  const tokenIds = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let offset = 0;
  for (const ids of encoded) {
    tokenIds.set(ids, offset);
    offset += ids.length;
  }
  return { tokenIds, lengths };
}

function respond(response: WorkerResponse, transfer: ArrayBuffer[] = []): void {
  port.postMessage(response, transfer);
}
