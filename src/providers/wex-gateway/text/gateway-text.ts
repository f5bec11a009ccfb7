import type { TextChunk, TextOptions, TextPrompt, TextResult, TextUsage } from '../../../core/ports/text-provider.js';
import { isAiProviderError, ProviderError } from '../../../errors.js';
import { iterationLeft, leavableGenerator } from '../../../internal/leavable-generator.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import type { CallRequest, GatewayConnection } from '../calls/connection.js';
import type { Attempt, GatewayCall } from '../calls/gateway-call.js';
import type { CallOutcome } from '../calls/telemetry.js';
import { type AnswerOrigin, requestIdOf, toProviderError, unusableResponse } from '../calls/to-provider-error.js';
import { byteBound } from '../embeddings/token-counter.js';
import { parseBody, readEvents } from './event-stream.js';
import { type PlannedText, planText, type WireParameters } from './request.js';
import { type GeneratedMessage, interpretMessage, readTextResponse, readTextUsage, refusalOf } from './response.js';
import { TextStreamReader } from './stream-reader.js';

/** A request that was answered, and what its response was read as. */
interface Answer<Content> extends AnswerOrigin {
  readonly content: Content;
  readonly ticket: Attempt['ticket'];
  /** When the call began. */
  readonly startedAt: number;
}

/** `POST /chat/completions`. */
export class GatewayText {
  readonly #connection: GatewayConnection;

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
  }

  async generate(prompt: TextPrompt, options: TextOptions): Promise<TextResult> {
    const plan = planText(prompt, options, this.#connection.options);
    return this.#connection.run(callRequest(plan, options), async (call) => {
      const read = async (response: Response) => parseBody(await response.text(), response.headers);
      const answer = await this.#request(call, plan, {}, read);
      const usage = readTextUsage(answer.content);
      call.outcome = usage;
      await this.#record(plan, answer, usage);
      const result = await this.#toResult(plan, options, readTextResponse(answer.content), answer);
      call.outcome = outcomeOf(result);
      return result;
    });
  }

  stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    return leavableGenerator(options.signal, (signal) => this.#stream(prompt, { ...options, signal }));
  }

  async *#stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    const plan = planText(prompt, options, this.#connection.options);
    const { call, within, finish } = await this.#connection.begin(callRequest(plan, options));
    const { signal } = call;
    const reader = new TextStreamReader();
    let answer: Answer<BegunStream> | undefined;
    const record = memoizeAsync(async () => answer && this.#record(plan, answer, reader.usage));
    let isOver = false;
    const end = (outcome: CallOutcome) => {
      if (isOver) return;
      isOver = true;
      void record();
      finish({ ...reader.usage, ...outcome });
    };
    // Here and not where a chunk is asked for: after an abort, nobody may ask.
    signal.addEventListener('abort', () => end(signal.reason === iterationLeft ? {} : { error: signal.reason }));
    try {
      const begin = (response: Response, origin: AnswerOrigin) => this.#begin(signal, response, origin);
      answer = await rejectOnAbort(
        within(() => this.#request(call, plan, streaming, begin)),
        signal,
      );
      // A stream may go on for long: each silence is limited instead of the whole.
      if (this.#connection.options.deadlineMs === undefined) call.liftDeadline();
      for await (const event of this.#eventsOf(answer, signal)) {
        const text = reader.read(event);
        if (text !== '') yield { type: 'text', text };
        signal.throwIfAborted();
      }
      if (reader.message === undefined) throw this.#brokenStream(answer);
      const result = await rejectOnAbort(this.#toResult(plan, options, reader.message, answer), signal);
      await rejectOnAbort(record(), signal);
      end(outcomeOf(result));
      yield { type: 'end', result };
    } catch (error) {
      if (!signal.aborted) await rejectOnAbort(record(), signal);
      end({ error });
      throw error;
    }
  }

  /** What `read` makes of the response is part of the request: where it fails, the request is tried again. */
  async #request<Content>(
    call: GatewayCall,
    plan: PlannedText,
    extra: object,
    read: (response: Response, origin: AnswerOrigin) => Promise<Content>,
  ): Promise<Answer<Content>> {
    const startedAt = performance.now();
    const client = await this.#connection.client();
    const parameters = { ...plan.request, ...extra } as unknown as WireParameters;
    const tokenCount = plan.request.messages.reduce((sum, { content }) => sum + byteBound.count(content), 0);
    return call.request(async ({ signal, number, ticket }) => {
      // A stream is read on after its attempt, until the call is over.
      const open = new AbortController();
      const close = () => open.abort();
      for (const ending of [signal, call.signal]) ending.addEventListener('abort', close);
      try {
        const response = await client.chat.completions.create(parameters, { signal: open.signal }).asResponse();
        const origin = { requestId: requestIdOf(response.headers, this.#connection.endpoint), attempts: number };
        return { ...origin, content: await read(response, origin), ticket, startedAt };
      } catch (error) {
        close();
        throw error;
      }
    }, tokenCount);
  }

  /** Waits for the first event, since a failure before it costs nothing to try again. */
  async #begin(signal: AbortSignal, response: Response, origin: AnswerOrigin): Promise<BegunStream> {
    const { timeoutMs } = this.#connection.options;
    const timeoutError = () =>
      this.#brokenStream(origin, `in the middle of its answer and said nothing for ${timeoutMs} ms`);
    const rest = readEvents(response, { timeoutMs, signals: [signal], timeoutError });
    const first = await rest.next();
    if (first.done) throw this.#brokenStream(origin, 'before its first event');
    return { first: first.value, rest };
  }

  async *#eventsOf({ content, ...origin }: Answer<BegunStream>, signal: AbortSignal): AsyncGenerator<unknown> {
    yield content.first;
    try {
      yield* content.rest;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isAiProviderError(error)) throw error;
      // Of the client's errors, those that the server told of have it as `error`.
      const isTold = (error as { error?: unknown }).error !== undefined;
      throw isTold ? toProviderError(error, this.#connection.endpoint, origin.attempts) : this.#brokenStream(origin);
    }
  }

  async #toResult(
    { request, modelChoice }: PlannedText,
    { schema }: TextOptions,
    message: GeneratedMessage | string,
    origin: AnswerOrigin,
  ): Promise<TextResult> {
    const { endpoint } = this.#connection;
    if (typeof message === 'string') throw unusableResponse(message, endpoint, origin);
    const refusal = schema === undefined ? undefined : refusalOf(message);
    if (refusal !== undefined) throw this.#refused(refusal, origin);
    const result = await interpretMessage(message, schema);
    if (typeof result === 'string') throw unusableResponse(result, endpoint, origin);
    return { ...result, model: request.model, ...(modelChoice ? { modelChoice } : {}) };
  }

  async #record({ request }: PlannedText, answer: Answer<unknown>, usage: TextUsage): Promise<void> {
    const { requestId, attempts, ticket, startedAt } = answer;
    const { inputTokens, outputTokens } = usage;
    if (ticket && inputTokens !== null) ticket.tokenCount = inputTokens + (outputTokens ?? 0);
    await this.#connection.recordUsage({
      operation: 'text_generation',
      model: request.model,
      inputCount: 1,
      inputTokens,
      outputTokens,
      metadata: {
        requestId: requestId ?? null,
        attempt: attempts,
        durationMs: Math.round(performance.now() - startedAt),
      },
    });
  }

  #refused(instead: string, origin: AnswerOrigin): ProviderError {
    const { id, host } = this.#connection.endpoint;
    const says = `${id} at ${host} answered with ${instead} in place of JSON.`;
    return new ProviderError(says, { ...origin, code: 'input_refused', provider: id, status: 200 });
  }

  /** In the middle it is not tried again: what was generated has been handed out, and will be paid. */
  #brokenStream(origin: AnswerOrigin, when = 'in the middle of its answer'): ProviderError {
    const { id, host } = this.#connection.endpoint;
    const says = `${id} at ${host} broke off ${when}.`;
    return new ProviderError(says, { ...origin, code: 'unavailable', isRetryable: true, provider: id, status: 200 });
  }
}

/** A stream whose first event is there. */
interface BegunStream {
  readonly first: unknown;
  readonly rest: AsyncGenerator<unknown>;
}

const streaming = { stream: true, stream_options: { include_usage: true } };

function callRequest({ request }: PlannedText, { signal }: TextOptions): CallRequest {
  return { operation: 'chat', model: request.model, signal, rounds: 1 };
}

function outcomeOf({ usage, finishReason }: TextResult): CallOutcome {
  return {
    ...usage,
    ...(finishReason === null ? {} : { response: { 'gen_ai.response.finish_reasons': [finishReason] } }),
  };
}
