import { setImmediate } from 'node:timers/promises';
import type { DeclaredEmbeddingSpace } from '../../../core/embedding-space.js';
import type {
  EmbeddingOptions,
  EmbeddingResult,
  PartialEmbeddingResult,
} from '../../../core/ports/embedding-provider.js';
import {
  type AiProviderError,
  type AiProviderErrorCode,
  type EmbeddingFailure,
  PartialEmbeddingError,
  type ProviderError,
} from '../../../errors.js';
import { TimeSlice } from '../../../internal/time-slice.js';
import { type GatewayClient, gatewayClient } from '../calls/client.js';
import type { GatewayConnection } from '../calls/connection.js';
import type { Attempt, GatewayCall } from '../calls/gateway-call.js';
import { requestFetch } from '../calls/request-fetch.js';
import { isAboutEncoding } from '../calls/server-failure.js';
import {
  type AnswerOrigin,
  failureInBody,
  parsedFrom,
  requestIdOf,
  unusableResponse,
} from '../calls/to-provider-error.js';
import { type Batch, planBatches } from './batches.js';
import { EmbeddingBodyReader } from './body.js';
import { type BatchOutcome, embedTexts } from './embed-texts.js';
import { encodingFor, rememberEncoding } from './encoding.js';
import { readEmbeddingResponse } from './response.js';

/** `POST /embeddings`. */
export class GatewayEmbeddings {
  readonly #connection: GatewayConnection;
  readonly #client: () => Promise<GatewayClient>;
  /** The length of each model's vectors, from the first response on. */
  readonly #dimensionByModel = new Map<string, number>();

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
    this.#client = gatewayClient(connection.options, requestFetch);
  }

  declaredSpace(model = this.#connection.options.embeddingModel): DeclaredEmbeddingSpace {
    const { embeddingModel, embeddingSpace } = this.#connection.options;
    return {
      model: model === embeddingModel ? (embeddingSpace ?? model) : model,
      revision: null,
      dimension: this.#requestedDimension(model) ?? this.#dimensionByModel.get(model) ?? null,
      pooling: null,
      prompts: null,
      normalized: null,
      dtype: null,
    };
  }

  async generate(texts: readonly string[], options: EmbeddingOptions): Promise<EmbeddingResult> {
    const { concurrency, embeddingModel } = this.#connection.options;
    const model = options.model ?? embeddingModel;
    if (texts.length === 0) return this.#toResult(model, [], { inputCount: 0, inputTokens: 0 });
    // A deployment may have any name; its space says which model it is.
    const { model: canonicalModel } = this.declaredSpace(model);
    const { truncate = false, signal } = options;
    const plan = await planBatches(texts, canonicalModel, this.#connection.options, truncate, signal);
    const rounds = Math.ceil(plan.batches.length / concurrency);
    const { dimensions } = this.#connection.options;
    const request = {
      operation: 'embeddings' as const,
      model,
      signal,
      rounds,
      ...(dimensions === undefined ? {} : { request: { 'gen_ai.embeddings.dimension.count': dimensions } }),
    };
    return this.#connection.run(request, async (call) => {
      call.outcome = { inputTokens: 0 };
      const { embeddings, failures } = await embedTexts(plan, texts.length, {
        concurrency,
        isWorthSplitting: (error) => error.code === 'input_refused',
        embedBatch: (batch, onAnswered) => this.#embedBatch(call, model, batch, onAnswered),
        onBatch: options.onBatch,
      });
      return failures.length > 0
        ? this.#resultOfFailure(call, model, embeddings, failures)
        : this.#toResult(model, embeddings as Float32Array[], {
            inputCount: texts.length,
            inputTokens: call.outcome.inputTokens ?? null,
          });
    });
  }

  async #embedBatch(
    call: GatewayCall,
    model: string,
    { inputs, tokenCount }: Batch,
    onAnswered: () => void,
  ): Promise<BatchOutcome> {
    const startedAt = performance.now();
    // Loaded before the clock of the first request starts.
    const client = await this.#client();
    const { response, requestId, attempt } = await call.request(
      (attempt) => this.#send(client, model, inputs, attempt, onAnswered),
      tokenCount,
    );
    const { vectors, inputTokens } = response;
    call.outcome = { inputTokens: sumOf(call.outcome.inputTokens, inputTokens) };
    if (attempt.ticket && inputTokens !== null) attempt.ticket.tokenCount = inputTokens;
    await this.#connection.recordUsage({
      operation: 'embedding',
      model,
      inputCount: inputs.length,
      inputTokens,
      outputTokens: 0,
      metadata: {
        requestId: requestId ?? null,
        attempt: attempt.number,
        durationMs: Math.round(performance.now() - startedAt),
      },
    });
    const origin = { requestId, attempts: attempt.number };
    if (typeof vectors === 'string') throw unusableResponse(vectors, this.#connection.endpoint, origin);
    return this.#checkDimensions(model, vectors, origin);
  }

  async #send(
    client: GatewayClient,
    model: string,
    inputs: readonly string[],
    attempt: Attempt,
    onAnswered: () => void,
  ) {
    const { baseUrl, encodingFormat } = this.#connection.options;
    const dimensions = this.#requestedDimension(model);
    const post = async (encoding: 'base64' | 'float') => {
      const answer = await client.embeddings
        .create(
          { model, input: [...inputs], encoding_format: encoding, ...(dimensions === null ? {} : { dimensions }) },
          { signal: attempt.signal },
        )
        .asResponse();
      const chunks: Uint8Array[] = [];
      for await (const chunk of answer.body ?? []) chunks.push(chunk);
      onAnswered();
      // The next request goes out first.
      await setImmediate();
      const body = new EmbeddingBodyReader();
      const slice = new TimeSlice();
      for (const chunk of chunks) {
        if (slice.isOver()) await slice.next();
        body.write(chunk);
      }
      const parsed = parsedFrom(answer.headers, () => body.end());
      const failure = failureInBody(parsed.value, answer.headers);
      if (failure !== undefined) throw failure;
      const response = readEmbeddingResponse(parsed, inputs.length);
      // Floats in answer to a wish for floats say nothing about the server.
      if (encoding === 'base64') rememberEncoding(baseUrl, response.encoding);
      return { response, requestId: requestIdOf(answer.headers, this.#connection.endpoint), attempt };
    };
    const encoding = encodingFor(baseUrl, encodingFormat);
    try {
      return await post(encoding);
    } catch (error) {
      if (encoding !== 'base64' || encodingFormat !== 'auto' || !isAboutEncoding(error)) throw error;
      const answered = await post('float');
      rememberEncoding(baseUrl, 'float');
      return answered;
    }
  }

  #checkDimensions(model: string, vectors: readonly (Float32Array | string)[], origin: AnswerOrigin): BatchOutcome {
    const { endpoint } = this.#connection;
    const lengths = new Set(vectors.flatMap((vector) => (typeof vector === 'string' ? [] : vector.length)));
    const known = this.#requestedDimension(model) ?? this.#dimensionByModel.get(model);
    // Nothing says which of them is right.
    if (known === undefined && lengths.size > 1) {
      throw unusableResponse('vectors of different dimensions', endpoint, origin);
    }
    const expected = known ?? [...lengths][0];
    const outcome = vectors.map((vector) => {
      if (typeof vector === 'string') return unusableResponse(`an embedding that is ${vector}`, endpoint, origin);
      if (vector.length === expected) return vector;
      const what = `a vector of ${vector.length} dimensions where ${expected} were expected`;
      return unusableResponse(what, endpoint, origin);
    });
    if (expected !== undefined) this.#dimensionByModel.set(model, expected);
    return outcome;
  }

  #requestedDimension(model: string): number | null {
    const { dimensions, embeddingModel } = this.#connection.options;
    return model === embeddingModel ? (dimensions ?? null) : null;
  }

  #toResult(model: string, embeddings: Float32Array[], usage: EmbeddingResult['usage']): EmbeddingResult {
    const declared = this.declaredSpace(model);
    return { embeddings, embeddingSpace: { ...declared, dimension: declared.dimension ?? 0 }, model, usage };
  }

  #resultOfFailure(
    call: GatewayCall,
    model: string,
    embeddings: readonly (Float32Array | undefined)[],
    failures: readonly EmbeddingFailure[],
  ): EmbeddingResult {
    const { options, endpoint } = this.#connection;
    const { dimension, ...space } = this.declaredSpace(model);
    const inputCount = embeddings.length - failures.length;
    const usage = { inputCount, inputTokens: call.outcome.inputTokens ?? null };
    const cause = mostTelling(failures);
    if (inputCount === 0) throw cause;
    // An outage is no property of an input: zeros in place of vectors that can still be had would lose them.
    const isForGood = failures.every(({ error }) => inputFailureCodes.has(error.code));
    if (options.failedInputs === 'zero_vectors' && isForGood && dimension !== null) {
      const filled = embeddings.map((embedding) => embedding ?? new Float32Array(dimension));
      return this.#toResult(model, filled, usage);
    }
    const partialResult: PartialEmbeddingResult = {
      embeddings,
      embeddingSpace: dimension === null ? null : { ...space, dimension },
      model,
      usage,
    };
    throw new PartialEmbeddingError(
      `${endpoint.id} gave no vector for ${failures.length} of ${embeddings.length} inputs, the first at position ${failures[0]?.position}: ${cause.message}`,
      {
        provider: endpoint.id,
        isRetryable: failures.some(({ error }) => error.isRetryable),
        cause,
        status: (cause as ProviderError).status,
        requestId: (cause as ProviderError).requestId,
        attempts: call.requestCount,
        failures,
        partialResult,
      },
    );
  }
}

/** What a single input can be to blame for. */
const inputFailureCodes: ReadonlySet<AiProviderErrorCode> = new Set(['input_refused', 'invalid_response']);

/** Unknown as soon as one of them is. */
function sumOf(tokens: number | null | undefined, more: number | null): number | null {
  return typeof tokens === 'number' && more !== null ? tokens + more : null;
}

/** A failure that may pass says more about the call than one input that was refused. */
function mostTelling(failures: readonly EmbeddingFailure[]): AiProviderError {
  const failure = failures.find(({ error }) => error.isRetryable) ?? (failures[0] as EmbeddingFailure);
  return failure.error;
}
