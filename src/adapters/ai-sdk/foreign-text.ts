import type {
  TextMessage,
  TextOptions,
  TextPart,
  TextPrompt,
  TextResult,
  TextUsage,
} from '../../core/ports/text-provider.js';
import { ProviderError } from '../../errors.js';
import type { AiSdkMessage, AiSdkPart, AiSdkTextCall } from './specification.js';

/** A part of an answer, whole or of a stream. */
export interface ForeignContent {
  readonly type: string;
  readonly text?: string;
  readonly delta?: string;
  readonly toolCallId?: string;
  readonly toolName?: string;
  readonly input?: unknown;
  readonly error?: unknown;
  readonly finishReason?: unknown;
  readonly usage?: unknown;
}

/** A call of this library in the AI SDK's words. */
export function foreignTextCall(prompt: TextPrompt, options: TextOptions, abortSignal: AbortSignal): AiSdkTextCall {
  const messages: readonly TextMessage[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  const system: AiSdkMessage[] = options.system === undefined ? [] : [{ role: 'system', content: options.system }];
  const { toolChoice, tools, schema } = options;
  const jsonSchema = options.jsonSchema ?? schema?.['~standard'].jsonSchema?.input({ target: 'draft-07' });
  return {
    prompt: [...system, ...messages.map((message) => toForeignMessage(message, messages))],
    abortSignal,
    ...defined({
      temperature: options.temperature,
      maxOutputTokens: options.maxTokens,
      stopSequences: options.stop === undefined ? undefined : [...options.stop],
      responseFormat: schema === undefined ? undefined : { type: 'json' as const, ...defined({ schema: jsonSchema }) },
      tools: tools?.map(({ name, description, parameters }) => ({
        type: 'function',
        name,
        inputSchema: parameters,
        ...defined({ description }),
      })),
      toolChoice:
        typeof toolChoice === 'object'
          ? { type: 'tool' as const, toolName: toolChoice.name }
          : toolChoice && { type: toolChoice },
    }),
  };
}

function toForeignMessage(message: TextMessage, all: readonly TextMessage[]): AiSdkMessage {
  if (message.role === 'tool') {
    const { toolCallId, content } = message;
    const output = { type: 'text', value: content };
    return {
      role: 'tool',
      content: [{ type: 'tool-result', toolCallId, toolName: nameOfCall(toolCallId, all), output }],
    };
  }
  if (message.role !== 'assistant') {
    return message.role === 'system'
      ? { role: 'system', content: message.content }
      : { role: 'user', content: userParts(message.content) };
  }
  const text: AiSdkPart[] = message.content === '' ? [] : [{ type: 'text', text: message.content }];
  const calls = (message.toolCalls ?? []).map(({ id, name, arguments: input }) => ({
    type: 'tool-call',
    toolCallId: id,
    toolName: name,
    input,
  }));
  return { role: 'assistant', content: [...text, ...calls] };
}

function userParts(content: string | readonly TextPart[]): AiSdkPart[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return content.map((part) => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    const data = typeof part.image === 'string' ? new URL(part.image) : part.image;
    return { type: 'file', mediaType: part.mediaType ?? 'image/*', data };
  });
}

function nameOfCall(id: string, messages: readonly TextMessage[]): string {
  for (const message of messages) {
    const call = message.role === 'assistant' ? message.toolCalls?.find((entry) => entry.id === id) : undefined;
    if (call !== undefined) return call.name;
  }
  return '';
}

function defined<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as never;
}

/** Why an answer ended and what it used, of the specification 3 or 4. */
export function readFinish({
  finishReason,
  usage,
}: {
  readonly finishReason?: unknown;
  readonly usage?: unknown;
}): Pick<TextResult, 'finishReason' | 'usage'> {
  const { unified } = (finishReason ?? {}) as { readonly unified?: unknown };
  const reason = typeof unified === 'string' ? unified.replaceAll('-', '_') : null;
  const { inputTokens, outputTokens } = (usage ?? {}) as {
    readonly inputTokens?: { readonly total?: unknown; readonly cacheRead?: unknown; readonly cacheWrite?: unknown };
    readonly outputTokens?: { readonly total?: unknown; readonly reasoning?: unknown };
  };
  return {
    finishReason: reason,
    usage: { inputTokens: count(inputTokens?.total), outputTokens: count(outputTokens?.total) } satisfies TextUsage,
  };
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** @throws {@link ProviderError} with code `invalid_response` if the answer does not satisfy the caller's `schema`. */
export async function readAnswer(
  provider: string,
  model: string,
  content: readonly ForeignContent[],
  finish: Pick<TextResult, 'finishReason' | 'usage'>,
  { schema }: TextOptions,
): Promise<TextResult> {
  const text = content.map((part) => (part.type === 'text' ? (part.text ?? '') : '')).join('');
  const toolCalls = content
    .filter(({ type }) => type === 'tool-call')
    .map((part) => ({ id: part.toolCallId ?? '', name: part.toolName ?? '', arguments: parse(part.input) }));
  const result: TextResult = { text, model, ...finish, ...(toolCalls.length === 0 ? {} : { toolCalls }) };
  if (schema === undefined || toolCalls.length > 0) return result;
  const validated = await schema['~standard'].validate(parse(text));
  if (validated.issues === undefined) return { ...result, output: validated.value };
  throw new ProviderError(`The provider ${provider} answered with a text that does not satisfy the schema.`, {
    code: 'invalid_response',
    provider,
  });
}

/** JSON as the value it stands for; anything else as it is. */
function parse(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}
