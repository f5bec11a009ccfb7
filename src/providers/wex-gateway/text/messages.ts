import type { AssistantMessage, TextMessage, TextPart } from '../../../core/ports/text-provider.js';

export type WireMessage = { readonly role: string; readonly content: unknown } & Readonly<Record<string, unknown>>;

/**
 * What a server gave with a turn and wants back with it. DeepSeek refuses a tool loop without `reasoning_content`,
 * Gemini one without its signatures, Claude (behind LiteLLM or OpenRouter) one without its thinking.
 */
export const returnedFields = ['reasoning_content', 'reasoning_details', 'thinking_blocks', 'extra_content'] as const;

/** In `providerData` of a message and of a tool call: whose it is, and what to send back. */
export interface ProviderData {
  /** The host that made it. Others may refuse fields that they do not know. */
  readonly host: string;
  readonly fields: Readonly<Record<string, unknown>>;
  /** The same of each tool call, by its id. */
  readonly toolCalls?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
}

/** @param host - The server that the messages go to. */
export function toWireMessage(message: TextMessage, host: string): WireMessage {
  switch (message.role) {
    case 'tool':
      return { role: 'tool', content: message.content, tool_call_id: message.toolCallId };
    case 'assistant':
      return message.toolCalls?.length ? callingTurn(message, host) : { role: 'assistant', content: message.content };
    case 'user':
      return { role: 'user', content: userContent(message.content) };
    default:
      return { role: message.role, content: message.content };
  }
}

function callingTurn({ content, toolCalls = [], providerData }: AssistantMessage, host: string): WireMessage {
  const data = providerData as Partial<ProviderData> | undefined;
  const own = data?.host === host ? data : undefined;
  return {
    role: 'assistant',
    // Not empty: Claude would get the gateway's own words for an empty text, and Bedrock refuses it.
    content: content === '' ? null : content,
    ...own?.fields,
    tool_calls: toolCalls.map(({ id, name, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: JSON.stringify(args ?? {}) },
      ...own?.toolCalls?.[id],
    })),
  };
}

function userContent(content: string | readonly TextPart[]): unknown {
  if (typeof content === 'string') return content;
  return content.map((part) => {
    if (part.type === 'text') return { type: 'text', text: part.text };
    const url = imageUrl(part.image, part.mediaType);
    return { type: 'image_url', image_url: { url, ...(part.detail === undefined ? {} : { detail: part.detail }) } };
  });
}

function imageUrl(image: Uint8Array | URL | string, mediaType: string | undefined): string {
  if (!(image instanceof Uint8Array)) return String(image);
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  return `data:${mediaType ?? mediaTypeOf(bytes)};base64,${bytes.toString('base64')}`;
}

/** The first bytes of each format. */
const formats = [
  ['image/png', /^89504e47/],
  ['image/jpeg', /^ffd8ff/],
  ['image/gif', /^474946/],
  ['image/webp', /^52494646.{8}57454250/],
] as const;

function mediaTypeOf(bytes: Buffer): string {
  const beginning = bytes.toString('hex', 0, 12);
  return formats.find(([, pattern]) => pattern.test(beginning))?.[0] ?? 'image/png';
}

/** The words of a message, for estimates and for what no error may show. */
export function wordsOf({ content }: TextMessage): string[] {
  if (typeof content === 'string') return [content];
  return content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
}
