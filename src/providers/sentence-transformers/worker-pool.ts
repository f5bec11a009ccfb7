import { AiProviderError } from '../../errors.js';
import { memoizeAsync } from '../../internal/memoize-async.js';
import type { DownloadProgress } from './hub/hub-settings.js';
import type { ModelManifest } from './model-manifest.js';
import type { ModelSource } from './model-source.js';
import { WorkerHandle } from './worker-handle.js';
import type { DeviceReport, SessionSettings } from './worker-protocol.js';

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

/** The worker threads of one model: started when they are needed, replaced when they crash, ended when they idle. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #onChange: () => void;
  readonly #onStartFailure: (error: unknown) => void;
  readonly #ready = new Set<WorkerHandle>();
  readonly #starting = new Set<WorkerHandle>();
  #crashesInARow = 0;
  #circuitOpenUntil = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isResolved = false;
  #device: DeviceReport | undefined;

  /** Finds the model's files, in a worker, once. */
  readonly manifest = memoizeAsync(async (): Promise<ModelManifest> => {
    this.checkCircuit();
    const worker = this.#spawn();
    try {
      const manifest = await worker.request(
        { type: 'resolve', source: this.#options.source },
        [],
        this.#options.onDownloadProgress,
      );
      this.#isResolved = true;
      void this.#load(worker, manifest);
      return manifest;
    } catch (error) {
      this.#starting.delete(worker);
      await worker.terminate();
      throw error;
    }
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

  /** The least busy worker that has fewer than `maxPending` requests; where there is none, another one may be started. */
  takeWorker(maxPending: number): WorkerHandle | undefined {
    let best: WorkerHandle | undefined;
    for (const worker of this.#ready) {
      if (worker.pendingCount < maxPending && (best === undefined || worker.pendingCount < best.pendingCount))
        best = worker;
    }
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

  #spawn(): WorkerHandle {
    const worker: WorkerHandle = new WorkerHandle(() => this.#noteCrash(worker));
    this.#starting.add(worker);
    return worker;
  }

  #grow(): void {
    if (this.#isClosed || this.#starting.size > 0 || this.workerCount >= this.maxWorkers) return;
    const worker = this.#spawn();
    this.manifest().then(
      (manifest) => this.#load(worker, manifest),
      (error) => this.#giveUp(worker, error),
    );
  }

  async #load(worker: WorkerHandle, manifest: ModelManifest): Promise<void> {
    try {
      this.#device = await worker.request({ type: 'load', manifest, session: this.#options.session });
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

  #noteCrash(worker: WorkerHandle): void {
    this.#ready.delete(worker);
    this.#starting.delete(worker);
    if (++this.#crashesInARow >= crashesToOpenCircuit) {
      this.#crashesInARow = 0;
      this.#circuitOpenUntil = performance.now() + circuitOpenMs;
      this.#onStartFailure(this.#circuitError());
    }
    this.#onChange();
  }

  async #terminateAll(): Promise<void> {
    const workers = [...this.#ready, ...this.#starting];
    this.#ready.clear();
    this.#starting.clear();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
