import type { TextMessage, TextOptions, ToolCall } from '../../core/ports/text-provider.js';
import { InvalidInputError } from '../../errors.js';
import type { AiSdkMessage, AiSdkPart, AiSdkTextCall, AiSdkWarning } from './specification.js';

/** @throws {@link InvalidInputError} for a part that is not text, such as an image. */
export function toMessages(prompt: readonly AiSdkMessage[]): TextMessage[] {
  return prompt.flatMap((message, position): TextMessage[] => {
    if (message.role === 'system') return [message];
    if (message.role === 'user') return [{ role: 'user', content: textOf(message.content, position) }];
    if (message.role === 'assistant') return [toAssistantMessage(message.content, position)];
    return message.content
      .filter(({ type }) => type === 'tool-result')
      .map(({ toolCallId = '', output }) => ({ role: 'tool', toolCallId, content: toolOutput(output) }));
  });
}

function toAssistantMessage(parts: readonly AiSdkPart[], position: number): TextMessage {
  const toolCalls: ToolCall[] = parts
    .filter(({ type }) => type === 'tool-call')
    .map((part) => ({ id: part.toolCallId ?? '', name: part.toolName ?? '', arguments: part.input }));
  // What the model thought is not part of what it said.
  const spoken = parts.filter(({ type }) => type !== 'reasoning' && type !== 'tool-call');
  const content = textOf(spoken, position);
  return { role: 'assistant', content, ...(toolCalls.length === 0 ? {} : { toolCalls }) };
}

function textOf(parts: readonly AiSdkPart[], position: number): string {
  return parts
    .map(({ type, text }) => {
      if (type === 'text' && typeof text === 'string') return text;
      throw new InvalidInputError(
        `Expected the parts of \`prompt[${position}]\` to be text, got a part of the type ${type}. Leave it out, or describe it in words.`,
        { position },
      );
    })
    .join('');
}

function toolOutput(output: AiSdkPart['output']): string {
  if (output === undefined) return '';
  if (output.type === 'execution-denied') return output.reason ?? 'The call was not allowed.';
  if (typeof output.value === 'string' && output.type !== 'json') return output.value;
  return JSON.stringify(output.value) ?? '';
}

const unsupported = ['topP', 'topK', 'presencePenalty', 'frequencyPenalty', 'seed', 'reasoning'] as const;

/** The settings of a call in this library's words, and a warning for each one that no provider here accepts. */
export function toTextOptions(call: AiSdkTextCall): { options: TextOptions; warnings: AiSdkWarning[] } {
  const warnings: AiSdkWarning[] = unsupported
    .filter((name) => call[name] !== undefined && call[name] !== 'provider-default')
    .map((feature) => ({ type: 'unsupported', feature }));
  const functions = call.tools?.filter(({ type }) => type === 'function') ?? [];
  for (const { type, name } of call.tools ?? []) {
    if (type !== 'function') warnings.push({ type: 'unsupported', feature: `the provider's own tool ${name}` });
  }
  const { responseFormat: format, toolChoice: choice } = call;
  const schema = format?.type === 'json' ? (format.schema as Record<string, unknown> | undefined) : undefined;
  if (format?.type === 'json' && schema === undefined) {
    warnings.push({ type: 'unsupported', feature: 'responseFormat json without a schema' });
  }
  const options: TextOptions = {
    temperature: call.temperature,
    maxTokens: call.maxOutputTokens,
    stop: call.stopSequences,
    ...(schema === undefined ? {} : { schema: anyValue, jsonSchema: schema }),
    ...(functions.length === 0
      ? {}
      : {
          tools: functions.map(({ name, description, inputSchema }) => ({
            name,
            description,
            parameters: (inputSchema ?? {}) as Record<string, unknown>,
          })),
          toolChoice: choice?.type === 'tool' ? { name: choice.toolName } : choice?.type,
        }),
  };
  return { options, warnings };
}

/** The AI SDK validates the value itself, with the caller's schema. */
const anyValue: NonNullable<TextOptions['schema']> = {
  '~standard': { version: 1, vendor: 'ai-sdk', validate: (value) => ({ value }) },
};
