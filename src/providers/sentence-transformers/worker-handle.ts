import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { AiProviderError } from '../../errors.js';
import type { DownloadProgress } from './hub/hub-settings.js';
import { guardWorker } from './native-guard.js';
import { deserializeError, type ResultOf, type WorkerRequest, type WorkerResponse } from './worker-protocol.js';

type RequestType = keyof ResultOf;
type RequestOf<Type extends RequestType> = Omit<Extract<WorkerRequest, { type: Type }>, 'id'>;

interface PendingRequest {
  readonly onProgress: ((progress: DownloadProgress) => void) | undefined;
  resolve(value: never): void;
  reject(error: AiProviderError): void;
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
    const guard = guardWorker();
    this.#worker = new Worker(workerFile(), { name: 'pulse-embedding', workerData: guard.state });
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

  /** Rejects a request, and takes it from the worker unless it has begun. */
  cancel(requestId: number): void {
    const pending = this.#pending.get(requestId);
    if (pending === undefined) return;
    this.#pending.delete(requestId);
    this.#worker.postMessage({ type: 'cancel', id: 0, target: requestId } satisfies WorkerRequest);
    this.#unrefWhenIdle();
    pending.reject(new AiProviderError('The request was withdrawn.', { code: 'aborted_by_close' }));
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
      pending.onProgress?.(response.progress);
      return;
    }
    this.answeredAt = performance.now();
    this.#pending.delete(response.id);
    this.#unrefWhenIdle();
    if ('error' in response) pending.reject(deserializeError(response.error));
    else pending.resolve(response.value as never);
  }

  #unrefWhenIdle(): void {
    if (this.#pending.size === 0) this.#worker.unref();
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

const packageName = '@pulse/ai-providers';

/**
 * The worker's file lies beside the file that this code was built into; where a host bundled the library, it lies in the installed
 * package, and where this code runs from its TypeScript source, in the build.
 */
function workerFile(): string {
  // A bundler that turns ESM into CommonJS leaves no `import.meta.url`; then the package is looked for from where the host runs.
  const here = import.meta.url ? fileURLToPath(import.meta.url) : join(process.cwd(), 'index.js');
  const name = `sentence-transformers-worker.${here.endsWith('.cjs') ? 'cjs' : 'js'}`;
  const candidates = [join(dirname(here), name), join(dirname(here), '..', '..', '..', 'dist', name)];
  const found = candidates.find((candidate) => existsSync(candidate)) ?? installedWorkerFile(here, name);
  if (found !== undefined) return found;
  throw new AiProviderError(
    `The worker file ${name} was not found beside ${here}. A host that is bundled keeps ${packageName} installed beside its bundle, or ` +
      `copies dist/${name} and the chunks it imports there.`,
    { code: 'missing_dependency' },
  );
}

function installedWorkerFile(from: string, name: string): string | undefined {
  try {
    return join(dirname(createRequire(from).resolve(`${packageName}/package.json`)), 'dist', name);
  } catch {
    return undefined;
  }
}
