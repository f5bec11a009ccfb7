import { AiProviderError } from '../../../errors.js';
import type { ModelManifest } from '../model/model-manifest.js';
import type { WorkerHandle } from '../threads/worker-handle.js';
import { WorkerPool, type WorkerPoolOptions } from '../threads/worker-pool.js';
import type { DeviceReport, TokenizedTexts } from '../threads/worker-protocol.js';
import { BatchQueue } from './batch-queue.js';
import {
  concatenate,
  createJob,
  deliver,
  type EmbeddedTexts,
  type EmbedOptions,
  type Job,
  type TokenizedText,
  takeSlice,
} from './embedding-job.js';
import { RunBudget } from './run-budget.js';

export interface EngineOptions extends WorkerPoolOptions {
  /** The most tokens of a run, padding counted; undefined to find the best on this machine. */
  readonly maxTokensPerRun: number | undefined;
}

interface Run {
  readonly worker: WorkerHandle;
  readonly requestId: number;
  readonly texts: readonly TokenizedText[];
}

/** One run is under way in a worker, the next one lies ready there, so that it never waits for this thread. */
const maxRequestsPerWorker = 2;
/** An urgent run goes to a worker that has enough to do already, and overtakes what lies ready there. */
const maxRequestsWithUrgent = 3;
/** After an urgent call, runs are kept short for so long: the next one may follow, and would wait for the one under way. */
const shortRunsForMs = 1000;
/** So many tokens are read ahead of the runs: the more to choose from, the more texts of one length and the less padding. */
const tokensAhead = 32_768;
/** What a text that is being tokenised is taken for. */
const tokensOfUnknownText = 32;
const maxTokenizingRequests = 2;

/** Embeds the texts of all callers of one model: continuous batching by token count over a pool of worker threads. */
export class EmbeddingEngine {
  readonly #pool: WorkerPool;
  readonly #jobs = new Set<Job>();
  /** Jobs with texts that no tokenizer has seen; urgent ones stand in front. */
  #unread: Job[] = [];
  readonly #urgent = new BatchQueue<TokenizedText>();
  readonly #bulk = new BatchQueue<TokenizedText>();
  readonly #runs = new Set<Run>();
  readonly #budget: RunBudget;
  #textsBeingTokenized = 0;
  #tokenizingRequests = 0;
  #latestUrgentAt = Number.NEGATIVE_INFINITY;
  #isSweepDue = false;
  #maxTokens = Number.POSITIVE_INFINITY;

  constructor(options: EngineOptions) {
    this.#budget = new RunBudget(options.maxTokensPerRun);
    this.#pool = new WorkerPool(
      options,
      () => this.#onPoolChange(),
      (error) => this.#failAll(error),
    );
  }

  /** Like `manifest`, but asks nothing of the network. */
  localManifest(): Promise<ModelManifest> {
    return this.#pool.localManifest();
  }

  async manifest(): Promise<ModelManifest> {
    this.#pool.noteBusy();
    try {
      const manifest = await this.#pool.manifest();
      this.#maxTokens = manifest.maxTokens;
      return manifest;
    } finally {
      if (this.#jobs.size === 0) this.#pool.noteIdle();
    }
  }

  /** Where the model runs; undefined until it was loaded. */
  get device(): DeviceReport | undefined {
    return this.#pool.device;
  }

  /** @throws the signal's reason, or an `AiProviderError`. */
  async embed(texts: readonly string[], options: EmbedOptions): Promise<EmbeddedTexts> {
    options.signal.throwIfAborted();
    this.#pool.checkCircuit();
    const job = createJob(texts, options, (hasFailed) => this.#onSettled(job, hasFailed));
    this.#jobs.add(job);
    this.#pool.start();
    if (options.isUrgent) this.#latestUrgentAt = performance.now();
    this.manifest().then(
      () => {
        if (job.isSettled) return;
        if (options.isUrgent) this.#unread.unshift(job);
        else this.#unread.push(job);
        this.#dispatch();
      },
      (error) => job.settle(error),
    );
    return job.result;
  }

  async close(): Promise<void> {
    this.#failAll(new AiProviderError('The local model was closed.', { code: 'aborted_by_close' }));
    await this.#pool.close();
  }

  #onSettled(job: Job, hasFailed: boolean): void {
    this.#jobs.delete(job);
    if (hasFailed) this.#sweepSoon();
    if (this.#jobs.size === 0) this.#pool.noteIdle();
  }

  /** Once for all jobs that fail at the same time: thousands of calls may share one signal. */
  #sweepSoon(): void {
    if (this.#isSweepDue) return;
    this.#isSweepDue = true;
    queueMicrotask(() => this.#sweep());
  }

  /** Where it is due, takes the texts of failed jobs out of the queues, and runs that nobody waits for any more out of the workers. */
  #sweep(): void {
    if (!this.#isSweepDue) return;
    this.#isSweepDue = false;
    this.#unread = this.#unread.filter((job) => !job.isSettled);
    for (const queue of [this.#urgent, this.#bulk]) queue.remove((text) => text.job.isSettled);
    for (const run of this.#runs) {
      if (run.texts.every((text) => text.job.isSettled)) run.worker.cancel(run.requestId);
    }
  }

  #failAll(error: unknown): void {
    for (const job of [...this.#jobs]) job.settle(error);
  }

  #onPoolChange(): void {
    if (this.#pool.device !== undefined) this.#budget.useDevice(this.#pool.device.name);
    this.#dispatch();
  }

  /** Gives free threads something to do. */
  #dispatch(): void {
    this.#sweep();
    while (this.#shouldTokenize()) void this.#tokenize();
    while (this.#urgent.size + this.#bulk.size > 0) {
      const isUrgent = this.#urgent.size > 0;
      const worker = this.#pool.takeWorker(isUrgent ? maxRequestsWithUrgent : maxRequestsPerWorker);
      if (worker === undefined) return;
      void this.#run(worker, isUrgent);
    }
  }

  #shouldTokenize(): boolean {
    const job = this.#unread[0];
    if (job === undefined) return false;
    if (job.options.isUrgent) return true;
    const tokensToCome = this.#textsBeingTokenized * tokensOfUnknownText;
    return this.#tokenizingRequests < maxTokenizingRequests && this.#bulk.tokenCount + tokensToCome < tokensAhead;
  }

  async #tokenize(): Promise<void> {
    const job = this.#unread.shift()!;
    const slice = takeSlice(job, this.#maxTokens);
    this.#requeue(job);
    this.#textsBeingTokenized += slice.texts.length;
    this.#tokenizingRequests++;
    try {
      const { prompt, isUrgent } = job.options;
      this.#enqueue(job, slice.start, await this.#pool.tokenize(slice.texts, prompt, isUrgent));
    } catch (error) {
      job.settle(error);
    }
    this.#textsBeingTokenized -= slice.texts.length;
    this.#tokenizingRequests--;
    this.#dispatch();
  }

  /** Urgent jobs go on at once; the others take turns. */
  #requeue(job: Job): void {
    if (job.nextText === job.texts.length) return;
    if (job.options.isUrgent) this.#unread.unshift(job);
    else this.#unread.push(job);
  }

  #enqueue(job: Job, start: number, { tokenIds, lengths, skipped }: TokenizedTexts): void {
    const { isUrgent, maxTextsPerRun } = job.options;
    const queue = isUrgent ? this.#urgent : this.#bulk;
    let offset = 0;
    lengths.forEach((length, index) => {
      const ids = tokenIds.subarray(offset, offset + length);
      offset += length;
      job.tokenCount += length;
      if (job.isSettled) return;
      queue.add({ tokenIds: ids, skipped: skipped[index]!, maxTextsPerRun, job, position: start + index });
    });
  }

  async #run(worker: WorkerHandle, isUrgent: boolean): Promise<void> {
    const isSomebodyWaiting = performance.now() - this.#latestUrgentAt < shortRunsForMs;
    const budget = isSomebodyWaiting ? this.#budget.leastTokens : this.#budget.maxTokens;
    const texts = (isUrgent ? this.#urgent : this.#bulk).takeBatch(budget);
    const batch = concatenate(texts);
    const tokenCount = batch.tokenIds.length;
    const answer = worker.request({ type: 'run', texts: batch, isUrgent }, [
      batch.tokenIds.buffer,
      batch.lengths.buffer,
      batch.skipped.buffer,
    ]);
    const run = { worker, requestId: answer.requestId, texts };
    this.#runs.add(run);
    try {
      const { vectors, milliseconds } = await answer;
      this.#pool.noteSuccess();
      if (tokenCount > budget / 2) this.#budget.note(budget, tokenCount, milliseconds);
      const dimension = vectors.length / texts.length;
      texts.forEach((text, index) => {
        deliver(text, vectors.subarray(index * dimension, (index + 1) * dimension));
      });
    } catch (error) {
      for (const text of texts) text.job.settle(error);
    }
    this.#runs.delete(run);
    this.#dispatch();
  }
}
