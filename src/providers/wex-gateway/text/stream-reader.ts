import type { TextUsage } from '../../../core/ports/text-provider.js';
import { type GeneratedMessage, readTextUsage, textOf } from './response.js';
import { ToolCallReader } from './tool-call-reader.js';

/** Puts a message together from the events of a stream. */
export class TextStreamReader {
  #text = '';
  #refusal = '';
  #finishReason: string | null = null;
  #usage: TextUsage = { inputTokens: null, outputTokens: null };
  readonly #toolCalls = new ToolCallReader();

  /** @returns the text that the event adds, which may be none. */
  read(event: unknown): string {
    const { choices, usage } = (event ?? {}) as { choices?: unknown; usage?: unknown };
    // It comes with the last event, whose list of choices is empty.
    if (usage !== null && usage !== undefined) this.#usage = readTextUsage(event);
    const choice = Array.isArray(choices) ? choices[0] : undefined;
    if (typeof choice?.finish_reason === 'string') this.#finishReason = choice.finish_reason;
    // A server that does not stream sends the message as a whole.
    const { content, refusal, tool_calls: calls } = (choice?.delta ?? choice?.message ?? {}) as Record<string, unknown>;
    if (Array.isArray(calls)) for (const call of calls) this.#toolCalls.read(call ?? {});
    if (typeof refusal === 'string') this.#refusal += refusal;
    const text = textOf(content);
    this.#text += text;
    return text;
  }

  /** Undefined where the stream ended before the message did. */
  get message(): GeneratedMessage | undefined {
    if (this.#finishReason === null) return undefined;
    return {
      text: this.#text,
      refusal: this.#refusal,
      finishReason: this.#finishReason,
      toolCalls: this.#toolCalls.calls,
      usage: this.#usage,
    };
  }

  get usage(): TextUsage {
    return this.#usage;
  }
}
