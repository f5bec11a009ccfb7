import type { ManagedTextResult } from '../../core/calls/managed-options.js';
import type { TextChunk } from '../../core/ports/text-provider.js';
import { type AiSdkProviderOptions, callContext, providerName, toMetadata } from './call-context.js';
import { toMessages, toTextOptions } from './prompt.js';
import type {
  AiSdkContent,
  AiSdkFinishReason,
  AiSdkLanguageModel,
  AiSdkStreamPart,
  AiSdkTextCall,
  AiSdkUsage,
  AiSdkWarning,
  SpecificationVersion,
} from './specification.js';

export function languageModel<Version extends SpecificationVersion>(
  options: AiSdkProviderOptions<Version>,
  modelId: string,
): AiSdkLanguageModel<Version> {
  const read = (call: AiSdkTextCall) => {
    const { shared, tier } = callContext(options, modelId, call);
    const { options: textOptions, warnings } = toTextOptions(call);
    return { prompt: toMessages(call.prompt), textOptions: { ...shared, ...textOptions, tier }, warnings };
  };
  return {
    specificationVersion: (options.specificationVersion ?? 'v4') as Version,
    provider: providerName,
    modelId,
    supportedUrls: {},
    async doGenerate(call) {
      const { prompt, textOptions, warnings } = read(call);
      const result = await options.manager.generateText(prompt, textOptions);
      const content: AiSdkContent[] = result.text === '' ? [] : [{ type: 'text', text: result.text }];
      return {
        content: [...content, ...toolCallsOf(result)],
        ...endOf(result),
        response: { modelId: result.model },
        warnings,
      };
    },
    async doStream(call) {
      const { prompt, textOptions, warnings } = read(call);
      const chunks = options.manager.streamText(prompt, textOptions);
      // Waited for here, so that a provider that cannot be reached is an error of the call, as the AI SDK expects.
      const first = await chunks.next();
      return { stream: toStream(first, chunks, warnings) };
    },
  };
}

type Chunk = TextChunk<ManagedTextResult>;
const textId = '0';

function toStream(
  first: IteratorResult<Chunk, void>,
  chunks: AsyncGenerator<Chunk, void, undefined>,
  warnings: AiSdkWarning[],
): ReadableStream<AiSdkStreamPart> {
  async function* parts(): AsyncGenerator<AiSdkStreamPart> {
    yield { type: 'stream-start', warnings };
    let hasText = false;
    try {
      for (let next = first; !next.done; next = await chunks.next()) {
        const chunk = next.value;
        if (chunk.type === 'text') {
          if (!hasText) yield { type: 'text-start', id: textId };
          hasText = true;
          yield { type: 'text-delta', id: textId, delta: chunk.text };
        } else {
          if (hasText) yield { type: 'text-end', id: textId };
          yield* toolCallsOf(chunk.result);
          yield { type: 'response-metadata', modelId: chunk.result.model };
          yield { type: 'finish', ...endOf(chunk.result) };
        }
      }
    } catch (error) {
      yield { type: 'error', error };
    }
  }
  const iterator = parts();
  return new ReadableStream<AiSdkStreamPart>({
    async pull(controller) {
      const { value, done } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await chunks.return();
    },
  });
}

function toolCallsOf({ toolCalls = [] }: ManagedTextResult): Extract<AiSdkContent, { type: 'tool-call' }>[] {
  return toolCalls.map((call) => ({
    type: 'tool-call',
    toolCallId: call.id,
    toolName: call.name,
    input: JSON.stringify(call.arguments ?? {}),
  }));
}

function endOf(result: ManagedTextResult) {
  return { finishReason: toFinishReason(result), usage: toUsage(result), providerMetadata: toMetadata(result) };
}

const finishReasons: Readonly<Record<string, AiSdkFinishReason['unified']>> = {
  stop: 'stop',
  length: 'length',
  content_filter: 'content-filter',
  tool_calls: 'tool-calls',
  function_call: 'tool-calls',
};

function toFinishReason({ finishReason }: ManagedTextResult): AiSdkFinishReason {
  return { unified: finishReasons[finishReason ?? ''] ?? 'other', raw: finishReason ?? undefined };
}

function toUsage({ usage }: ManagedTextResult): AiSdkUsage {
  const { inputTokens, outputTokens, cachedInputTokens, cacheWriteTokens, reasoningTokens } = usage as typeof usage & {
    readonly cachedInputTokens?: number;
    readonly cacheWriteTokens?: number;
    readonly reasoningTokens?: number;
  };
  const input = inputTokens ?? undefined;
  const output = outputTokens ?? undefined;
  return {
    inputTokens: {
      total: input,
      noCache: cachedInputTokens === undefined || input === undefined ? undefined : input - cachedInputTokens,
      cacheRead: cachedInputTokens,
      cacheWrite: cacheWriteTokens,
    },
    outputTokens: {
      total: output,
      text: reasoningTokens === undefined || output === undefined ? undefined : output - reasoningTokens,
      reasoning: reasoningTokens,
    },
  };
}
