import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions';
import type { StandardSchema } from '../../core/standard-schema.js';
import { estimateTaskComplexity, type TaskTier } from '../../core/task-complexity.js';
import type { ModelChoice, TextMessage, TextOptions, TextPrompt } from '../../core/text-provider.js';
import { InvalidInputError } from '../../errors.js';
import { describeValue, requirePrompt } from '../../internal/validate.js';
import type { ResolvedWexGatewayOptions } from './wex-gateway-options.js';

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
  const messages = messagesOf(prompt, options.system);
  checkOptions(options);
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

function messagesOf(prompt: TextPrompt, system: string | undefined): TextMessage[] {
  requirePrompt(prompt);
  const messages: readonly TextMessage[] = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  return system === undefined ? [...messages] : [{ role: 'system', content: system }, ...messages];
}

function checkOptions({ model, temperature, maxTokens, stop, tools = [], toolChoice }: TextOptions): void {
  const check = (isGood: boolean, name: string, expected: string, value: unknown) => {
    if (!isGood) throw new InvalidInputError(`Expected \`${name}\` to be ${expected}, got ${describeValue(value)}.`);
  };
  check(model === undefined || (typeof model === 'string' && model !== ''), 'model', 'a non-empty string', model);
  check(
    temperature === undefined || (temperature >= 0 && temperature <= 2),
    'temperature',
    'a number from 0 to 2',
    temperature,
  );
  check(
    maxTokens === undefined || (Number.isSafeInteger(maxTokens) && maxTokens > 0),
    'maxTokens',
    'a positive integer',
    maxTokens,
  );
  check(
    stop === undefined || (stop.length <= 4 && stop.every((text) => typeof text === 'string' && text !== '')),
    'stop',
    'up to four non-empty strings',
    stop,
  );
  tools.forEach(({ name, parameters }, position) => {
    check(/^[\w-]{1,64}$/.test(name), `tools[${position}].name`, '1 to 64 letters, digits, `_` or `-`', name);
    check(typeof parameters === 'object', `tools[${position}].parameters`, 'a JSON Schema object', parameters);
  });
  const chosen = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  check(
    chosen === undefined || tools.some(({ name }) => name === chosen),
    'toolChoice.name',
    'the name of one of `tools`',
    chosen,
  );
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
      function: { name, arguments: JSON.stringify(args) },
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
  const described = jsonSchema ?? schema['~standard']?.jsonSchema?.input({ target: 'draft-07' });
  if (described === undefined) {
    throw new InvalidInputError(
      'Expected `jsonSchema` beside `schema`, since this schema cannot describe itself as JSON Schema.',
    );
  }
  const { $schema, ...wire } = described as Record<string, unknown>;
  return { type: 'json_schema', json_schema: { name: 'output', schema: wire } };
}
