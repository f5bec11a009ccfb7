import type { StandardSchema } from '../../core/standard-schema.js';
import type { TextResult, TextUsage, ToolCall } from '../../core/text-provider.js';
import { tokenCount } from './embedding-response.js';

/** A generated message, whole or put together from a stream. */
export interface GeneratedMessage {
  readonly text: string;
  readonly finishReason: string | null;
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[];
  readonly usage: TextUsage;
}

/** @returns the message, or in one phrase what makes the response unusable. */
export function readTextResponse(body: unknown): GeneratedMessage | string {
  const { choices, usage } = (body ?? {}) as { choices?: unknown; usage?: unknown };
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const message: unknown = choice?.message;
  if (typeof message !== 'object' || message === null) return 'no message';
  const { content, tool_calls: calls } = message as { content?: unknown; tool_calls?: unknown };
  return {
    text: typeof content === 'string' ? content : '',
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : null,
    toolCalls: (Array.isArray(calls) ? calls : []).map((call) => ({
      id: String(call?.id ?? ''),
      name: String(call?.function?.name ?? ''),
      arguments: String(call?.function?.arguments ?? ''),
    })),
    usage: readTextUsage(usage),
  };
}

export function readTextUsage(usage: unknown): TextUsage {
  const { prompt_tokens: input, completion_tokens: output } = (usage ?? {}) as Record<string, unknown>;
  return { inputTokens: tokenCount(input), outputTokens: tokenCount(output) };
}

/**
 * What the caller asked for, made of the message.
 *
 * @returns the parts of the result, or in one phrase why there is none.
 */
export async function interpretMessage(
  { text, finishReason, toolCalls, usage }: GeneratedMessage,
  schema: StandardSchema | undefined,
): Promise<Omit<TextResult, 'model'> | string> {
  const calls: ToolCall[] = [];
  for (const call of toolCalls) {
    const parsed = parseJson(call.arguments === '' ? '{}' : call.arguments);
    if (parsed === undefined) return 'a tool call whose arguments are not JSON';
    calls.push({ ...call, arguments: parsed.value });
  }
  const result = { text, finishReason, usage, ...(calls.length === 0 ? {} : { toolCalls: calls }) };
  if (schema === undefined || calls.length > 0) return result;
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

/** Models that know no `response_format` like to wrap JSON in Markdown. */
function withoutFence(text: string): string {
  return /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(text)?.[1] ?? text;
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
