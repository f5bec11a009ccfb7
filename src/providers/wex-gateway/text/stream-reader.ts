import { isRecord } from '../../../internal/validate.js';
import { mergeUsage, type ReportedUsage, readUsage, unknownUsage } from '../calls/usage.js';
import { streamDone } from './event-stream.js';
import { fieldsOf, finishReasonOf, type GeneratedMessage, reasoningOf, textOf } from './response.js';
import { ToolCallReader } from './tool-call-reader.js';

/** Puts a message together from the events of a stream. */
export class TextStreamReader {
  #text = '';
  #reasoning = '';
  #refusal = '';
  #finishReason: string | null = null;
  #isDone = false;
  #usage: ReportedUsage = unknownUsage;
  #servedModel: unknown;
  #fields: Record<string, unknown> = {};
  readonly #toolCalls = new ToolCallReader();

  /** @returns the text that the event adds, which may be none. */
  read(event: unknown): string {
    if (event === streamDone) {
      this.#isDone = true;
      return '';
    }
    const { choices, usage, model } = isRecord(event) ? event : {};
    if (typeof model === 'string' && model !== '') this.#servedModel = model;
    if (isRecord(usage)) this.#usage = mergeUsage(this.#usage, readUsage(usage));
    const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
    if (!isRecord(choice)) return '';
    this.#finishReason = finishReasonOf(choice.finish_reason) ?? this.#finishReason;
    if (isRecord(choice.delta)) return this.#add(choice.delta);
    // A server that does not stream sends the message as a whole; some repeat it so at the end.
    return isRecord(choice.message) ? this.#replaceWith(choice.message) : '';
  }

  /** Whether the message is whole, so that nothing that happens to the connection matters any more. */
  get isComplete(): boolean {
    return this.#isDone || this.#finishReason !== null;
  }

  /** Undefined if the stream ended before the message did. */
  get message(): GeneratedMessage | undefined {
    if (!this.isComplete) return undefined;
    return {
      text: this.#text,
      reasoning: this.#reasoning,
      refusal: this.#refusal,
      finishReason: this.#finishReason,
      toolCalls: this.#toolCalls.calls,
      usage: this.#usage,
      servedModel: this.#servedModel,
      fields: this.#fields,
    };
  }

  get usage(): ReportedUsage {
    return this.#usage;
  }

  get servedModel(): unknown {
    return this.#servedModel;
  }

  /** All that was generated so far, for an estimate. */
  get generated(): readonly string[] {
    const calls = this.#toolCalls.calls.map(({ arguments: args }) => (typeof args === 'string' ? args : ''));
    return [this.#text, this.#reasoning, this.#refusal, ...calls];
  }

  #add(delta: Readonly<Record<string, unknown>>): string {
    const { content, refusal, tool_calls: calls } = delta;
    if (Array.isArray(calls)) for (const call of calls) this.#toolCalls.read(call ?? {});
    if (typeof refusal === 'string') this.#refusal += refusal;
    this.#reasoning += reasoningOf(delta);
    this.#fields = joinFields(this.#fields, fieldsOf(delta));
    const text = textOf(content);
    this.#text += text;
    return text;
  }

  #replaceWith(message: Readonly<Record<string, unknown>>): string {
    const { content, refusal, tool_calls: calls } = message;
    const handedOut = this.#text;
    if (Array.isArray(calls) && calls.length > 0) this.#toolCalls.replace(calls.map((call) => call ?? {}));
    if (typeof refusal === 'string' && refusal !== '') this.#refusal = refusal;
    this.#reasoning = reasoningOf(message) || this.#reasoning;
    this.#fields = { ...this.#fields, ...fieldsOf(message) };
    this.#text = textOf(content) || handedOut;
    return this.#text.startsWith(handedOut) ? this.#text.slice(handedOut.length) : '';
  }
}

/** Texts come in pieces that follow each other, lists in elements, the rest as a whole. */
function joinFields(known: Record<string, unknown>, more: Record<string, unknown>): Record<string, unknown> {
  const joined = { ...known };
  for (const [name, value] of Object.entries(more)) {
    const before = known[name];
    if (typeof before === 'string' && typeof value === 'string') joined[name] = before + value;
    else if (Array.isArray(before) && Array.isArray(value)) joined[name] = [...before, ...value];
    else joined[name] = value;
  }
  return joined;
}
