import type { Worker } from 'node:worker_threads';
import type { WorkerRequest } from '#src/providers/sentence-transformers/threads/worker-protocol.js';

/** Reports the requests that a thread of a local model is given from now on. */
export function onRequest(worker: Worker, tell: (request: WorkerRequest) => void): void {
  const { postMessage } = worker;
  worker.postMessage = (request: WorkerRequest, ...rest: []) => {
    // First: the buffers of a request go to the thread.
    if (request !== null) tell(request);
    postMessage.call(worker, request, ...rest);
  };
}
