import { setImmediate } from 'node:timers/promises';
import type { EmbeddingOptions, EmbeddingResult, PartialEmbeddingResult } from '../../core/embedding-provider.js';
import type { DeclaredEmbeddingSpace } from '../../core/embedding-space.js';
import { type AiProviderError, type EmbeddingFailure, PartialEmbeddingError } from '../../errors.js';
import { type BatchOutcome, embedTexts } from './embed-texts.js';
import { type Batch, planBatches } from './embedding-batches.js';
import { EmbeddingBodyReader } from './embedding-body.js';
import { encodingFor, rememberEncoding } from './embedding-encoding.js';
import { readEmbeddingResponse } from './embedding-response.js';
import type { Attempt, GatewayCall } from './gateway-call.js';
import { type GatewayClient, gatewayClient } from './gateway-client.js';
import type { GatewayConnection } from './gateway-connection.js';
import { requestFetch } from './request-fetch.js';
import { isAboutEncoding, requestIdOf, unusableResponse } from './to-provider-error.js';

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
    if (texts.length === 0) return this.#result(model, [], 0);
    const plan = await planBatches(texts, model, this.#connection.options, options.truncate ?? false);
    const usage = { inputTokens: 0 as number | null };
    const rounds = Math.ceil(plan.batches.length / concurrency);
    const { dimensions } = this.#connection.options;
    const request = {
      operation: 'embeddings' as const,
      model,
      signal: options.signal,
      rounds,
      ...(dimensions === undefined ? {} : { request: { 'gen_ai.embeddings.dimension.count': dimensions } }),
    };
    return this.#connection.run(request, async (call) => {
      const { embeddings, failures } = await embedTexts(plan, texts.length, {
        concurrency,
        isWorthSplitting: (error) => error.code === 'input_refused',
        embedBatch: (batch, onAnswered) => this.#embedBatch(call, model, batch, usage, onAnswered),
        onBatch: options.onBatch,
      });
      const result =
        failures.length > 0
          ? this.#resultOfFailure(model, embeddings, failures, usage.inputTokens)
          : this.#result(model, embeddings as Float32Array[], usage.inputTokens);
      return { result, outcome: { inputTokens: usage.inputTokens } };
    });
  }

  async #embedBatch(
    call: GatewayCall,
    model: string,
    { inputs, tokenCount }: Batch,
    usage: { inputTokens: number | null },
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
    usage.inputTokens = usage.inputTokens === null || inputTokens === null ? null : usage.inputTokens + inputTokens;
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
    if (typeof vectors === 'string') throw unusableResponse(vectors, this.#connection.endpoint, requestId);
    return this.#checkDimensions(model, vectors, requestId);
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
      const body = new EmbeddingBodyReader();
      for (const chunk of chunks) {
        // The next request goes out first, and nobody waits for more than a chunk.
        await setImmediate();
        body.write(chunk);
      }
      const response = readEmbeddingResponse(body.end(), inputs.length);
      // Floats in answer to a wish for floats say nothing about the server.
      if (encoding === 'base64') rememberEncoding(baseUrl, response.encoding);
      return { response, requestId: requestIdOf(answer.headers, this.#connection.endpoint), attempt };
    };
    const encoding = encodingFor(baseUrl, encodingFormat);
    try {
      return await post(encoding);
    } catch (error) {
      if (encoding !== 'base64' || encodingFormat !== 'auto' || !isAboutEncoding(error)) throw error;
      rememberEncoding(baseUrl, 'float');
      return await post('float');
    }
  }

  #checkDimensions(
    model: string,
    vectors: readonly (Float32Array | string)[],
    requestId: string | undefined,
  ): BatchOutcome {
    const { endpoint } = this.#connection;
    const lengths = new Set(vectors.flatMap((vector) => (typeof vector === 'string' ? [] : vector.length)));
    const known = this.#requestedDimension(model) ?? this.#dimensionByModel.get(model);
    // Nothing says which of them is right.
    if (known === undefined && lengths.size > 1) {
      throw unusableResponse('vectors of different dimensions', endpoint, requestId);
    }
    const expected = known ?? [...lengths][0];
    const outcome = vectors.map((vector) => {
      if (typeof vector === 'string') return unusableResponse(`an embedding that is ${vector}`, endpoint, requestId);
      if (vector.length === expected) return vector;
      const what = `a vector of ${vector.length} dimensions where ${expected} were expected`;
      return unusableResponse(what, endpoint, requestId);
    });
    if (expected !== undefined) this.#dimensionByModel.set(model, expected);
    return outcome;
  }

  #requestedDimension(model: string): number | null {
    const { dimensions, embeddingModel } = this.#connection.options;
    return model === embeddingModel ? (dimensions ?? null) : null;
  }

  #result(
    model: string,
    embeddings: Float32Array[],
    inputTokens: number | null,
    inputCount = embeddings.length,
  ): EmbeddingResult {
    const declared = this.declaredSpace(model);
    return {
      embeddings,
      embeddingSpace: { ...declared, dimension: declared.dimension ?? 0 },
      model,
      usage: { inputCount, inputTokens },
    };
  }

  #resultOfFailure(
    model: string,
    embeddings: readonly (Float32Array | undefined)[],
    failures: readonly EmbeddingFailure[],
    inputTokens: number | null,
  ): EmbeddingResult {
    const { options, endpoint } = this.#connection;
    const { dimension, ...space } = this.declaredSpace(model);
    const inputCount = embeddings.length - failures.length;
    if (options.failedInputs === 'zero_vectors' && dimension !== null) {
      const filled = embeddings.map((embedding) => embedding ?? new Float32Array(dimension));
      return this.#result(model, filled, inputTokens, inputCount);
    }
    const cause = mostTelling(failures);
    if (inputCount === 0) throw cause;
    const partialResult: PartialEmbeddingResult = {
      embeddings,
      embeddingSpace: dimension === null ? null : { ...space, dimension },
      model,
      usage: { inputCount, inputTokens },
    };
    throw new PartialEmbeddingError(
      `${endpoint.id} gave no vector for ${failures.length} of ${embeddings.length} inputs, the first at position ${failures[0]?.position}: ${cause.message}`,
      {
        provider: endpoint.id,
        isRetryable: failures.some(({ error }) => error.isRetryable),
        cause,
        failures,
        partialResult,
      },
    );
  }
}

/** A failure that may pass says more about the call than one input that was refused. */
function mostTelling(failures: readonly EmbeddingFailure[]): AiProviderError {
  const failure = failures.find(({ error }) => error.isRetryable) ?? (failures[0] as EmbeddingFailure);
  return failure.error;
}
