import { existsSync } from 'node:fs';
import { AiProviderError, isAiProviderError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { DownloadProgress } from '../model/hub/hub-settings.js';
import type { ModelManifest } from '../model/model-manifest.js';
import type { ModelSource } from '../model/resolve-model.js';
import { CrashCircuit } from './crash-circuit.js';
import { usableCores } from './usable-cores.js';
import { WorkerHandle } from './worker-handle.js';
import type { DeviceReport, SessionSettings, TokenizedTexts } from './worker-protocol.js';

export interface WorkerPoolOptions {
  readonly source: ModelSource;
  readonly session: SessionSettings;
  /** Undefined for as many as there are usable cores, at most 4. */
  readonly maxWorkers: number | undefined;
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
  #lookup = this.#newLookup();
  #device: DeviceReport | undefined;
  #mostByDefault: number | undefined;
  /** How many could be started, once one could not: no other is tried until all have ended. */
  #mostWorkers = Number.POSITIVE_INFINITY;

  /** Finds the model's files, once. */
  manifest(): Promise<ModelManifest> {
    return this.#lookup.find();
  }

  /**
   * The manifest as far as it can be had without the network and without a crash.
   *
   * @throws `model_unavailable` where the Hub would have to be asked, `circuit_open`.
   */
  async localManifest(): Promise<ModelManifest> {
    this.checkCircuit();
    const { found } = this.#lookup;
    if (found !== undefined && existsSync(found.modelFile)) return found;
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

  /** Starts the first worker, while the model's files are still looked for. Does not throw: `onStartFailure` is called. */
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
    if (this.#device?.name === 'cuda') return 1;
    this.#mostByDefault ??= Math.min(4, usableCores());
    return this.#options.maxWorkers ?? this.#mostByDefault;
  }

  get workerCount(): number {
    return this.#ready.size + this.#starting.size;
  }

  /** A lookup of the model's files, which remembers what it found. */
  #newLookup(): FileLookup {
    const lookup: FileLookup = {
      found: undefined,
      find: memoizeAsync(async () => {
        this.checkCircuit();
        const { source, onDownloadProgress } = this.#options;
        lookup.found = await this.#tokenizerThread().request({ type: 'resolve', source }, [], onDownloadProgress);
        return lookup.found;
      }),
    };
    return lookup;
  }

  /** Loads a part of the model in a thread. When that fails, the files are looked for once more: they may have been removed. */
  async #load<Loaded>(load: (manifest: ModelManifest) => Promise<Loaded>): Promise<Loaded> {
    const lookup = this.#lookup;
    const manifest = await lookup.find();
    try {
      return await load(manifest);
    } catch (error) {
      // While another thread runs the model, it stays what it is.
      if (!isUnavailable(error) || this.#isClosed || this.#ready.size > 0) throw error;
      // Of two threads that fail with the same files, the first looks again for both.
      if (this.#lookup === lookup) this.#forgetFiles();
      const again = await this.manifest();
      if (again.revision === manifest.revision) return load(again);
      throw new AiProviderError(
        `The files of the model ${manifest.model} were replaced by others while it was in use.`,
        { code: 'model_unavailable', isRetryable: true, cause: error },
      );
    }
  }

  #forgetFiles(): void {
    this.#lookup = this.#newLookup();
    this.#loadedTokenizer = undefined;
  }

  /** @throws when no thread can be started, and none is there that could do this as well. */
  #tokenizerThread(): WorkerHandle {
    if (this.#tokenizer !== undefined) return this.#tokenizer;
    try {
      this.#tokenizer = this.#startWorker();
    } catch (error) {
      const [worker] = this.#ready;
      if (worker === undefined) throw error;
      this.#tokenizer = worker;
    }
    return this.#tokenizer;
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

  #startWorker(): WorkerHandle {
    const worker: WorkerHandle = new WorkerHandle((error) => {
      const isSpare = this.#starting.has(worker) && this.#ready.size > 0;
      this.#forget(worker);
      // The others go on without it; starting it again and again would only open the circuit.
      if (isSpare) this.#mostWorkers = this.workerCount;
      else this.#noteCrash(error);
    });
    return worker;
  }

  #forget(worker: WorkerHandle): void {
    this.#ready.delete(worker);
    this.#starting.delete(worker);
    if (this.workerCount === 0) this.#mostWorkers = Number.POSITIVE_INFINITY;
    if (worker !== this.#tokenizer) return;
    this.#tokenizer = undefined;
    this.#loadedTokenizer = undefined;
  }

  /** Starts another worker to run the model, if one may be started. Fewer than wanted are as good: they do all the work. */
  #grow(): void {
    const { size: startingCount } = this.#starting;
    if (this.#isClosed || startingCount > 0 || this.workerCount >= Math.min(this.maxWorkers, this.#mostWorkers)) return;
    try {
      // Its thread first: everything waits for the files.
      const tokenizer = this.#tokenizerThread();
      const worker = this.#startModelThread() ?? (this.workerCount === 0 ? tokenizer : undefined);
      if (worker === undefined) return;
      this.#starting.add(worker);
      void this.#loadModel(worker);
    } catch (error) {
      if (this.workerCount === 0) this.#onStartFailure(error);
    }
  }

  /** @returns undefined when it cannot be started. */
  #startModelThread(): WorkerHandle | undefined {
    try {
      return this.#startWorker();
    } catch {
      this.#mostWorkers = Math.max(this.workerCount, 1);
      return undefined;
    }
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
    this.#forget(worker);
    void worker.terminate();
    if (this.workerCount === 0) this.#onStartFailure(error);
  }

  #noteCrash(error: AiProviderError): void {
    const circuitOpen = this.#circuit.noteCrash(error);
    if (circuitOpen !== undefined) this.#onStartFailure(circuitOpen);
    this.#onChange();
  }

  async #terminateAll(): Promise<void> {
    const workers = new Set([...this.#ready, ...this.#starting]);
    if (this.#tokenizer !== undefined) workers.add(this.#tokenizer);
    for (const worker of workers) this.#forget(worker);
    await Promise.all([...workers].map((worker) => worker.terminate()));
  }
}

/** One search for a model's files. */
interface FileLookup {
  /** Undefined until they were found. */
  found: ModelManifest | undefined;
  find(): Promise<ModelManifest>;
}

function isUnavailable(error: unknown): boolean {
  return isAiProviderError(error) && error.code === 'model_unavailable';
}
