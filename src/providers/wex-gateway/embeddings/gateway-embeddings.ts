import { setImmediate } from 'node:timers/promises';
import type { DeclaredEmbeddingSpace, EmbeddingSpace } from '../../../core/embedding-space.js';
import type {
  EmbeddingInputType,
  EmbeddingOptions,
  EmbeddingResult,
  PartialEmbeddingResult,
} from '../../../core/ports/embedding-provider.js';
import type { UsageEvent, UsageRecorder } from '../../../core/ports/usage-recorder.js';
import {
  type AiProviderError,
  type AiProviderErrorCode,
  type EmbeddingFailure,
  PartialEmbeddingError,
  type ProviderError,
} from '../../../errors.js';
import { TimeSlice } from '../../../internal/time-slice.js';
import { OversizedBody } from '../calls/body-codings.js';
import type { GatewayConnection } from '../calls/connection.js';
import type { Attempt, GatewayCall } from '../calls/gateway-call.js';
import { encodingFor, LearnedFacts, rememberEncoding } from '../calls/learned.js';
import { failureInside } from '../calls/server-words.js';
import {
  type AnswerOrigin,
  type Refusal,
  ReportedFailure,
  type RequestTarget,
  refusalBehind,
  requestIdOf,
  unreadableBody,
  unusableResponse,
} from '../calls/to-provider-error.js';
import { estimateTokens, readServedFacts } from '../calls/usage.js';
import { planBatches } from './batches.js';
import { EmbeddingBodyReader, type ParsedBody } from './body.js';
import { type BatchOutcome, EmbedRun } from './embed-run.js';
import { KnownDimensions } from './known-dimensions.js';
import { readEmbeddingResponse } from './response.js';
import { ServedModels } from './served-model.js';

interface BatchRequest {
  readonly model: string;
  readonly inputs: readonly string[];
  readonly inputType: EmbeddingInputType;
  /** To be called when the answer is here in full. */
  readonly onAnswered: () => void;
  readonly maxRetries: number | undefined;
  readonly expected: ExpectedDimension;
  readonly recorder: UsageRecorder | undefined;
}

/** The length of the vectors of one call: all have the same, whatever other calls see meanwhile. */
interface ExpectedDimension {
  length: number | undefined;
}

/** Room for a vector of 16,384 numbers in decimals, and for what is around all of them. */
const mostBytesAnInput = 512 * 1024;
const mostOtherBytes = 2 * 1024 * 1024;

/** How a request is made, as far as servers differ. */
interface RequestShape {
  readonly encoding: 'base64' | 'float';
  readonly hasInputType: boolean;
}

/** `POST /embeddings`. */
export class GatewayEmbeddings {
  readonly #connection: GatewayConnection;
  /** The length of each model's vectors, from the first response on. */
  readonly #dimensions = new KnownDimensions();
  readonly #served: ServedModels;
  /** What was learned of each model of this row: the most inputs of a request, and whether it wants `input_type`. */
  readonly #inputLimits = new LearnedFacts<number>();
  readonly #needsInputType = new LearnedFacts<boolean>();

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
    this.#served = new ServedModels((asked, served) =>
      connection.log('warn', { asked, served }, `${asked} was asked for embeddings, and ${served} answers.`),
    );
  }

  declaredSpace(model = this.#connection.options.embeddingModel): DeclaredEmbeddingSpace {
    const { embeddingModel, embeddingSpace, prompts } = this.#connection.options;
    return {
      model: model === embeddingModel ? (embeddingSpace ?? model) : model,
      revision: null,
      dimension: this.#requestedDimension(model) ?? this.#dimensions.of(model) ?? null,
      pooling: null,
      prompts: prompts ?? null,
      normalized: null,
      dtype: null,
    };
  }

  async generate(texts: readonly string[], options: EmbeddingOptions): Promise<EmbeddingResult> {
    const settings = this.#connection.options;
    const { concurrency, embeddingModel, dimensions } = settings;
    const model = options.model ?? embeddingModel;
    if (texts.length === 0) return this.#emptyResult(model);
    // A deployment may have any name; its space says which model it is.
    const { model: canonicalModel } = this.declaredSpace(model);
    const { truncate = false, signal, inputType = 'document' } = options;
    const inputLimit = () => this.#inputLimits.get(model) ?? Number.POSITIVE_INFINITY;
    const limits = { ...settings, batchSize: Math.min(settings.batchSize, inputLimit()) };
    const plan = await planBatches(
      withPrompt(texts, settings.prompts, inputType),
      canonicalModel,
      limits,
      truncate,
      signal,
    );
    const request = {
      operation: 'embeddings' as const,
      model,
      options,
      rounds: Math.ceil(plan.batches.length / concurrency),
      ...(dimensions === undefined ? {} : { request: { 'gen_ai.embeddings.dimension.count': dimensions } }),
    };
    const expected: ExpectedDimension = { length: this.#requestedDimension(model) ?? this.#dimensions.of(model) };
    const recorder = (options as { readonly usageRecorder?: UsageRecorder }).usageRecorder;
    return this.#connection.run(request, async (call) => {
      call.outcome = { inputTokens: 0 };
      const run = new EmbedRun(plan, texts.length, {
        concurrency,
        embedBatch: (batch, onAnswered, maxRetries) =>
          this.#embedBatch(call, {
            model,
            inputType,
            inputs: batch.inputs,
            onAnswered,
            maxRetries,
            expected,
            recorder,
          }),
        inputLimit,
        learnInputLimit: (limit) => this.#learnInputLimit(model, limit),
        addRounds: (count) => call.addRounds(count),
        stop: (error) => call.stop(error),
        onBatch: options.onBatch,
      });
      const { embeddings, failures } = await run.run();
      return failures.length > 0
        ? this.#resultOfFailure(call, model, this.#spaceOf(model, expected), embeddings, failures)
        : {
            embeddings: embeddings as Float32Array[],
            embeddingSpace: this.#spaceOf(model, expected),
            model,
            usage: { inputCount: texts.length, inputTokens: call.outcome.inputTokens ?? null },
          };
    });
  }

  #learnInputLimit(model: string, limit: number): void {
    this.#inputLimits.learn(model, limit);
    this.#connection.log(
      'info',
      { model, limit },
      `${model} takes ${limit} texts a request; set \`batch_size\` to it.`,
    );
  }

  async #embedBatch(call: GatewayCall, request: BatchRequest): Promise<BatchOutcome> {
    const { model, inputs, maxRetries } = request;
    const { tokensPerMinute } = this.#connection.options;
    const startedAt = performance.now();
    const { response, requestId, attempt, headers } = await call.request((attempt) => this.#send(request, attempt), {
      model,
      maxRetries,
      tokenCount: tokensPerMinute === undefined ? 0 : estimateTokens(inputs),
      // Whether such a failure ends the call shows when the batch is cut up.
      endsCall: (error) => {
        const isLookedFor = inputs.length > 1 || maxRetries !== undefined;
        return isLookedFor && (error as ProviderError).status === 500 ? false : undefined;
      },
    });
    const { vectors, usage } = response;
    call.outcome = { inputTokens: sumOf(call.outcome.inputTokens, usage.inputTokens) };
    if (attempt.ticket && usage.inputTokens !== null) attempt.ticket.tokenCount = usage.inputTokens;
    const { metadata, ...served } = readServedFacts(headers, model, response.model);
    const event: UsageEvent = {
      operation: 'embedding',
      model,
      inputCount: inputs.length,
      ...usage,
      ...served,
      metadata: {
        requestId: requestId ?? null,
        attempt: attempt.number,
        durationMs: Math.round(performance.now() - startedAt),
        ...metadata,
      },
    };
    await this.#connection.recordUsage(event, request.recorder);
    const origin = { requestId, attempts: attempt.number };
    const { endpoint } = this.#connection;
    if (typeof vectors === 'string') throw unusableResponse(vectors, endpoint, origin);
    const problem = this.#served.problemOf(model, response.model, headers);
    if (problem !== undefined) throw unusableResponse(problem, endpoint, origin);
    return this.#checkDimensions(request, vectors, origin);
  }

  /** One attempt: asks again at once, in another shape, if the server refuses the shape and not the texts. */
  async #send(request: BatchRequest, attempt: Attempt) {
    const { model } = request;
    const { baseUrl, encodingFormat, sendInputType } = this.#connection.options;
    let shape: RequestShape = {
      encoding: encodingFor(baseUrl, model, encodingFormat),
      hasInputType: sendInputType === true || (sendInputType === 'auto' && this.#needsInputType.get(model) === true),
    };
    for (let refusals = 0; ; refusals++) {
      try {
        const answered = await this.#post(request, shape, attempt);
        if (refusals > 0) this.#remember(model, shape);
        return answered;
      } catch (error) {
        const next = refusals < 2 ? this.#nextShape(error, shape) : undefined;
        if (next === undefined) throw error;
        shape = next;
      }
    }
  }

  #remember(model: string, { encoding, hasInputType }: RequestShape): void {
    const { baseUrl } = this.#connection.options;
    if (encoding === 'float') rememberEncoding(baseUrl, model, 'float');
    if (hasInputType) this.#needsInputType.learn(model, true);
  }

  #nextShape(error: unknown, shape: RequestShape): RequestShape | undefined {
    const refusal = refusalBehind(error);
    const { encodingFormat, sendInputType } = this.#connection.options;
    if (refusal === undefined) return undefined;
    const mayBeEncoding = shape.encoding === 'base64' && encodingFormat === 'auto';
    if (mayBeEncoding && isAboutEncoding(refusal)) return { ...shape, encoding: 'float' };
    const mayBeInputType = !shape.hasInputType && sendInputType === 'auto';
    return mayBeInputType && refusal.kind.parameter === 'input_type' ? { ...shape, hasInputType: true } : undefined;
  }

  async #post({ model, inputs, inputType, onAnswered }: BatchRequest, shape: RequestShape, attempt: Attempt) {
    const { options, endpoint } = this.#connection;
    const dimensions = this.#requestedDimension(model);
    const body = {
      model,
      input: inputs,
      encoding_format: shape.encoding,
      ...(dimensions === null ? {} : { dimensions }),
      ...(shape.hasInputType ? { input_type: wireInputType(model, inputType) } : {}),
      ...options.embeddingExtraBody,
    };
    const path = '/embeddings';
    const parameters = Object.keys(body).filter((name) => name !== 'input' && name !== 'model');
    const target: RequestTarget = { model, path, parameters, inputs };
    const answer = await this.#connection.send(
      { method: 'POST', path, query: options.extraQuery, body: JSON.stringify(body), signal: attempt.signal },
      target,
    );
    const mostBytes = mostOtherBytes + inputs.length * mostBytesAnInput;
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of answer.body) {
      length += chunk.length;
      if (length > mostBytes) throw new OversizedBody(mostBytes);
      chunks.push(chunk);
    }
    onAnswered();
    // The next request goes out first.
    await setImmediate();
    const parsed = await parseChunks(chunks, answer.headers);
    const failure = failureInside(parsed.value, ['data']);
    if (failure !== undefined) throw new ReportedFailure(failure, answer.headers, target);
    const response = readEmbeddingResponse(parsed, inputs.length);
    // Floats in answer to a wish for floats say nothing about the server.
    if (shape.encoding === 'base64') rememberEncoding(options.baseUrl, model, response.encoding);
    return { response, requestId: requestIdOf(answer.headers, endpoint), attempt, headers: answer.headers };
  }

  #checkDimensions(
    { model, expected }: BatchRequest,
    vectors: readonly (Float32Array | string)[],
    origin: AnswerOrigin,
  ): BatchOutcome {
    const { endpoint } = this.#connection;
    const lengths = [...new Set(vectors.flatMap((vector) => (typeof vector === 'string' ? [] : vector.length)))];
    // Nothing says which of them is right.
    if (expected.length === undefined && lengths.length > 1) {
      throw unusableResponse('vectors of different dimensions', endpoint, origin);
    }
    expected.length ??= lengths[0];
    if (this.#requestedDimension(model) === null) this.#dimensions.note(model, lengths);
    return vectors.map((vector) => {
      if (typeof vector === 'string') return unusableResponse(`an embedding that is ${vector}`, endpoint, origin);
      if (vector.length === expected.length) return vector;
      const what = `a vector of ${vector.length} dimensions, but ${expected.length} were expected`;
      return unusableResponse(what, endpoint, origin);
    });
  }

  #requestedDimension(model: string): number | null {
    const { dimensions, embeddingModel } = this.#connection.options;
    return model === embeddingModel ? (dimensions ?? null) : null;
  }

  #spaceOf(model: string, { length }: ExpectedDimension): EmbeddingSpace {
    return { ...this.declaredSpace(model), dimension: length ?? 0 };
  }

  #emptyResult(model: string): EmbeddingResult {
    const expected = { length: this.declaredSpace(model).dimension ?? undefined };
    const usage = { inputCount: 0, inputTokens: 0 };
    return { embeddings: [], embeddingSpace: this.#spaceOf(model, expected), model, usage };
  }

  #resultOfFailure(
    call: GatewayCall,
    model: string,
    space: EmbeddingSpace,
    embeddings: readonly (Float32Array | undefined)[],
    failures: readonly EmbeddingFailure[],
  ): EmbeddingResult {
    const { options, endpoint } = this.#connection;
    const inputCount = embeddings.length - failures.length;
    const usage = { inputCount, inputTokens: call.outcome.inputTokens ?? null };
    const cause = mostTelling(failures);
    if (inputCount === 0) throw cause;
    // An outage is not a property of an input: zeros in place of vectors that can still be had would lose them.
    const isForGood = failures.every(({ error }) => inputFailureCodes.has(error.code));
    if (options.failedInputs === 'zero_vectors' && isForGood) {
      const filled = embeddings.map((embedding) => embedding ?? new Float32Array(space.dimension));
      return { embeddings: filled, embeddingSpace: space, model, usage };
    }
    const partialResult: PartialEmbeddingResult = { embeddings, embeddingSpace: space, model, usage };
    throw new PartialEmbeddingError(
      `${endpoint.id} gave no vector for ${failures.length} of ${embeddings.length} inputs, the first at position ${failures[0]?.position}: ${cause.message}`,
      {
        provider: endpoint.id,
        isRetryable: failures.some(({ error }) => error.isRetryable),
        cause,
        status: (cause as ProviderError).status,
        requestId: (cause as ProviderError).requestId,
        retryAfterMs: (cause as ProviderError).retryAfterMs,
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

/** The bytes as they came; long bodies give other work its turn. */
async function parseChunks(chunks: readonly Uint8Array[], headers: Headers): Promise<ParsedBody> {
  const body = new EmbeddingBodyReader();
  const slice = new TimeSlice();
  for (const chunk of chunks) {
    if (slice.isOver()) await slice.next();
    body.write(chunk);
  }
  try {
    return body.end();
  } catch (error) {
    throw unreadableBody(error, headers, Buffer.from(chunks[0] ?? []).toString('utf8', 0, 200));
  }
}

function withPrompt(
  texts: readonly string[],
  prompts: { readonly query: string; readonly document: string } | undefined,
  inputType: EmbeddingInputType,
): readonly string[] {
  const prompt = prompts?.[inputType] ?? '';
  return prompt === '' ? texts : texts.map((text) => prompt + text);
}

/** Each family has words of its own for the two kinds of text. */
function wireInputType(model: string, inputType: EmbeddingInputType): string {
  if (/cohere|embed-(english|multilingual)/i.test(model)) return `search_${inputType}`;
  if (inputType === 'query' || /voyage/i.test(model)) return inputType;
  return 'passage';
}

/** Some proxies cannot pass base64 on, and say so in their own words. */
function isAboutEncoding({ kind, failure }: Refusal): boolean {
  if (kind.parameter !== undefined) return kind.parameter === 'encoding_format';
  const isInputAlone = kind.blamesInput === 'surely' || kind.blamesInput === undefined;
  return (
    !isInputAlone &&
    /base64|encod|decod|pars|serial|(be|to) read|read_error/i.test(`${failure.words} ${failure.message}`)
  );
}
