import { AiProviderError } from '../../errors.js';
import { memoizeAsync } from '../../internal/memoize-async.js';
import type { DownloadProgress } from './hub/hub-settings.js';
import type { ModelManifest } from './model-manifest.js';
import type { ModelSource } from './model-source.js';
import { WorkerHandle } from './worker-handle.js';
import type { DeviceReport, SessionSettings, TokenizedTexts } from './worker-protocol.js';

export interface WorkerPoolOptions {
  readonly source: ModelSource;
  readonly session: SessionSettings;
  readonly maxWorkers: number;
  /** How long nothing may be asked before the threads end and their memory is freed. */
  readonly idleTimeoutMs: number;
  readonly onDownloadProgress: ((progress: DownloadProgress) => void) | undefined;
}

const crashesToOpenCircuit = 3;
const circuitOpenMs = 30_000;

/**
 * The threads of one model: one that finds its files and tokenises, and others that run it. Started when they are needed, replaced when they crash, ended
 * when they idle. A tokenizer in every thread would keep an urgent text waiting for a run before its own.
 */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #onChange: () => void;
  readonly #onStartFailure: (error: unknown) => void;
  #tokenizer: WorkerHandle | undefined;
  #loadedTokenizer: Promise<WorkerHandle> | undefined;
  readonly #ready = new Set<WorkerHandle>();
  readonly #starting = new Set<WorkerHandle>();
  #crashesInARow = 0;
  #circuitOpenUntil = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isResolved = false;
  #device: DeviceReport | undefined;

  /** Finds the model's files, once. */
  readonly manifest = memoizeAsync(async (): Promise<ModelManifest> => {
    this.checkCircuit();
    const { source, onDownloadProgress } = this.#options;
    const manifest = await this.#tokenizerThread().request({ type: 'resolve', source }, [], onDownloadProgress);
    this.#isResolved = true;
    return manifest;
  });

  /** The manifest as far as it can be had without the network. @throws `model_unavailable` where the Hub would have to be asked. */
  async localManifest(): Promise<ModelManifest> {
    if (this.#isResolved) return this.manifest();
    const { source } = this.#options;
    const worker = new WorkerHandle(() => {});
    try {
      return await worker.request({ type: 'resolve', source: { ...source, hub: { ...source.hub, isOffline: true } } });
    } finally {
      await worker.terminate();
    }
  }

  /**
   * @param onChange - A worker became ready or free: there may be work for it.
   * @param onStartFailure - No worker is left and none could be started, or the circuit opened: nothing that waits will be served.
   */
  constructor(options: WorkerPoolOptions, onChange: () => void, onStartFailure: (error: unknown) => void) {
    this.#options = options;
    this.#onChange = onChange;
    this.#onStartFailure = onStartFailure;
  }

  /** Starts the first worker, while the model's files are still looked for. */
  start(): void {
    if (this.workerCount === 0) this.#grow();
  }

  async tokenize(texts: readonly string[], prompt: string, isUrgent: boolean): Promise<TokenizedTexts> {
    this.#loadedTokenizer ??= this.#loadTokenizer();
    return (await this.#loadedTokenizer).request({ type: 'tokenize', texts, prompt, isUrgent });
  }

  /**
   * The worker with the fewest requests, fewer than `maxPending`, and of several the one that is likely to be free first; where there is none, another one
   * may be started.
   */
  takeWorker(maxPending: number): WorkerHandle | undefined {
    const [best] = [...this.#ready]
      .filter(({ pendingCount }) => pendingCount < maxPending)
      .sort((left, right) => left.pendingCount - right.pendingCount || left.answeredAt - right.answeredAt);
    if (best === undefined || best.pendingCount > 0) this.#grow();
    return best;
  }

  /** @throws an error with code `circuit_open` while several crashes in a row are fresh. */
  checkCircuit(): void {
    if (performance.now() < this.#circuitOpenUntil) throw this.#circuitError();
  }

  /** A run succeeded. */
  noteSuccess(): void {
    this.#crashesInARow = 0;
  }

  /** Ends the threads after the idle time, unless work comes before. */
  noteIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => void this.#terminateAll(), this.#options.idleTimeoutMs);
    this.#idleTimer.unref();
  }

  noteBusy(): void {
    clearTimeout(this.#idleTimer);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#idleTimer);
    await this.#terminateAll();
  }

  /** Where the model runs; undefined until a worker has loaded it. */
  get device(): DeviceReport | undefined {
    return this.#device;
  }

  /** A GPU gains nothing from a second copy of the weights. */
  get maxWorkers(): number {
    return this.#device?.name === 'cuda' ? 1 : this.#options.maxWorkers;
  }

  get workerCount(): number {
    return this.#ready.size + this.#starting.size;
  }

  #circuitError(): AiProviderError {
    return new AiProviderError(
      `The local model is not tried for ${circuitOpenMs / 1000} seconds: its worker thread crashed ${crashesToOpenCircuit} times in a row.`,
      { code: 'circuit_open', isRetryable: true },
    );
  }

  #tokenizerThread(): WorkerHandle {
    if (this.#tokenizer !== undefined) return this.#tokenizer;
    const worker = new WorkerHandle(() => {
      this.#forgetTokenizer();
      this.#noteCrash();
    });
    this.#tokenizer = worker;
    return worker;
  }

  async #loadTokenizer(): Promise<WorkerHandle> {
    try {
      const manifest = await this.manifest();
      const worker = this.#tokenizerThread();
      await worker.request({ type: 'load_tokenizer', manifest });
      return worker;
    } catch (error) {
      this.#loadedTokenizer = undefined;
      throw error;
    }
  }

  #forgetTokenizer(): WorkerHandle | undefined {
    const worker = this.#tokenizer;
    this.#tokenizer = undefined;
    this.#loadedTokenizer = undefined;
    return worker;
  }

  #grow(): void {
    if (this.#isClosed || this.#starting.size > 0 || this.workerCount >= this.maxWorkers) return;
    // Its thread first: everything waits for the files.
    const manifest = this.manifest();
    const worker: WorkerHandle = new WorkerHandle(() => {
      this.#ready.delete(worker);
      this.#starting.delete(worker);
      this.#noteCrash();
    });
    this.#starting.add(worker);
    manifest.then(
      (found) => this.#load(worker, found),
      (error) => this.#giveUp(worker, error),
    );
  }

  async #load(worker: WorkerHandle, manifest: ModelManifest): Promise<void> {
    try {
      this.#device = await worker.request({ type: 'load_model', manifest, session: this.#options.session });
      if (!this.#starting.delete(worker)) return;
      this.#ready.add(worker);
      this.#onChange();
    } catch (error) {
      this.#giveUp(worker, error);
    }
  }

  #giveUp(worker: WorkerHandle, error: unknown): void {
    this.#starting.delete(worker);
    void worker.terminate();
    if (this.workerCount === 0) this.#onStartFailure(error);
  }

  #noteCrash(): void {
    if (++this.#crashesInARow >= crashesToOpenCircuit) {
      this.#crashesInARow = 0;
      this.#circuitOpenUntil = performance.now() + circuitOpenMs;
      this.#onStartFailure(this.#circuitError());
    }
    this.#onChange();
  }

  async #terminateAll(): Promise<void> {
    const tokenizer = this.#forgetTokenizer();
    const workers = [...this.#ready, ...this.#starting, ...(tokenizer === undefined ? [] : [tokenizer])];
    this.#ready.clear();
    this.#starting.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
