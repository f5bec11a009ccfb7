import { AiProviderError } from '../../../errors.js';
import { withResolvers } from '../../../internal/with-resolvers.js';
import type { DownloadProgress } from '../model/hub/hub-settings.js';
import { startWorker, type WorkerPort } from './worker-port.js';
import { deserializeError, type ResultOf, type WorkerRequest, type WorkerResponse } from './worker-protocol.js';

type RequestType = keyof ResultOf;
type RequestOf<Type extends RequestType> = Omit<Extract<WorkerRequest, { type: Type }>, 'id'>;

interface PendingRequest {
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
  resolve(value: never): void;
  reject(error: unknown): void;
}

/** One worker, which answers requests by promises. It keeps the process alive only while an answer is awaited. */
export class WorkerHandle {
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, PendingRequest>();
  #lastId = 0;
  #failure: AiProviderError | undefined;
  /** Called once when the worker ended without being asked to. */
  readonly #onCrash: (error: AiProviderError) => void;
  #isTerminated = false;
  /** `performance.now()` of the latest answer: when it began with the next request. */
  answeredAt = performance.now();
  readonly #ended = withResolvers<void>();

  /** @throws an error with code `worker_crashed` or `missing_dependency` when it cannot be started. */
  constructor(onCrash: (error: AiProviderError) => void) {
    this.#onCrash = onCrash;
    this.#port = startWorker({
      onMessage: (response) => this.#settle(response),
      onEnd: (cause) => {
        this.#ended.resolve();
        this.#fail(cause);
      },
    });
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
      this.#port.ref();
      this.#port.post({ ...request, id } as WorkerRequest, transfer);
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
    this.#port.post({ type: 'cancel', id: 0, target: requestId });
    this.#unrefWhenIdle();
    pending.reject(reason);
  }

  /** Ends the worker after the run under way; see native-guard.ts for why not at once. */
  async terminate(): Promise<void> {
    this.#isTerminated = true;
    this.#port.ref();
    this.#port.post({ type: 'exit', id: 0 });
    await this.#ended.promise;
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
    // After `terminate`, its end is waited for: the process must not exit under whoever closes.
    if (this.#pending.size === 0 && !this.#isTerminated) this.#port.unref();
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
