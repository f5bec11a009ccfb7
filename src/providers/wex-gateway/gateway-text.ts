import type { TextChunk, TextOptions, TextPrompt, TextResult, TextUsage } from '../../core/text-provider.js';
import { isAiProviderError, ProviderError } from '../../errors.js';
import { withDeadline } from '../../internal/with-deadline.js';
import type { Attempt, GatewayCall } from './gateway-call.js';
import type { CallRequest, GatewayConnection } from './gateway-connection.js';
import type { CallOutcome } from './telemetry.js';
import { type PlannedText, planText, type WireParameters } from './text-request.js';
import { type GeneratedMessage, interpretMessage, readTextResponse } from './text-response.js';
import { TextStreamReader } from './text-stream-reader.js';
import { requestIdOf, unusableResponse } from './to-provider-error.js';
import { byteBound } from './tokenizer.js';

/** What is known of a request that was answered. */
interface Answered {
  readonly attempt: Attempt;
  readonly requestId: string | undefined;
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
    return this.#connection.run(callRequest(plan, options, 1), async (call) => {
      const { body, answered } = await this.#send(call, plan, {});
      const message = readTextResponse(body);
      await this.#record(plan, answered, typeof message === 'string' ? undefined : message.usage);
      const result = await this.#toResult(plan, options, message, answered.requestId);
      return { result, outcome: outcomeOf(result) };
    });
  }

  async *stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    options.signal?.throwIfAborted();
    const plan = planText(prompt, options, this.#connection.options);
    // A stream may go on for long: each silence is limited instead of the whole.
    const { call, within, finish } = await this.#connection.begin(callRequest(plan, options, Number.POSITIVE_INFINITY));
    const reader = new TextStreamReader();
    let stream: EventStream | undefined;
    let answered: Answered | undefined;
    let outcome: CallOutcome = {};
    try {
      const { body, ...rest } = await within(() => this.#send(call, plan, streaming));
      answered = rest.answered;
      stream = body as EventStream;
      for await (const event of this.#eventsOf(stream, call)) {
        const text = reader.read(event);
        if (text !== '') yield { type: 'text', text };
      }
      if (reader.message === undefined) throw this.#brokenStream();
      const result = await this.#toResult(plan, options, reader.message, answered.requestId);
      outcome = outcomeOf(result);
      yield { type: 'end', result };
    } catch (error) {
      outcome = { error: call.signal.aborted ? call.signal.reason : error };
      throw outcome.error;
    } finally {
      stream?.controller.abort();
      finish({ ...reader.usage, ...outcome });
      if (answered) await this.#record(plan, answered, reader.usage);
    }
  }

  async #send(call: GatewayCall, plan: PlannedText, extra: object): Promise<{ body: unknown; answered: Answered }> {
    const startedAt = performance.now();
    const client = await this.#connection.client();
    const parameters = { ...plan.request, ...extra } as unknown as WireParameters;
    const tokenCount = plan.request.messages.reduce((sum, { content }) => sum + byteBound.count(content), 0);
    return call.request(async (attempt) => {
      const { signal } = attempt;
      const { data, response } = await client.chat.completions.create(parameters, { signal }).withResponse();
      const requestId = requestIdOf(response.headers, this.#connection.endpoint);
      return { body: data, answered: { attempt, requestId, startedAt } };
    }, tokenCount);
  }

  async *#eventsOf(stream: EventStream, call: GatewayCall): AsyncGenerator<unknown> {
    const { timeoutMs } = this.#connection.options;
    const events = stream[Symbol.asyncIterator]();
    const timeoutError = () => this.#brokenStream(` and said nothing for ${timeoutMs} ms`);
    for (;;) {
      const next = () => events.next().catch((error: unknown) => Promise.reject(this.#toStreamError(error)));
      const event = await withDeadline(next, { timeoutMs, signals: [call.signal], timeoutError });
      if (event.done) return;
      yield event.value;
    }
  }

  async #toResult(
    { request, modelChoice }: PlannedText,
    { schema }: TextOptions,
    message: GeneratedMessage | string,
    requestId: string | undefined,
  ): Promise<TextResult> {
    const result = typeof message === 'string' ? message : await interpretMessage(message, schema);
    if (typeof result === 'string') throw unusableResponse(result, this.#connection.endpoint, requestId);
    return { ...result, model: request.model, ...(modelChoice ? { modelChoice } : {}) };
  }

  async #record({ request }: PlannedText, answered: Answered, usage: TextUsage | undefined): Promise<void> {
    const { attempt, requestId, startedAt } = answered;
    const { inputTokens = null, outputTokens = null } = usage ?? {};
    if (attempt.ticket && inputTokens !== null) attempt.ticket.tokenCount = inputTokens + (outputTokens ?? 0);
    await this.#connection.recordUsage({
      operation: 'text_generation',
      model: request.model,
      inputCount: 1,
      inputTokens,
      outputTokens,
      metadata: {
        requestId: requestId ?? null,
        attempt: attempt.number,
        durationMs: Math.round(performance.now() - startedAt),
      },
    });
  }

  #toStreamError(error: unknown): Error {
    return isAiProviderError(error) ? error : this.#brokenStream();
  }

  /** Not retried: what was generated has been handed out, and will be paid. */
  #brokenStream(how = ''): ProviderError {
    const { id, host } = this.#connection.endpoint;
    return new ProviderError(`${id} at ${host} broke off in the middle of its answer${how}.`, {
      code: 'unavailable',
      isRetryable: true,
      provider: id,
    });
  }
}

type EventStream = AsyncIterable<unknown> & { readonly controller: AbortController };

const streaming = { stream: true, stream_options: { include_usage: true } };

function callRequest({ request }: PlannedText, { signal }: TextOptions, rounds: number): CallRequest {
  return { operation: 'chat', model: request.model, signal, rounds };
}

function outcomeOf({ usage, finishReason }: TextResult): CallOutcome {
  return {
    ...usage,
    ...(finishReason === null ? {} : { response: { 'gen_ai.response.finish_reasons': [finishReason] } }),
  };
}
