import type { StandardSchema } from '../../../core/ports/standard-schema.js';
import type { TextResult, TextUsage, ToolCall } from '../../../core/ports/text-provider.js';
import { tokenCount } from '../embeddings/response.js';

/** A generated message, whole or put together from a stream. */
export interface GeneratedMessage {
  readonly text: string;
  /** Empty where the model did not refuse. */
  readonly refusal: string;
  readonly finishReason: string | null;
  readonly toolCalls: readonly {
    readonly id: string;
    readonly name: string;
    /** JSON, or what it stands for. */
    readonly arguments: string | object;
  }[];
  readonly usage: TextUsage;
}

/** A call of a tool as it comes, whole or in pieces. */
export interface WireToolCall {
  readonly index?: unknown;
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown } | null;
}

/** @returns the message, or in one phrase what makes the response unusable. */
export function readTextResponse(body: unknown): GeneratedMessage | string {
  const { choices } = (body ?? {}) as { choices?: unknown };
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const message: unknown = choice?.message;
  if (typeof message !== 'object' || message === null) return 'no message';
  const { content, refusal, tool_calls: calls } = message as Record<string, unknown>;
  return {
    text: textOf(content),
    refusal: typeof refusal === 'string' ? refusal : '',
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : null,
    toolCalls: Array.isArray(calls) ? calls.map(readToolCall) : [],
    usage: readTextUsage(body),
  };
}

function readToolCall(call: WireToolCall | null): GeneratedMessage['toolCalls'][number] {
  const { name, arguments: args } = call?.function ?? {};
  return {
    id: String(call?.id ?? ''),
    name: String(name ?? ''),
    arguments: isObject(args) ? args : String(args ?? ''),
  };
}

/** The text of a `content`, which may come in parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (part?.type === 'text' && typeof part.text === 'string' ? part.text : '')).join('');
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Also of an unusable answer: it was paid for. */
export function readTextUsage(body: unknown): TextUsage {
  const { usage } = (body ?? {}) as { usage?: Record<string, unknown> | null };
  return { inputTokens: tokenCount(usage?.prompt_tokens), outputTokens: tokenCount(usage?.completion_tokens) };
}

/** In one phrase, what came in place of a text that was asked for as JSON, where the model or its server would not give one. */
export function refusalOf({ refusal, finishReason, toolCalls }: GeneratedMessage): string | undefined {
  if (toolCalls.length > 0) return undefined;
  if (refusal !== '') return "the model's refusal";
  return finishReason === 'content_filter' ? 'a text that a content filter ended' : undefined;
}

/**
 * What the caller asked for, made of the message.
 *
 * @returns the parts of the result, or in one phrase why there is none.
 */
export async function interpretMessage(
  message: GeneratedMessage,
  schema: StandardSchema | undefined,
): Promise<Omit<TextResult, 'model'> | string> {
  const { text, refusal, finishReason, usage } = message;
  const toolCalls: ToolCall[] = [];
  for (const { id, name, arguments: args } of message.toolCalls) {
    if (name === '') return 'a tool call without a name';
    const parsed = isObject(args) ? { value: args } : parseJson(args === '' ? '{}' : args);
    if (parsed === undefined) return 'a tool call whose arguments are not JSON';
    toolCalls.push({ id, name, arguments: parsed.value });
  }
  const result = {
    text,
    finishReason,
    usage,
    ...(refusal === '' ? {} : { refusal }),
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
  };
  if (schema === undefined || toolCalls.length > 0) return result;
  const parsed = parseJson(withoutFence(text));
  if (parsed === undefined) {
    return finishReason === 'length' ? 'JSON that is cut off at the limit of tokens' : 'a text that is not JSON';
  }
  const validated = await schema['~standard'].validate(parsed.value);
  if (validated.issues === undefined) return { ...result, output: validated.value };
  const paths = validated.issues.map(({ path = [] }) => `/${path.map(keyOf).join('/')}`);
  return `JSON that does not satisfy the schema at ${paths.slice(0, 5).join(', ')}`;
}

/** A path names keys of the schema; a longer one could be content. */
function keyOf(part: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof part === 'object' ? part.key : part).slice(0, 40);
}

/** Models that know no `response_format` like to wrap JSON in Markdown. Not a regular expression: models also like to repeat themselves without end. */
function withoutFence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('```') || !trimmed.endsWith('```')) return text;
  return trimmed.slice(trimmed.indexOf('\n') + 1, -'```'.length);
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
