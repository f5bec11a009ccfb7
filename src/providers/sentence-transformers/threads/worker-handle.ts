import { Worker } from 'node:worker_threads';
import { AiProviderError } from '../../../errors.js';
import type { DownloadProgress } from '../model/hub/hub-settings.js';
import { guardWorker } from './native-guard.js';
import { silenceRuntimeTelemetry } from './runtime-telemetry.js';
import { workerFile } from './worker-file.js';
import { deserializeError, type ResultOf, type WorkerRequest, type WorkerResponse } from './worker-protocol.js';

type RequestType = keyof ResultOf;
type RequestOf<Type extends RequestType> = Omit<Extract<WorkerRequest, { type: Type }>, 'id'>;

interface PendingRequest {
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** One worker thread, asked by promises. It keeps the process alive only while an answer is awaited. */
export class WorkerHandle {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  #failure: AiProviderError | undefined;
  /** Called once when the thread ended without being asked to. */
  readonly #onCrash: (error: AiProviderError) => void;
  #isTerminated = false;
  /** `performance.now()` of the latest answer: when it began with the next request. */
  answeredAt = performance.now();
  readonly #exited: Promise<void>;

  constructor(onCrash: (error: AiProviderError) => void) {
    this.#onCrash = onCrash;
    silenceRuntimeTelemetry();
    const guard = guardWorker();
    this.#worker = new Worker(workerFile(), { name: 'pulse-embedding', workerData: guard.state, ...execArgv() });
    this.#exited = new Promise((ended) => {
      this.#worker.once('exit', () => {
        guard.release();
        ended();
      });
    });
    this.#worker.unref();
    this.#worker.on('message', (response: WorkerResponse) => this.#settle(response));
    this.#worker.on('error', (cause) => this.#fail(cause));
    this.#worker.on('exit', (exitCode) => this.#fail(new Error(`the thread ended with exit code ${exitCode}`)));
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** @throws the error of the worker, or one with code `worker_crashed`. */
  request<Type extends RequestType>(
    request: RequestOf<Type> & { readonly type: Type },
    transfer: readonly ArrayBuffer[] = [],
    onProgress?: (progress: DownloadProgress) => void,
  ): Promise<ResultOf[Type]> & { readonly requestId: number } {
    const id = ++this.#lastId;
    const promise = new Promise<ResultOf[Type]>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#pending.set(id, { resolve: resolve as PendingRequest['resolve'], reject, onProgress });
      this.#worker.ref();
      this.#worker.postMessage({ ...request, id }, transfer);
    });
    return Object.assign(promise, { requestId: id });
  }

  /** Rejects a request, and has the worker drop it: before it began, or between two of its runs. */
  cancel(
    requestId: number,
    reason: unknown = new AiProviderError('The request was withdrawn.', { code: 'aborted_by_close' }),
  ): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#pending.delete(requestId);
    this.#worker.postMessage({ type: 'cancel', id: 0, target: requestId } satisfies WorkerRequest);
    this.#unrefWhenIdle();
    pending.reject(reason);
  }

  /** Ends the thread after the run under way; see native-guard.ts for why not at once. */
  async terminate(): Promise<void> {
    this.#isTerminated = true;
    this.#worker.ref();
    this.#worker.postMessage({ type: 'exit', id: 0 } satisfies WorkerRequest);
    await this.#exited;
  }

  #settle(response: WorkerResponse): void {
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    if ('progress' in response) {
      this.#report(response, pending);
      return;
    }
    this.answeredAt = performance.now();
    this.#pending.delete(response.id);
    this.#unrefWhenIdle();
    if ('error' in response) pending.reject(deserializeError(response.error));
    else pending.resolve(response.value as never);
  }

  /** A host whose callback throws gets its error from the call that was to load the model. */
  #report(
    { id, progress }: { readonly id: number; readonly progress: DownloadProgress },
    request: PendingRequest,
  ): void {
    try {
      request.onProgress?.(progress);
    } catch (error) {
      this.cancel(id, error);
    }
  }

  #unrefWhenIdle(): void {
    // A thread that was told to end is waited for: the process must not exit under whoever closes.
    if (this.#pending.size === 0 && !this.#isTerminated) this.#worker.unref();
  }

  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new AiProviderError('The worker thread of the local model crashed.', {
      code: 'worker_crashed',
      isRetryable: true,
      cause,
    });
    for (const pending of this.#pending.values()) pending.reject(this.#failure);
    this.#pending.clear();
    if (!this.#isTerminated) this.#onCrash(this.#failure);
  }
}

/** Threads take over what the process was started with, and refuse what says of which kind the script on the command line is. */
function execArgv(): { readonly execArgv?: string[] } {
  return process.execArgv.some((argument) => argument.startsWith('--input-type')) ? { execArgv: [] } : {};
}
