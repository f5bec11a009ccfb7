import type { BaseLanguageModelInput } from '@langchain/core/language_models/base';
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
} from '@langchain/core/language_models/chat_models';
import { AIMessageChunk, type BaseMessage } from '@langchain/core/messages';
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs';
import type { Runnable } from '@langchain/core/runnables';
import { convertToOpenAITool } from '@langchain/core/utils/function_calling';
import type { HybridProviderManager } from '../../core/calls/hybrid-provider-manager.js';
import type { TextOptions, Tool } from '../../core/ports/text-provider.js';
import { requireTenantId } from '../../internal/validate.js';
import { describeAnswer, toAIMessage, toTextMessage } from './messages.js';

export interface PulseChatModelOptions extends BaseChatModelParams {
  readonly manager: Pick<HybridProviderManager, 'generateText' | 'streamText'>;
  readonly tenantId: number;
  /** A model in place of the integration's own. */
  readonly model?: string | undefined;
  /** As in the manager's calls. @default 'auto' */
  readonly preferredProvider?: string | undefined;
  /** 0 to 2. @default the integration's */
  readonly temperature?: number | undefined;
  /** The most tokens to generate. @default the integration's */
  readonly maxTokens?: number | undefined;
}

export interface PulseChatCallOptions extends BaseChatModelCallOptions {
  readonly tools?: readonly Tool[];
}

/**
 * The tenant's text providers as a chat model of LangChain. What a call cost and who served it is in
 * `response_metadata`.
 *
 * @example
 * const model = new PulseChatModel({ manager, tenantId: 7 });
 * const answer = await model.bindTools([searchTool]).invoke('Which imports failed?');
 */
export class PulseChatModel extends BaseChatModel<PulseChatCallOptions> {
  readonly #options: PulseChatModelOptions;

  constructor(options: PulseChatModelOptions) {
    // The manager retries and fails over itself.
    super({ maxRetries: 0, ...options });
    requireTenantId(options.tenantId);
    this.#options = options;
  }

  _llmType(): string {
    return 'pulse';
  }

  override bindTools(
    tools: BindToolsInput[],
    options: Partial<PulseChatCallOptions> = {},
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, PulseChatCallOptions> {
    return this.withConfig({ ...options, tools: tools.map(toTool) });
  }

  async _generate(messages: BaseMessage[], options: this['ParsedCallOptions']): Promise<ChatResult> {
    const result = await this.#options.manager.generateText(messages.map(toTextMessage), this.#textOptions(options));
    const message = toAIMessage(result);
    return { generations: [{ text: result.text, message }], llmOutput: message.response_metadata };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: Parameters<BaseChatModel['_streamResponseChunks']>[2],
  ): AsyncGenerator<ChatGenerationChunk> {
    const chunks = this.#options.manager.streamText(messages.map(toTextMessage), this.#textOptions(options));
    for await (const chunk of chunks) {
      if (chunk.type === 'text') {
        const { text } = chunk;
        yield new ChatGenerationChunk({ text, message: new AIMessageChunk({ content: text }) });
        await runManager?.handleLLMNewToken(text);
        continue;
      }
      const calls = (chunk.result.toolCalls ?? []).map(({ id, name, arguments: args }, index) => ({
        id,
        name,
        index,
        args: JSON.stringify(args ?? {}),
        type: 'tool_call_chunk' as const,
      }));
      const message = describeAnswer(new AIMessageChunk({ content: '', tool_call_chunks: calls }), chunk.result);
      yield new ChatGenerationChunk({ text: '', message });
    }
  }

  #textOptions({ signal, stop, tools, tool_choice: choice }: this['ParsedCallOptions']) {
    const { tenantId, model, preferredProvider, temperature, maxTokens } = this.#options;
    return {
      ...{ tenantId, model, preferredProvider, temperature, maxTokens, signal },
      ...(stop === undefined ? {} : { stop }),
      ...(tools === undefined ? {} : { tools, toolChoice: toToolChoice(choice) }),
    };
  }
}

function toTool(input: BindToolsInput): Tool {
  const { name, description, parameters } = convertToOpenAITool(
    input as Parameters<typeof convertToOpenAITool>[0],
  ).function;
  return { name, description, parameters: (parameters ?? {}) as Tool['parameters'] };
}

/** LangChain says `any` for `required`, and a bare name for the one tool. */
function toToolChoice(choice: BaseChatModelCallOptions['tool_choice']): TextOptions['toolChoice'] {
  if (choice === undefined) return undefined;
  if (choice === 'auto' || choice === 'none') return choice as 'auto' | 'none';
  if (choice === 'any' || choice === 'required') return 'required';
  return { name: typeof choice === 'string' ? choice : String(choice.function?.name ?? choice.name) };
}
