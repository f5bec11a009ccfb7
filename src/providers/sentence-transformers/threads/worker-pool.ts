import { existsSync } from 'node:fs';
import { AiProviderError, isAiProviderError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { DownloadProgress } from '../model/hub/hub-settings.js';
import type { ModelManifest } from '../model/model-manifest.js';
import type { ModelSource } from '../model/resolve-model.js';
import { CrashCircuit } from './crash-circuit.js';
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
  readonly #circuit = new CrashCircuit();
  #idleTimer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #findFiles = this.#makeFinder();
  /** What `#findFiles` found. */
  #found: ModelManifest | undefined;
  #device: DeviceReport | undefined;

  /** Finds the model's files, once. */
  manifest(): Promise<ModelManifest> {
    return this.#findFiles();
  }

  /**
   * The manifest as far as it can be had without the network and without a crash.
   *
   * @throws `model_unavailable` where the Hub would have to be asked, `circuit_open`.
   */
  async localManifest(): Promise<ModelManifest> {
    this.checkCircuit();
    if (this.#found !== undefined && existsSync(this.#found.modelFile)) return this.#found;
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
    this.#circuit.check();
  }

  /** A run succeeded. */
  noteSuccess(): void {
    this.#circuit.noteSuccess();
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

  #makeFinder(): () => Promise<ModelManifest> {
    return memoizeAsync(async () => {
      this.checkCircuit();
      const { source, onDownloadProgress } = this.#options;
      this.#found = await this.#tokenizerThread().request({ type: 'resolve', source }, [], onDownloadProgress);
      return this.#found;
    });
  }

  /** Has a thread load its part of the model. Where that fails, the files are looked for once more: they may have been removed. */
  async #load<Loaded>(load: (manifest: ModelManifest) => Promise<Loaded>): Promise<Loaded> {
    const findFiles = this.#findFiles;
    const manifest = await findFiles();
    try {
      return await load(manifest);
    } catch (error) {
      // While another thread runs the model, it stays what it is.
      if (!isUnavailable(error) || this.#isClosed || this.#ready.size > 0) throw error;
      if (this.#findFiles === findFiles) this.#forgetFiles();
      const again = await this.manifest();
      if (again.revision === manifest.revision) return load(again);
      throw new AiProviderError(
        `The files of the model ${manifest.model} were replaced by others while it was in use.`,
        {
          code: 'model_unavailable',
          isRetryable: true,
          cause: error,
        },
      );
    }
  }

  #forgetFiles(): void {
    this.#findFiles = this.#makeFinder();
    this.#found = undefined;
    this.#loadedTokenizer = undefined;
  }

  #tokenizerThread(): WorkerHandle {
    if (this.#tokenizer !== undefined) return this.#tokenizer;
    const worker = new WorkerHandle((error) => {
      this.#forgetTokenizer();
      this.#noteCrash(error);
    });
    this.#tokenizer = worker;
    return worker;
  }

  async #loadTokenizer(): Promise<WorkerHandle> {
    try {
      return await this.#load(async (manifest) => {
        const worker = this.#tokenizerThread();
        await worker.request({ type: 'load_tokenizer', manifest });
        return worker;
      });
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
    this.#tokenizerThread();
    const worker: WorkerHandle = new WorkerHandle((error) => {
      this.#ready.delete(worker);
      this.#starting.delete(worker);
      this.#noteCrash(error);
    });
    this.#starting.add(worker);
    void this.#loadModel(worker);
  }

  async #loadModel(worker: WorkerHandle): Promise<void> {
    const { session } = this.#options;
    try {
      this.#device = await this.#load((manifest) => worker.request({ type: 'load_model', manifest, session }));
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

  #noteCrash(error: AiProviderError): void {
    const circuitOpen = this.#circuit.noteCrash(error);
    if (circuitOpen !== undefined) this.#onStartFailure(circuitOpen);
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

function isUnavailable(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'model_unavailable';
}
