/**
 * The parts of the AI SDK's provider specification that are used here, for its versions 3 (`ai` 6) and 4 (`ai` 7),
 * which differ in little more
 * than their number. Written as structural types, so that neither version has to be installed; test/types/ai-sdk.ts
 * compares them with the real ones.
 */
export type SpecificationVersion = 'v3' | 'v4';

export type AiSdkJson = string | number | boolean | null | AiSdkJson[] | { [key: string]: AiSdkJson | undefined };
type JsonObject = { [key: string]: AiSdkJson | undefined };
export type AiSdkMetadata = Record<string, JsonObject>;
export type AiSdkOptions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export type AiSdkWarning =
  | { type: 'unsupported'; feature: string; details?: string }
  | { type: 'other'; message: string };

export interface AiSdkEmbeddingCall {
  values: string[];
  dimensions?: number | undefined;
  abortSignal?: AbortSignal | undefined;
  providerOptions?: AiSdkOptions | undefined;
}

export interface AiSdkEmbeddingResult {
  embeddings: number[][];
  usage?: { tokens: number };
  providerMetadata?: AiSdkMetadata;
  warnings: AiSdkWarning[];
}

export interface AiSdkEmbeddingModel<Version extends SpecificationVersion = SpecificationVersion> {
  readonly specificationVersion: Version;
  readonly provider: string;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined;
  readonly supportsParallelCalls: PromiseLike<boolean> | boolean;
  doEmbed(call: AiSdkEmbeddingCall): Promise<AiSdkEmbeddingResult>;
}

/** A part of a message: `text`, `file`, `reasoning`, `tool-call`, `tool-result`, … */
export interface AiSdkPart {
  type: string;
  text?: string;
  toolCallId?: string;
  toolName?: string;
  input?: unknown;
  output?: { type: string; value?: unknown; reason?: string };
}

export type AiSdkMessage =
  | { role: 'system'; content: string }
  | { role: 'user' | 'assistant' | 'tool'; content: readonly AiSdkPart[] };

export interface AiSdkTool {
  type: string;
  name: string;
  description?: string | undefined;
  inputSchema?: unknown;
}

export interface AiSdkTextCall {
  prompt: readonly AiSdkMessage[];
  maxOutputTokens?: number | undefined;
  temperature?: number | undefined;
  stopSequences?: string[] | undefined;
  topP?: number | undefined;
  topK?: number | undefined;
  presencePenalty?: number | undefined;
  frequencyPenalty?: number | undefined;
  seed?: number | undefined;
  reasoning?: string | undefined;
  responseFormat?: { type: 'text' } | { type: 'json'; schema?: unknown } | undefined;
  tools?: readonly AiSdkTool[] | undefined;
  toolChoice?: { type: 'auto' | 'none' | 'required' } | { type: 'tool'; toolName: string } | undefined;
  abortSignal?: AbortSignal | undefined;
  providerOptions?: AiSdkOptions | undefined;
}

export type AiSdkContent =
  | { type: 'text'; text: string }
  | { type: 'tool-call'; toolCallId: string; toolName: string; input: string };

export interface AiSdkFinishReason {
  unified: 'stop' | 'length' | 'content-filter' | 'tool-calls' | 'error' | 'other';
  raw: string | undefined;
}

export interface AiSdkUsage {
  inputTokens: {
    total: number | undefined;
    noCache: number | undefined;
    cacheRead: number | undefined;
    cacheWrite: number | undefined;
  };
  outputTokens: { total: number | undefined; text: number | undefined; reasoning: number | undefined };
}

export interface AiSdkTextResult {
  content: AiSdkContent[];
  finishReason: AiSdkFinishReason;
  usage: AiSdkUsage;
  providerMetadata: AiSdkMetadata;
  response: { modelId: string };
  warnings: AiSdkWarning[];
}

export type AiSdkStreamPart =
  | { type: 'stream-start'; warnings: AiSdkWarning[] }
  | { type: 'text-start' | 'text-end'; id: string }
  | { type: 'text-delta'; id: string; delta: string }
  | Extract<AiSdkContent, { type: 'tool-call' }>
  | { type: 'response-metadata'; modelId: string }
  | { type: 'finish'; usage: AiSdkUsage; finishReason: AiSdkFinishReason; providerMetadata: AiSdkMetadata }
  | { type: 'error'; error: unknown };

export interface AiSdkLanguageModel<Version extends SpecificationVersion = SpecificationVersion> {
  readonly specificationVersion: Version;
  readonly provider: string;
  readonly modelId: string;
  readonly supportedUrls: Record<string, RegExp[]>;
  doGenerate(call: AiSdkTextCall): Promise<AiSdkTextResult>;
  doStream(call: AiSdkTextCall): Promise<{ stream: ReadableStream<AiSdkStreamPart> }>;
}
