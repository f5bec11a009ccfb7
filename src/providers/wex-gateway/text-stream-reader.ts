import type { TextUsage } from '../../core/text-provider.js';
import { type GeneratedMessage, readTextUsage } from './text-response.js';

/** Puts a message together from the events of a stream. */
export class TextStreamReader {
  #text = '';
  #finishReason: string | null = null;
  #usage: TextUsage = { inputTokens: null, outputTokens: null };
  readonly #toolCalls: { id: string; name: string; arguments: string }[] = [];

  /** @returns the text that the event adds, which may be none. */
  read(event: unknown): string {
    const { choices, usage } = (event ?? {}) as { choices?: unknown; usage?: unknown };
    // It comes with the last event, whose list of choices is empty.
    if (usage !== null && usage !== undefined) this.#usage = readTextUsage(usage);
    const choice = Array.isArray(choices) ? choices[0] : undefined;
    if (typeof choice?.finish_reason === 'string') this.#finishReason = choice.finish_reason;
    const { content, tool_calls: calls } = (choice?.delta ?? {}) as { content?: unknown; tool_calls?: unknown };
    if (Array.isArray(calls)) for (const call of calls) this.#readToolCall(call);
    if (typeof content !== 'string') return '';
    this.#text += content;
    return content;
  }

  /** Undefined where the stream ended before the message did. */
  get message(): GeneratedMessage | undefined {
    if (this.#finishReason === null) return undefined;
    return { text: this.#text, finishReason: this.#finishReason, toolCalls: this.#toolCalls, usage: this.#usage };
  }

  get usage(): TextUsage {
    return this.#usage;
  }

  /** A call comes in pieces under one `index`: first its id and name, then its arguments bit by bit. */
  #readToolCall(
    piece: { index?: unknown; id?: unknown; function?: { name?: unknown; arguments?: unknown } } | null,
  ): void {
    const index = typeof piece?.index === 'number' ? piece.index : this.#toolCalls.length;
    // An index far ahead would make a list of that length.
    const at = Math.min(index, this.#toolCalls.length);
    const call = this.#toolCalls[at] ?? { id: '', name: '', arguments: '' };
    this.#toolCalls[at] = call;
    if (typeof piece?.id === 'string') call.id = piece.id;
    if (typeof piece?.function?.name === 'string') call.name += piece.function.name;
    if (typeof piece?.function?.arguments === 'string') call.arguments += piece.function.arguments;
  }
}
