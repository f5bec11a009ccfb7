import type { DeclaredEmbeddingSpace } from '../../core/embedding-space.js';
import type { EmbeddingOptions, EmbeddingResult, ProviderHealth } from '../../core/ports/embedding-provider.js';
import type { AiProvider } from '../../core/ports/provider-kind.js';
import type { TextChunk, TextOptions, TextPrompt, TextResult } from '../../core/ports/text-provider.js';
import type { UsageRecorder } from '../../core/ports/usage-recorder.js';
import { AiProviderError, PartialEmbeddingError, ProviderError } from '../../errors.js';
import { requirePrompt, requireTexts } from '../../internal/validate.js';
import { toProviderError } from './foreign-errors.js';
import { type ForeignContent, foreignTextCall, readAnswer, readFinish } from './foreign-text.js';

/** An embedding model of the AI SDK, of the specification 3 or 4. */
export interface ForeignEmbeddingModel {
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined;
  doEmbed(call: { values: string[]; abortSignal?: AbortSignal }): PromiseLike<{
    embeddings: number[][];
    usage?: { tokens: number } | undefined;
  }>;
}

/** A language model of the AI SDK, of the specification 3 or 4. */
export interface ForeignLanguageModel {
  readonly modelId: string;
  doGenerate(call: never): PromiseLike<{ content: ForeignContent[]; finishReason: unknown; usage: unknown }>;
  doStream(call: never): PromiseLike<{ stream: ReadableStream<ForeignContent> }>;
}

/** What the models of the AI SDK lack to be a provider here: batches, an embedding space, typed errors, usage rows. */
export class ModelProvider implements AiProvider {
  readonly id: string;
  readonly #embedding: ForeignEmbeddingModel | undefined;
  readonly #language: ForeignLanguageModel | undefined;
  readonly #usageRecorder: UsageRecorder;
  readonly #closed = new AbortController();
  #dimension: number | null = null;

  constructor(
    id: string,
    models: {
      readonly embedding?: ForeignEmbeddingModel | undefined;
      readonly language?: ForeignLanguageModel | undefined;
    },
    usageRecorder: UsageRecorder,
  ) {
    this.id = id;
    this.#embedding = models.embedding;
    this.#language = models.language;
    this.#usageRecorder = usageRecorder;
  }

  async embeddingSpace(options: Pick<EmbeddingOptions, 'model'> = {}): Promise<DeclaredEmbeddingSpace> {
    const model = this.#requireEmbedding(options.model).modelId;
    return spaceOf(model, this.#dimension);
  }

  async generateEmbeddings(texts: readonly string[], options: EmbeddingOptions = {}): Promise<EmbeddingResult> {
    requireTexts(texts);
    const model = this.#requireEmbedding(options.model);
    const embeddings: Float32Array[] = [];
    let inputTokens: number | null = 0;
    const batchLength = (await model.maxEmbeddingsPerCall) ?? texts.length;
    for (let start = 0; start < texts.length; start += batchLength) {
      try {
        const batch = texts.slice(start, start + batchLength);
        const answer = await this.#embed(model, batch, options.signal);
        embeddings.push(...answer.vectors);
        inputTokens = inputTokens === null || answer.tokens === null ? null : inputTokens + answer.tokens;
        const positions = batch.map((_, index) => start + index);
        const doneCount = start + batch.length;
        await options.onBatch?.({ positions, embeddings: answer.vectors, doneCount, totalCount: texts.length });
      } catch (error) {
        if (embeddings.length === 0 || !(error instanceof AiProviderError)) throw error;
        throw this.#toPartialError(error, texts.length, embeddings, model.modelId, inputTokens);
      }
    }
    return {
      embeddings,
      embeddingSpace: { ...spaceOf(model.modelId, null), dimension: this.#dimension ?? 0 },
      model: model.modelId,
      usage: { inputCount: texts.length, inputTokens },
    };
  }

  async generateText(prompt: TextPrompt, options: TextOptions = {}): Promise<TextResult> {
    requirePrompt(prompt);
    const model = this.#requireLanguage(options.model);
    const call = foreignTextCall(prompt, options, this.#signal(options.signal));
    const answer = await this.#ask(options.signal, () => model.doGenerate(call as never));
    const finish = readFinish(answer);
    await this.#recordText(model, finish.usage);
    return readAnswer(this.id, model.modelId, answer.content, finish, options);
  }

  async *streamText(prompt: TextPrompt, options: TextOptions = {}): AsyncGenerator<TextChunk, void, undefined> {
    requirePrompt(prompt);
    const model = this.#requireLanguage(options.model);
    const call = foreignTextCall(prompt, options, this.#signal(options.signal));
    const { stream } = await this.#ask(options.signal, () => model.doStream(call as never));
    const content: ForeignContent[] = [];
    let finish: ReturnType<typeof readFinish> | undefined;
    const reader = stream.getReader();
    try {
      for (;;) {
        const { value: part, done } = await this.#ask(options.signal, () => reader.read());
        if (done) break;
        if (part.type === 'error') throw toProviderError(this.id, part.error);
        if (part.type === 'text-delta') {
          content.push({ type: 'text', text: part.delta ?? '' });
          yield { type: 'text', text: part.delta ?? '' };
        } else if (part.type === 'tool-call') content.push(part);
        else if (part.type === 'finish') finish = readFinish(part);
      }
    } finally {
      await reader.cancel().catch(() => {});
      await this.#recordText(model, finish?.usage ?? { inputTokens: null, outputTokens: null });
    }
    if (finish === undefined) {
      throw new ProviderError(`The provider ${this.id} ended its stream without a \`finish\`.`, {
        code: 'invalid_response',
        provider: this.id,
      });
    }
    yield { type: 'end', result: await readAnswer(this.id, model.modelId, content, finish, options) };
  }

  async health(): Promise<ProviderHealth> {
    return { status: 'unknown', detail: 'Models of the AI SDK have no call that is free of cost.' };
  }

  async close(): Promise<void> {
    this.#closed.abort(new AiProviderError(`The provider ${this.id} was closed.`, { code: 'aborted_by_close' }));
  }

  async #embed(model: ForeignEmbeddingModel, texts: readonly string[], signal: AbortSignal | undefined) {
    const abortSignal = this.#signal(signal);
    const { embeddings, usage } = await this.#ask(signal, () => model.doEmbed({ values: [...texts], abortSignal }));
    const tokens = usage !== undefined && Number.isFinite(usage.tokens) ? usage.tokens : null;
    await this.#usageRecorder.record({
      operation: 'embedding',
      model: model.modelId,
      inputCount: texts.length,
      inputTokens: tokens,
      outputTokens: 0,
    });
    const vectors = embeddings.map((vector) => Float32Array.from(vector));
    this.#dimension ??= vectors[0]?.length ?? null;
    if (vectors.length === texts.length && vectors.every((vector) => vector.length === this.#dimension)) {
      return { vectors, tokens };
    }
    throw new ProviderError(
      `The provider ${this.id} was to answer with ${texts.length} vectors of ${this.#dimension} dimensions, and did not.`,
      { code: 'invalid_response', provider: this.id },
    );
  }

  async #ask<Answer>(signal: AbortSignal | undefined, request: () => PromiseLike<Answer>): Promise<Answer> {
    signal?.throwIfAborted();
    this.#closed.signal.throwIfAborted();
    try {
      return await request();
    } catch (error) {
      signal?.throwIfAborted();
      this.#closed.signal.throwIfAborted();
      throw toProviderError(this.id, error);
    }
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closed.signal : AbortSignal.any([signal, this.#closed.signal]);
  }

  #recordText(
    model: ForeignLanguageModel,
    usage: Pick<TextResult['usage'], 'inputTokens' | 'outputTokens'>,
  ): Promise<void> {
    const event = { operation: 'text_generation' as const, model: model.modelId, inputCount: 1, ...usage };
    return this.#usageRecorder.record(event);
  }

  #requireEmbedding(model: string | undefined): ForeignEmbeddingModel {
    return this.#require(this.#embedding, model, 'embed texts');
  }

  #requireLanguage(model: string | undefined): ForeignLanguageModel {
    return this.#require(this.#language, model, 'generate text');
  }

  #require<Model extends { readonly modelId: string }>(
    own: Model | undefined,
    asked: string | undefined,
    what: string,
  ): Model {
    if (own !== undefined && (asked === undefined || asked === own.modelId)) return own;
    const reason =
      own === undefined ? `cannot ${what}` : `has the model ${own.modelId} only, and was asked for ${asked}`;
    throw new ProviderError(`The provider ${this.id} ${reason}.`, {
      code: 'unsupported_operation',
      provider: this.id,
    });
  }

  #toPartialError(
    error: AiProviderError,
    count: number,
    done: readonly Float32Array[],
    model: string,
    inputTokens: number | null,
  ) {
    const failed = Array.from({ length: count - done.length }, (_, index) => ({
      position: done.length + index,
      error,
    }));
    return new PartialEmbeddingError(`${failed.length} of ${count} texts got no vector. ${error.message}`, {
      provider: this.id,
      isRetryable: error.isRetryable,
      cause: error,
      failures: failed,
      partialResult: {
        embeddings: [...done, ...failed.map(() => undefined)],
        embeddingSpace: { ...spaceOf(model, null), dimension: this.#dimension ?? 0 },
        model,
        usage: { inputCount: done.length, inputTokens },
      },
    });
  }
}

function spaceOf<Dimension extends number | null>(model: string, dimension: Dimension) {
  return { model, revision: null, dimension, pooling: null, prompts: null, normalized: null, dtype: null };
}
