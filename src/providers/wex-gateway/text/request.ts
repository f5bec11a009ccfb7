import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions';
import type { StandardSchema } from '../../../core/ports/standard-schema.js';
import type { ModelChoice, TextMessage, TextOptions, TextPrompt } from '../../../core/ports/text-provider.js';
import { estimateTaskComplexity, type TaskTier } from '../../../core/routing/task-complexity.js';
import { InvalidInputError } from '../../../errors.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import { requireMessages, requireTextOptions } from './checks.js';

/** The body of `POST /chat/completions`, without what streaming adds. */
interface TextRequest {
  readonly model: string;
  readonly messages: WireMessage[];
  readonly [parameter: string]: unknown;
}

type WireMessage = { readonly role: string; readonly content: string } & Readonly<Record<string, unknown>>;

/** The same to the client's types. */
export type WireParameters = ChatCompletionCreateParams;

export interface PlannedText {
  readonly request: TextRequest;
  readonly modelChoice: ModelChoice | undefined;
}

/**
 * What to send for a prompt: only what the API knows, never a row's other keys.
 *
 * @throws `InvalidInputError` naming the option or message that cannot be used.
 */
export function planText(prompt: TextPrompt, options: TextOptions, settings: ResolvedWexGatewayOptions): PlannedText {
  requireTextOptions(options);
  const { system } = options;
  const asked = requireMessages(prompt);
  const messages = system === undefined ? asked : [{ role: 'system' as const, content: system }, ...asked];
  const { model, modelChoice } = chooseModel(messages, options, settings);
  const temperature = options.temperature ?? settings.temperature;
  const maxTokens = options.maxTokens ?? settings.maxTokens;
  const { stop, tools = [], toolChoice, schema } = options;
  const request = {
    model,
    messages: messages.map(toWire),
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : maxTokensParameter(model, maxTokens)),
    ...(stop === undefined ? {} : { stop: [...stop] }),
    ...(tools.length === 0 ? {} : { tools: tools.map((tool) => ({ type: 'function', function: { ...tool } })) }),
    ...(toolChoice === undefined ? {} : { tool_choice: toolChoiceParameter(toolChoice) }),
    ...(schema === undefined ? {} : { response_format: responseFormat(schema, options.jsonSchema) }),
  };
  return { request, modelChoice };
}

const tierOrder: { readonly [Tier in TaskTier]: readonly TaskTier[] } = {
  simple: ['simple', 'standard', 'complex'],
  standard: ['standard', 'complex', 'simple'],
  complex: ['complex', 'standard', 'simple'],
};

function chooseModel(
  messages: readonly TextMessage[],
  { model, tier, schema, tools }: TextOptions,
  { textModel, textModels }: ResolvedWexGatewayOptions,
): { model: string; modelChoice: ModelChoice | undefined } {
  if (model !== undefined || textModels === undefined) return { model: model ?? textModel, modelChoice: undefined };
  const choice =
    tier === undefined ? estimate(messages, schema !== undefined, tools?.length ?? 0) : { tier, reason: 'asked for' };
  const named = tierOrder[choice.tier].map((each) => textModels[each]).find((each) => each !== undefined);
  return { model: named ?? textModel, modelChoice: choice };
}

function estimate(messages: readonly TextMessage[], hasSchema: boolean, toolCount: number): ModelChoice {
  const text = messages.map(({ content }) => content).join('\n');
  const { tier, signs } = estimateTaskComplexity({ text, hasSchema, toolCount });
  return { tier, reason: signs.length === 0 ? 'no sign of difficulty' : `estimated: ${signs.join(', ')}` };
}

function toWire(message: TextMessage): WireMessage {
  if (message.role === 'tool') {
    return { role: 'tool', content: message.content, tool_call_id: message.toolCallId };
  }
  if (message.role !== 'assistant' || !message.toolCalls?.length) {
    return { role: message.role, content: message.content };
  }
  return {
    role: 'assistant',
    content: message.content,
    tool_calls: message.toolCalls.map(({ id, name, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: JSON.stringify(args ?? {}) },
    })),
  };
}

/** OpenAI's reasoning models refuse `max_tokens`; most other servers know nothing else. */
function maxTokensParameter(model: string, maxTokens: number) {
  return /(^|[-/])(o\d|gpt-[5-9])/i.test(model) ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens };
}

function toolChoiceParameter(choice: NonNullable<TextOptions['toolChoice']>) {
  return typeof choice === 'object' ? { type: 'function', function: { name: choice.name } } : choice;
}

function responseFormat(schema: StandardSchema, jsonSchema: TextOptions['jsonSchema']) {
  const { $schema, ...wire } = jsonSchema ?? selfDescribed(schema);
  return { type: 'json_schema', json_schema: { name: 'output', schema: wire } };
}

function selfDescribed(schema: StandardSchema): Readonly<Record<string, unknown>> {
  let cause: unknown;
  try {
    const described = schema['~standard'].jsonSchema?.input({ target: 'draft-07' });
    if (described !== undefined) return described;
  } catch (error) {
    // As of a date, which JSON does not have.
    cause = error;
  }
  throw new InvalidInputError(
    'Expected `jsonSchema` beside `schema`, since this schema cannot describe itself as JSON Schema.',
    cause === undefined ? {} : { cause },
  );
}
