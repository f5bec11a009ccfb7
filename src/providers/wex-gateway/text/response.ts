import { randomBytes } from 'node:crypto';
import type { StandardSchema } from '../../../core/ports/standard-schema.js';
import type { AssistantMessage, TextResult, ToolCall } from '../../../core/ports/text-provider.js';
import { isRecord } from '../../../internal/validate.js';
import { type ReportedUsage, readUsage } from '../calls/usage.js';
import { jsonIn } from './json-in-text.js';
import { type ProviderData, returnedFields } from './messages.js';

/** A generated message, whole or put together from a stream. */
export interface GeneratedMessage {
  readonly text: string;
  readonly reasoning: string;
  /** Empty if the model did not refuse. */
  readonly refusal: string;
  readonly finishReason: string | null;
  readonly toolCalls: readonly GeneratedToolCall[];
  readonly usage: ReportedUsage;
  /** The model that the server names. */
  readonly servedModel: unknown;
  /** What the server wants back with this turn. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface GeneratedToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON, or what it stands for. */
  readonly arguments: string | object;
  /** What the server wants back with this call. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A call of a tool as it comes, whole or in pieces. */
export interface WireToolCall {
  readonly index?: unknown;
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown } | null;
  readonly [field: string]: unknown;
}

/** @returns the message, or in one phrase what makes the response unusable. */
export function readTextResponse(body: unknown): GeneratedMessage | string {
  const { choices, usage, model, prompt_filter_results: filtered } = isRecord(body) ? body : {};
  const choice = Array.isArray(choices) ? choices[0] : undefined;
  const finishReason =
    finishReasonOf(choice?.finish_reason) ?? (filtered !== undefined && !choice ? 'content_filter' : null);
  const given: unknown = choice?.message;
  // Of a filtered answer, some servers leave out all that was in it.
  if (!isRecord(given) && finishReason !== 'content_filter') return 'no message';
  const message = isRecord(given) ? given : {};
  const { content, refusal, tool_calls: calls } = message;
  return {
    text: textOf(content),
    reasoning: reasoningOf(message),
    refusal: typeof refusal === 'string' ? refusal : '',
    finishReason,
    toolCalls: Array.isArray(calls) ? calls.map(readToolCall) : [],
    usage: readUsage(usage),
    servedModel: model,
    fields: fieldsOf(message),
  };
}

/** Some servers send an empty one with every piece; it is not one. */
export function finishReasonOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function readToolCall(call: WireToolCall | null): GeneratedToolCall {
  const { name, arguments: args } = call?.function ?? {};
  return {
    id: typeof call?.id === 'string' ? call.id : '',
    name: String(name ?? ''),
    arguments: isObject(args) ? args : String(args ?? ''),
    fields: fieldsOf(call ?? {}),
  };
}

/** What of a message or a tool call goes back with it. */
export function fieldsOf(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    returnedFields.flatMap((name) =>
      message[name] === undefined || message[name] === null ? [] : [[name, message[name]]],
    ),
  );
}

/** The text of a `content`, which may come in parts. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (part?.type === 'text' && typeof part.text === 'string' ? part.text : '')).join('');
}

/** What a message, or a piece of one, says of the model's thinking. */
export function reasoningOf({
  reasoning_content: deepSeek,
  reasoning,
  content,
}: Readonly<Record<string, unknown>>): string {
  if (typeof deepSeek === 'string') return deepSeek;
  if (typeof reasoning === 'string') return reasoning;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (part?.type === 'thinking' ? textOf(part.thinking) : '')).join('');
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/**
 * In one phrase, what came in place of a text that was asked for as JSON, if the model or its server would not give
 * one.
 */
export function refusalOf({ refusal, finishReason, toolCalls }: GeneratedMessage): string | undefined {
  if (toolCalls.length > 0) return undefined;
  if (refusal !== '') return "the model's refusal";
  return finishReason === 'content_filter' ? 'a text that a content filter ended' : undefined;
}

/**
 * What the caller asked for, made of the message.
 *
 * @param host - Of the server, for the turn that goes back to it.
 * @returns the parts of the result, or in one phrase why there is none.
 */
export async function interpretMessage(
  message: GeneratedMessage,
  schema: StandardSchema | undefined,
  host: string,
): Promise<Omit<TextResult, 'model'> | string> {
  const { text, refusal, finishReason, usage, reasoning } = message;
  const calls = readCalls(message);
  if (typeof calls === 'string') return calls;
  const { inputTokens, outputTokens, cachedInputTokens, reasoningTokens } = usage;
  const result = {
    text,
    finishReason,
    usage: {
      inputTokens,
      outputTokens,
      ...(cachedInputTokens === undefined ? {} : { cachedInputTokens }),
      ...(reasoningTokens === undefined ? {} : { reasoningTokens }),
    },
    ...(reasoning === '' ? {} : { reasoning }),
    ...(refusal === '' ? {} : { refusal }),
    ...(calls.length === 0 ? {} : { toolCalls: calls.map(({ call }) => call) }),
    message: turnOf(message, calls, host),
  };
  if (schema === undefined || calls.length > 0) return result;
  const parsed = jsonIn(text) ?? (text.trim() === '' ? jsonIn(reasoning) : undefined);
  if (parsed === undefined) {
    return finishReason === 'length' ? 'JSON that is cut off at the limit of tokens' : 'a text that is not JSON';
  }
  const validated = await schema['~standard'].validate(parsed.value);
  if (validated.issues === undefined) return { ...result, output: validated.value };
  const paths = validated.issues.map(({ path = [] }) => `/${path.map(keyOf).join('/')}`);
  return `JSON that does not satisfy the schema at ${paths.slice(0, 5).join(', ')}`;
}

interface ReadCall {
  readonly call: ToolCall;
  readonly fields: GeneratedToolCall['fields'];
}

function readCalls({ toolCalls }: GeneratedMessage): ReadCall[] | string {
  const read: ReadCall[] = [];
  const ids = new Set<string>();
  for (const { id: given, name, arguments: args, fields } of toolCalls) {
    if (name === '') return 'a tool call without a name';
    const parsed = isObject(args) ? { value: args } : parseJson(args.trim() === '' ? '{}' : args);
    if (parsed === undefined) return 'a tool call whose arguments are not JSON';
    const id = given === '' || ids.has(given) ? newCallId() : given;
    ids.add(id);
    read.push({ call: { id, name, arguments: parsed.value }, fields });
  }
  return read;
}

/**
 * Some servers give calls no id, and want one with what the tool gave back. Mistral takes nine letters and digits,
 * and no other.
 */
function newCallId(): string {
  return `c${randomBytes(4).toString('hex')}`;
}

function turnOf({ text, fields }: GeneratedMessage, calls: readonly ReadCall[], host: string): AssistantMessage {
  const ofCalls = Object.fromEntries(
    calls.flatMap(({ call, fields: own }) => (Object.keys(own).length === 0 ? [] : [[call.id, own]])),
  );
  const data: ProviderData = { host, fields, toolCalls: ofCalls };
  const hasData = Object.keys(fields).length > 0 || Object.keys(ofCalls).length > 0;
  return {
    role: 'assistant',
    content: text,
    ...(calls.length === 0 ? {} : { toolCalls: calls.map(({ call }) => call) }),
    ...(hasData ? { providerData: { ...data } } : {}),
  };
}

/** A path names keys of the schema; a longer one could be content. */
function keyOf(part: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof part === 'object' ? part.key : part).slice(0, 40);
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}
