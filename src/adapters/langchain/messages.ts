import { AIMessage, type AIMessageChunk, type BaseMessage, type ToolMessage } from '@langchain/core/messages';
import type { ManagedTextResult } from '../../core/calls/managed-options.js';
import type { TextMessage } from '../../core/ports/text-provider.js';
import { InvalidInputError } from '../../errors.js';

/** @throws {@link InvalidInputError} with the position of a message that has another content than text. */
export function toTextMessage(message: BaseMessage, position: number): TextMessage {
  const content = textOf(message, position);
  switch (message.type) {
    case 'system':
      return { role: 'system', content };
    case 'ai': {
      const toolCalls = ((message as AIMessage).tool_calls ?? []).map(({ id = '', name, args }) => ({
        id,
        name,
        arguments: args,
      }));
      return { role: 'assistant', content, ...(toolCalls.length === 0 ? {} : { toolCalls }) };
    }
    case 'tool':
      return { role: 'tool', toolCallId: (message as ToolMessage).tool_call_id, content };
    default:
      return { role: 'user', content };
  }
}

function textOf({ content }: BaseMessage, position: number): string {
  if (typeof content === 'string') return content;
  return content
    .map((part) => {
      if (part.type === 'text') return String((part as { text?: unknown }).text ?? '');
      // Calls of tools are in `tool_calls`; what the model thought is not part of what it said.
      if (['tool_use', 'tool_call', 'thinking', 'reasoning'].includes(part.type)) return '';
      throw new InvalidInputError(
        `Expected the content of the message at position ${position} to be text, got a part of the type ${part.type}.`,
        { position },
      );
    })
    .join('');
}

/** Adds to a message what its answer was made with, and what it used. */
export function describeAnswer<Message extends AIMessage | AIMessageChunk>(
  message: Message,
  result: ManagedTextResult,
): Message {
  const { provider, integrationId, cost, model, finishReason, usage } = result;
  message.response_metadata = { model_name: model, finish_reason: finishReason, provider, integrationId, cost };
  const { inputTokens, outputTokens } = usage;
  if (inputTokens === null || outputTokens === null) return message;
  message.usage_metadata = {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  } as NonNullable<Message['usage_metadata']>;
  return message;
}

export function toAIMessage(result: ManagedTextResult): AIMessage {
  const calls = (result.toolCalls ?? []).map(({ id, name, arguments: args }) => ({
    id,
    name,
    args: (args ?? {}) as Record<string, unknown>,
    type: 'tool_call' as const,
  }));
  return describeAnswer(new AIMessage({ content: result.text, tool_calls: calls }), result);
}
