import type { TextChunk, TextOptions, TextPrompt, TextResult } from '../../../core/ports/text-provider.js';
import type { UsageRecorder } from '../../../core/ports/usage-recorder.js';
import { isAiProviderError, ProviderError } from '../../../errors.js';
import { iterationLeft, leavableGenerator } from '../../../internal/leavable-generator.js';
import { rejectOnAbort } from '../../../internal/reject-on-abort.js';
import { readText } from '../calls/body-codings.js';
import type { CallRequest, GatewayConnection } from '../calls/connection.js';
import type { Attempt, GatewayCall } from '../calls/gateway-call.js';
import { LearnedFacts } from '../calls/learned.js';
import { failureInside, failureOfChoice } from '../calls/server-words.js';
import type { CallOutcome } from '../calls/telemetry.js';
import {
  type AnswerOrigin,
  ReportedFailure,
  type RequestTarget,
  refusalBehind,
  requestIdOf,
  toProviderError,
  unreadableBody,
  unusableResponse,
} from '../calls/to-provider-error.js';
import type { GatewayAnswer } from '../calls/transport.js';
import { estimateTokens, type ReportedUsage, readServedFacts, readUsage } from '../calls/usage.js';
import { readEvents } from './event-stream.js';
import { type PlannedText, planText } from './request.js';
import { type GeneratedMessage, interpretMessage, readTextResponse, refusalOf } from './response.js';
import { chunksUntil, StreamOutcome } from './stream-outcome.js';
import { TextStreamReader } from './stream-reader.js';
import { changesOf, firstShape, nextShape, type TextShape, wireBody } from './wire-request.js';

const path = '/chat/completions';
const longestBody = 64 * 1024 * 1024;
/** Some servers keep a connection open after the whole text: their token counts are waited for no longer than this. */
const longestGraceMs = 3000;
const mostShapes = 5;

/** A text under way: what was planned, and what its requests share. */
interface TextCall {
  readonly plan: PlannedText;
  readonly options: TextOptions;
  readonly isStream: boolean;
  readonly startedAt: number;
  /** A request is with the server, and may be paid for although no answer comes. */
  isPending: boolean;
}

/** A request that was answered, and what its response was read as. */
interface Answer<Content> extends AnswerOrigin {
  readonly content: Content;
  readonly headers: Headers;
  readonly ticket: Attempt['ticket'];
}

/** A whole answer: the message, or in one phrase why there is none. */
interface WholeText {
  readonly message: GeneratedMessage | string;
  readonly usage: ReportedUsage;
  readonly servedModel: unknown;
}

/** A stream whose first event is here. */
interface BegunStream {
  readonly first: unknown;
  readonly rest: AsyncGenerator<unknown, void, undefined>;
}

type Read<Content> = (
  answer: GatewayAnswer,
  how: { readonly target: RequestTarget; readonly origin: AnswerOrigin; readonly attempt: Attempt },
) => Promise<Content>;

/** `POST /chat/completions`. */
export class GatewayText {
  readonly #connection: GatewayConnection;
  /** How each model of this row wants to be asked, as far as its refusals showed. */
  readonly #shapes = new LearnedFacts<TextShape>();

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
  }

  async generate(prompt: TextPrompt, options: TextOptions): Promise<TextResult> {
    const text = this.#textCall(prompt, options, false);
    return this.#connection.run(callRequest(text), async (call) => {
      const answer = await this.#request(call, text, readWhole).catch(async (error: unknown) => {
        await this.#recordGivenUp(call, text, []);
        throw error;
      });
      const { message, usage, servedModel } = answer.content;
      call.outcome = usage;
      await this.#record(text, answer, usage, servedModel);
      const result = await this.#toResult(text, message, answer);
      call.outcome = outcomeOf(result);
      return result;
    });
  }

  stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    return leavableGenerator(options.signal, (signal) => this.#stream(prompt, { ...options, signal }));
  }

  async *#stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    const text = this.#textCall(prompt, options, true);
    const { call, within, finish } = await this.#connection.begin(callRequest(text));
    const { signal } = call;
    const reader = new TextStreamReader();
    let answer: Answer<BegunStream> | undefined;
    const outcome = new StreamOutcome(finish, reader, () =>
      answer === undefined ? this.#recordGivenUp(call, text, []) : this.#recordStream(text, answer, reader),
    );
    // Here and not if a chunk is asked for: after an abort, nobody may ask.
    signal.addEventListener('abort', () =>
      outcome.end(signal.reason === iterationLeft ? {} : { error: signal.reason }),
    );
    try {
      const begin: Read<BegunStream> = (response, how) => this.#begin(signal, reader, response, how);
      answer = await rejectOnAbort(
        within(() => this.#request(call, text, begin)),
        signal,
      );
      // A stream may go on for long: each silence is limited instead of the whole.
      call.liftDeadline();
      for await (const event of this.#eventsOf(answer, reader, text, signal)) {
        const piece = reader.read(event);
        if (piece !== '') yield { type: 'text', text: piece };
        signal.throwIfAborted();
      }
      if (reader.message === undefined) throw this.#brokenStream(answer);
      const result = await rejectOnAbort(this.#toResult(text, reader.message, answer), signal);
      await rejectOnAbort(outcome.record(), signal);
      outcome.end(outcomeOf(result));
      yield { type: 'end', result };
    } catch (error) {
      if (!signal.aborted) await rejectOnAbort(outcome.record(), signal);
      outcome.end({ error });
      throw error;
    }
  }

  #textCall(prompt: TextPrompt, options: TextOptions, isStream: boolean): TextCall {
    const plan = planText(prompt, options, this.#connection.options);
    return { plan, options, isStream, startedAt: performance.now(), isPending: false };
  }

  /** What `read` makes of the response is part of the request: if it fails, the request is tried again. */
  #request<Content>(call: GatewayCall, text: TextCall, read: Read<Content>): Promise<Answer<Content>> {
    const { model, inputs } = text.plan;
    const isLimited = this.#connection.options.tokensPerMinute !== undefined;
    return call.request((attempt) => this.#ask(call, text, attempt, read), {
      model,
      tokenCount: isLimited ? estimateTokens(inputs) : 0,
    });
  }

  /** One attempt: asks again at once, in another shape, if the server refuses the shape and not the prompt. */
  async #ask<Content>(
    call: GatewayCall,
    text: TextCall,
    attempt: Attempt,
    read: Read<Content>,
  ): Promise<Answer<Content>> {
    const { plan } = text;
    const { options, endpoint } = this.#connection;
    let shape = this.#shapes.get(plan.model) ?? firstShape(plan, options);
    for (let tried = 1; ; tried++) {
      const body = wireBody(plan, shape, endpoint.host, text.isStream);
      try {
        const answer = await this.#send(call, text, body, attempt, read);
        if (tried > 1) this.#shapes.learn(plan.model, shape);
        return answer;
      } catch (error) {
        const refusal = tried < mostShapes ? refusalBehind(error) : undefined;
        const next = refusal && nextShape(refusal, shape, plan, options, body);
        if (next === undefined) throw error;
        const changes = changesOf(shape, next);
        this.#connection.log(
          'info',
          { model: plan.model, changes },
          `${plan.model} is asked in another form from now on.`,
        );
        shape = next;
      }
    }
  }

  async #send<Content>(
    call: GatewayCall,
    text: TextCall,
    body: Record<string, unknown>,
    attempt: Attempt,
    read: Read<Content>,
  ): Promise<Answer<Content>> {
    const { plan, isStream } = text;
    const parameters = Object.keys(body).filter((name) => name !== 'messages' && name !== 'model');
    const target: RequestTarget = { model: plan.model, path, parameters, inputs: plan.inputs };
    // A stream is read on after its attempt, until the call is over.
    const open = new AbortController();
    const close = () => open.abort();
    for (const ending of [attempt.signal, call.signal]) ending.addEventListener('abort', close);
    text.isPending = true;
    try {
      const response = await this.#connection.send(
        {
          method: 'POST',
          path,
          query: plan.settings.extraQuery,
          body: JSON.stringify(body),
          headers: isStream ? { accept: 'text/event-stream' } : undefined,
          signal: open.signal,
        },
        target,
      );
      const { headers } = response;
      const origin = { requestId: requestIdOf(headers, this.#connection.endpoint), attempts: attempt.number };
      const content = await read(response, { target, origin, attempt });
      return { ...origin, content, headers, ticket: attempt.ticket };
    } catch (error) {
      // Who refuses does not charge.
      if (!attempt.signal.aborted) text.isPending = false;
      close();
      throw error;
    }
  }

  /** Waits for the first event, since a failure before it costs nothing to try again. */
  async #begin(
    signal: AbortSignal,
    reader: TextStreamReader,
    response: GatewayAnswer,
    { target, origin, attempt }: Parameters<Read<BegunStream>>[1],
  ): Promise<BegunStream> {
    const { timeoutMs } = this.#connection.options;
    const graceMs = Math.min(timeoutMs, longestGraceMs);
    const chunks = chunksUntil(response.body, {
      signal,
      timeoutMs: () => (reader.isComplete ? graceMs : timeoutMs),
      isWhole: () => reader.isComplete,
      timeoutError: () =>
        this.#brokenStream(origin, `in the middle of its answer and said nothing for ${timeoutMs} ms`),
      // What is not a event, such as a keep-alive comment, is a sign of life too.
      onChunk: () => attempt.renew(),
    });
    const rest = this.#checked(readEvents(chunks, response.headers), response.headers, target);
    const first = await rest.next();
    // Only what says that it is over: nothing was said.
    if (first.done || typeof first.value === 'symbol') throw this.#brokenStream(origin, 'before its first event');
    return { first: first.value, rest };
  }

  /** @throws `ReportedFailure` for an event that reports a failure. */
  async *#checked(
    events: AsyncGenerator<unknown, void, undefined>,
    headers: Headers,
    target: RequestTarget,
  ): AsyncGenerator<unknown, void, undefined> {
    for await (const event of events) {
      const failure = failureIn(event);
      if (failure !== undefined) throw new ReportedFailure(failure, headers, target);
      yield event;
    }
  }

  async *#eventsOf(
    { content, ...origin }: Answer<BegunStream>,
    reader: TextStreamReader,
    text: TextCall,
    signal: AbortSignal,
  ): AsyncGenerator<unknown> {
    yield content.first;
    try {
      yield* content.rest;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof ReportedFailure) throw toProviderError(error, this.#connection.endpoint, origin.attempts);
      // The text is whole; how the connection ended does not matter.
      if (reader.isComplete) return;
      throw isAiProviderError(error) ? error : this.#brokenStream(origin);
    } finally {
      text.isPending = false;
    }
  }

  async #toResult(
    { plan, options }: TextCall,
    message: GeneratedMessage | string,
    origin: AnswerOrigin,
  ): Promise<TextResult> {
    const { endpoint } = this.#connection;
    const { schema } = options;
    if (typeof message === 'string') throw unusableResponse(message, endpoint, origin);
    const refusal = schema === undefined ? undefined : refusalOf(message);
    if (refusal !== undefined) throw this.#refused(refusal, origin);
    const result = await interpretMessage(message, schema, endpoint.host);
    if (typeof result === 'string') throw unusableResponse(result, endpoint, origin);
    const { model, modelChoice } = plan;
    return { ...result, model, ...(modelChoice ? { modelChoice } : {}) };
  }

  #recordStream(text: TextCall, answer: Answer<unknown>, reader: TextStreamReader): Promise<void> {
    const { inputTokens, outputTokens } = reader.usage;
    const isKnown = inputTokens !== null && outputTokens !== null;
    const usage = isKnown ? reader.usage : { ...reader.usage, ...estimated(text, reader.generated, reader.usage) };
    return this.#record(text, answer, usage, reader.servedModel, !isKnown);
  }

  /** A request that was given up may be paid for all the same. */
  async #recordGivenUp(call: GatewayCall, text: TextCall, generated: readonly string[]): Promise<void> {
    if (!text.isPending || !call.signal.aborted) return;
    text.isPending = false;
    await this.#write(text, { ...estimated(text, generated), isEstimate: true }, { wasGivenUp: true });
  }

  async #record(
    text: TextCall,
    { headers, ticket, requestId, attempts }: Omit<Answer<unknown>, 'content'>,
    usage: ReportedUsage,
    servedModel: unknown,
    isEstimate = false,
  ): Promise<void> {
    const { metadata, ...facts } = readServedFacts(headers, text.plan.model, servedModel);
    if (ticket && usage.inputTokens !== null) ticket.tokenCount = usage.inputTokens + (usage.outputTokens ?? 0);
    const all = { ...usage, ...facts, ...(isEstimate ? { isEstimate } : {}) };
    await this.#write(text, all, { requestId: requestId ?? null, attempt: attempts, ...metadata });
  }

  #write(
    { plan, startedAt, options }: TextCall,
    usage: ReportedUsage & { readonly isEstimate?: boolean },
    metadata: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const recorder = (options as { readonly usageRecorder?: UsageRecorder }).usageRecorder;
    const event = {
      operation: 'text_generation' as const,
      model: plan.model,
      inputCount: 1,
      ...usage,
      metadata: { ...metadata, durationMs: Math.round(performance.now() - startedAt) },
    };
    return this.#connection.recordUsage(event, recorder);
  }

  #refused(instead: string, origin: AnswerOrigin): ProviderError {
    const { id, host } = this.#connection.endpoint;
    const says = `${id} at ${host} answered with ${instead} in place of JSON.`;
    return new ProviderError(says, { ...ids(origin), code: 'input_refused', provider: id, status: 200 });
  }

  /** In the middle it is not tried again: what was generated has been handed out, and will be paid. */
  #brokenStream(origin: AnswerOrigin, when = 'in the middle of its answer'): ProviderError {
    const { id, host } = this.#connection.endpoint;
    const says = `${id} at ${host} broke off ${when}.`;
    return new ProviderError(says, {
      ...ids(origin),
      code: 'unavailable',
      isRetryable: true,
      provider: id,
      status: 200,
    });
  }
}

function ids({ requestId, attempts }: AnswerOrigin): AnswerOrigin {
  return { requestId, attempts };
}

/** A failure in a body or an event; a choice may report one as well. */
function failureIn(body: unknown) {
  const failure = failureInside(body, ['choices']);
  if (failure !== undefined) return failure;
  const choices = (body as { choices?: unknown } | null)?.choices;
  return Array.isArray(choices) ? failureOfChoice(choices[0]) : undefined;
}

/** JSON, whatever the content type says; or the events of a server that streams although it was not asked to. */
async function readWhole(
  { body, headers }: GatewayAnswer,
  { target }: Parameters<Read<WholeText>>[1],
): Promise<WholeText> {
  const text = await readText(body, longestBody);
  const check = (value: unknown) => {
    const failure = failureIn(value);
    if (failure !== undefined) throw new ReportedFailure(failure, headers, target);
  };
  if (/^\s*(data|event|id|retry)?:/.test(text)) {
    const reader = new TextStreamReader();
    for await (const event of readEvents(oneChunk(text), headers)) {
      check(event);
      reader.read(event);
    }
    return {
      message: reader.message ?? 'a stream without an end',
      usage: reader.usage,
      servedModel: reader.servedModel,
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadableBody(error, headers, text.slice(0, 100));
  }
  check(value);
  const { usage, model } = (value ?? {}) as { usage?: unknown; model?: unknown };
  return { message: readTextResponse(value), usage: readUsage(usage), servedModel: model };
}

async function* oneChunk(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function estimated({ plan }: TextCall, generated: readonly string[], known?: ReportedUsage): ReportedUsage {
  return {
    inputTokens: known?.inputTokens ?? estimateTokens(plan.inputs),
    outputTokens: known?.outputTokens ?? (generated.some((text) => text !== '') ? estimateTokens(generated) : 0),
  };
}

function callRequest({ plan, options }: TextCall): CallRequest {
  return { operation: 'chat', model: plan.model, options, rounds: 1 };
}

function outcomeOf({ usage, finishReason }: TextResult): CallOutcome {
  const { inputTokens, outputTokens } = usage;
  return {
    inputTokens,
    outputTokens,
    ...(finishReason === null ? {} : { response: { 'gen_ai.response.finish_reasons': [finishReason] } }),
  };
}
