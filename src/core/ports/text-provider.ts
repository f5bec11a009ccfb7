import type { TaskTier } from '../routing/task-complexity.js';
import type { ProviderCallOptions } from './call-options.js';
import type { StandardSchema } from './standard-schema.js';

/** A part of a user's message. */
export type TextPart =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'image';
      /** Its bytes, or its address (`https:` or `data:`). */
      readonly image: Uint8Array | URL | string;
      /** Such as `image/png`. @default seen from the bytes */
      readonly mediaType?: string | undefined;
      /** How closely the model looks, which decides the price. @default the server's own */
      readonly detail?: 'auto' | 'low' | 'high' | undefined;
    };

/**
 * A turn of the assistant. Hand back the `message` of a result as it is: the server may need all of it in the next
 * turn.
 */
export interface AssistantMessage {
  readonly role: 'assistant';
  readonly content: string;
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /**
   * What the server that made the turn wants back with it, such as signatures of its reasoning. Not for other servers.
   */
  readonly providerData?: Readonly<Record<string, unknown>> | undefined;
}

/** A turn of a conversation. */
export type TextMessage =
  | { readonly role: 'system'; readonly content: string }
  | { readonly role: 'user'; readonly content: string | readonly TextPart[] }
  | AssistantMessage
  /** What a tool that the model called gave back. */
  | { readonly role: 'tool'; readonly toolCallId: string; readonly content: string };

/** A string stands for one message of the user. */
export type TextPrompt = string | readonly TextMessage[];

/** A function that the model may ask for; the caller runs it. */
export interface Tool {
  readonly name: string;
  readonly description?: string | undefined;
  /** JSON Schema of its arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** As the model wrote them: parsed, not validated. */
  readonly arguments: unknown;
}

export interface TextOptions extends ProviderCallOptions {
  /** A model in place of the integration's own; it also overrules `tier`. */
  readonly model?: string | undefined;
  /**
   * How hard the task is, if the integration names models per tier.
   * @default estimated, see `estimateTaskComplexity`
   */
  readonly tier?: TaskTier | undefined;
  /** Instructions before the prompt. */
  readonly system?: string | undefined;
  /** 0 to 2. @default the integration's `temperature`, or else the model's own */
  readonly temperature?: number | undefined;
  /** The most tokens to generate. @default the integration's `max_tokens`, or else the model's own */
  readonly maxTokens?: number | undefined;
  /** Up to four strings that end the text before they would appear. */
  readonly stop?: readonly string[] | undefined;
  /**
   * 0 to 1: how much of the probability the candidates for the next token make up.
   * @default the integration's `top_p`
   */
  readonly topP?: number | undefined;
  /** For the same answer to the same prompt, as far as the server can. */
  readonly seed?: number | undefined;
  /** -2 to 2: how much what was said already is avoided. */
  readonly presencePenalty?: number | undefined;
  /** -2 to 2: the same, by how often it was said. */
  readonly frequencyPenalty?: number | undefined;
  /** How long a reasoning model thinks: `minimal`, `low`, `medium`, `high`, or what the server knows. */
  readonly reasoningEffort?: string | undefined;
  /** Such as `flex` or `priority`. */
  readonly serviceTier?: string | undefined;
  /** Whether the model may call several tools at once. */
  readonly parallelToolCalls?: boolean | undefined;
  /** Who the text is for, as the server counts or watches: no name and no address. */
  readonly user?: string | undefined;
  /** Up to 16 pairs of strings that the server keeps with the request. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Whether the server holds the model to the schema. @default 'auto': if the schema is one that strict mode takes */
  readonly strict?: boolean | 'auto' | undefined;
  /**
   * Further fields of the request's body, for what this library has no name for; they win over those of the
   * integration.
   */
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined;
  /** Further parameters of the request's address. */
  readonly extraQuery?: Readonly<Record<string, string>> | undefined;
  /**
   * Asks for JSON of this schema, and validates it: any Standard Schema, such as one of Zod. The value is in `output`.
   */
  readonly schema?: StandardSchema | undefined;
  /** The schema as JSON Schema. @default asked of `schema`, which must then be able to describe itself */
  readonly jsonSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly tools?: readonly Tool[] | undefined;
  /** Whether tools may, must or must not be called, or the one that must. @default 'auto' */
  readonly toolChoice?: 'auto' | 'none' | 'required' | { readonly name: string } | undefined;
}

export interface TextUsage {
  /** Tokens as the provider counted them, or null if it did not say. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** How many of `inputTokens` came from the provider's prompt cache, if it said so. */
  readonly cachedInputTokens?: number | undefined;
  /** How many of `outputTokens` were spent on reasoning, if the provider said so. */
  readonly reasoningTokens?: number | undefined;
}

export interface TextResult {
  /** Empty if the model only called tools, or refused. */
  readonly text: string;
  /** What the model said in place of an answer, if it refused and its server tells that from a text. */
  readonly refusal?: string | undefined;
  /** The model that was asked. */
  readonly model: string;
  /** Why this model, if the integration names models per tier. */
  readonly modelChoice?: ModelChoice | undefined;
  /** Why the text ended: `stop`, `length`, `tool_calls`, `content_filter`, …; null if the provider did not say. */
  readonly finishReason: string | null;
  /** The tools that the model asks for. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** What the model thought before its answer, if the server shows it. */
  readonly reasoning?: string | undefined;
  /** The answer as a turn of the conversation, for the next prompt. */
  readonly message?: AssistantMessage | undefined;
  /** What `schema` made of the text. */
  readonly output?: unknown;
  readonly usage: TextUsage;
}

export interface ModelChoice {
  readonly tier: TaskTier;
  /** `asked for`, or what the estimate rests on. */
  readonly reason: string;
}

/** A part of a streamed text. The last one is the `end`. */
export type TextChunk<Result = TextResult> =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'end'; readonly result: Result };

/** Continues a prompt. A provider of embeddings that also has `generateText` can serve text. */
export interface TextProvider {
  readonly id: string;

  /**
   * @throws `InvalidInputError` before any I/O; `ProviderError` with the status and the number of attempts, with code
   *   `invalid_response` if the text does not satisfy `schema`, and `input_refused` if the model refused or a content
   *   filter ended the text instead.
   */
  generateText(prompt: TextPrompt, options?: TextOptions): Promise<TextResult>;

  /**
   * The same as it is generated. Leaving the iteration ends the request, also while the next chunk is waited for, and
   * so does the signal, also while nobody waits; a failure in the middle is an error, and nothing is sent twice.
   */
  streamText?(prompt: TextPrompt, options?: TextOptions): AsyncIterable<TextChunk>;
}
