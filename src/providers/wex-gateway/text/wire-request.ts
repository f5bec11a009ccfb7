import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions';
import type { TextOptions } from '../../../core/ports/text-provider.js';
import type { Refusal } from '../calls/to-provider-error.js';
import { isOpenAiReasoningModel } from '../model-names.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import type { TextSettings } from '../settings.js';
import { returnedFields, toWireMessage, type WireMessage } from './messages.js';
import type { PlannedSchema, PlannedText } from './request.js';

/** How a request to one model is made, as far as servers differ: what was learned from their refusals. */
export interface TextShape {
  readonly maxTokensParameter: 'max_tokens' | 'max_completion_tokens';
  readonly hasStreamOptions: boolean;
  readonly schemaForm: 'strict_schema' | 'json_schema' | 'json_object' | 'instruction';
  /** Parameters of the row that the model refuses. */
  readonly dropped: readonly string[];
  /** Whether turns carry what their server gave with them. */
  readonly hasProviderData: boolean;
}

type Parameter = Exclude<keyof ChatCompletionCreateParams, 'messages' | 'model'>;

/** What the parameters of text are called on the wire; the compiler checks them against OpenAI's types. */
const wireNames = {
  temperature: 'temperature',
  topP: 'top_p',
  seed: 'seed',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  reasoningEffort: 'reasoning_effort',
  serviceTier: 'service_tier',
  parallelToolCalls: 'parallel_tool_calls',
  user: 'user',
  metadata: 'metadata',
} as const satisfies { readonly [Setting in keyof TextSettings]?: Parameter };

export function firstShape(plan: PlannedText, options: ResolvedWexGatewayOptions): TextShape {
  const { maxTokensParameter, streamUsage, structuredOutput } = options;
  const byName = isOpenAiReasoningModel(plan.model) ? 'max_completion_tokens' : 'max_tokens';
  return {
    maxTokensParameter: maxTokensParameter === 'auto' ? byName : maxTokensParameter,
    hasStreamOptions: streamUsage !== false,
    schemaForm: structuredOutput === 'auto' || structuredOutput === 'json_schema' ? 'strict_schema' : structuredOutput,
    dropped: [],
    hasProviderData: true,
  };
}

/** The body of `POST /chat/completions`. */
export function wireBody(
  plan: PlannedText,
  shape: TextShape,
  host: string,
  isStream: boolean,
): Record<string, unknown> {
  const { schema, settings, rowSettings, tools, stop, toolChoice } = plan;
  const all: TextSettings = { ...rowSettings, ...settings };
  const parameters: Record<string, unknown> = {};
  for (const [setting, name] of Object.entries(wireNames)) {
    const value = all[setting as keyof typeof wireNames];
    if (value !== undefined && !shape.dropped.includes(name)) parameters[name] = value;
  }
  return {
    model: plan.model,
    messages: wireMessages(plan, shape, host),
    ...parameters,
    ...(all.maxTokens === undefined ? {} : { [shape.maxTokensParameter]: all.maxTokens }),
    ...(stop === undefined ? {} : { stop: [...stop] }),
    ...(tools === undefined ? {} : { tools: tools.map((tool) => ({ type: 'function', function: { ...tool } })) }),
    ...(toolChoice === undefined ? {} : { tool_choice: toolChoiceParameter(toolChoice) }),
    ...responseFormat(schema, shape.schemaForm),
    ...(isStream ? { stream: true } : {}),
    ...(isStream && shape.hasStreamOptions ? { stream_options: { include_usage: true } } : {}),
    ...all.extraBody,
  };
}

function wireMessages({ messages, schema }: PlannedText, shape: TextShape, host: string): WireMessage[] {
  const wire = messages.map((message) => toWireMessage(message, shape.hasProviderData ? host : ''));
  const needsWords = schema !== undefined && (shape.schemaForm === 'json_object' || shape.schemaForm === 'instruction');
  if (!needsWords) return wire;
  const instruction = `Answer with one JSON value and nothing else. It must satisfy this JSON Schema: ${JSON.stringify(schema.jsonSchema)}`;
  return [{ role: 'system', content: instruction }, ...wire];
}

function toolChoiceParameter(choice: NonNullable<TextOptions['toolChoice']>) {
  return typeof choice === 'object' ? { type: 'function', function: { name: choice.name } } : choice;
}

function responseFormat(schema: PlannedSchema | undefined, form: TextShape['schemaForm']) {
  if (schema === undefined || form === 'instruction') return {};
  if (form === 'json_object') return { response_format: { type: 'json_object' } };
  const strict = form === 'strict_schema' && schema.isStrict ? { strict: true } : {};
  return {
    response_format: { type: 'json_schema', json_schema: { name: 'output', ...strict, schema: schema.jsonSchema } },
  };
}

/**
 * The shape to try after a refusal; undefined if the refusal is not about the shape.
 *
 * @param body - What was refused.
 */
export function nextShape(
  { kind, failure }: Refusal,
  shape: TextShape,
  plan: PlannedText,
  options: ResolvedWexGatewayOptions,
  body: Readonly<Record<string, unknown>>,
): TextShape | undefined {
  const says = `${failure.param ?? ''} ${failure.words.join(' ')} ${failure.message}`;
  const isAbout = (...names: readonly string[]) => names.some((name) => says.includes(name));
  const { parameter } = kind;

  const isLimit = isAbout('max_tokens', 'max_completion_tokens');
  if (isLimit && options.maxTokensParameter === 'auto' && shape.maxTokensParameter in body) {
    const other = shape.maxTokensParameter === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
    const isUnknown = isAbout(other) || /unsupported|not supported|unknown|unrecogni|extra|not permitted/i.test(says);
    return isUnknown ? { ...shape, maxTokensParameter: other } : undefined;
  }
  if (
    body.stream_options !== undefined &&
    options.streamUsage === 'auto' &&
    isAbout('stream_options', 'include_usage')
  ) {
    return { ...shape, hasStreamOptions: false };
  }
  if (shape.hasProviderData && isAbout(...returnedFields) && carriesProviderData(body)) {
    return { ...shape, hasProviderData: false };
  }
  const droppable = Object.entries(wireNames).find(([, name]) => name === parameter)?.[0] as
    | keyof TextSettings
    | undefined;
  if (parameter !== undefined && droppable !== undefined && plan.rowSettings[droppable] !== undefined) {
    return { ...shape, dropped: [...shape.dropped, parameter] };
  }
  const isFormat =
    parameter !== 'tools' &&
    isAbout('response_format', 'json_schema', 'json_object', 'structured output', "'strict'", 'schema');
  if (plan.schema !== undefined && options.structuredOutput === 'auto' && isFormat) return nextForm(shape, plan.schema);
  return undefined;
}

function nextForm(shape: TextShape, { isStrict }: PlannedSchema): TextShape | undefined {
  const forms = ['strict_schema', 'json_schema', 'json_object', 'instruction'] as const;
  // Without a schema that strict mode takes, the first two are the same.
  const steps = shape.schemaForm === 'strict_schema' && !isStrict ? 2 : 1;
  const next = forms[forms.indexOf(shape.schemaForm) + steps];
  return next === undefined ? undefined : { ...shape, schemaForm: next };
}

function carriesProviderData({ messages }: Readonly<Record<string, unknown>>): boolean {
  const turns = JSON.stringify(messages);
  return returnedFields.some((name) => turns.includes(`"${name}"`));
}

/** What differs between two shapes, in words for a log. */
export function changesOf(from: TextShape, to: TextShape): string[] {
  const dropped = to.dropped.filter((name) => !from.dropped.includes(name)).map((name) => `without ${name}`);
  return [
    ...(from.maxTokensParameter === to.maxTokensParameter
      ? []
      : [`${to.maxTokensParameter} in place of ${from.maxTokensParameter}`]),
    ...(from.hasStreamOptions === to.hasStreamOptions
      ? []
      : ['streams without stream_options, so without token counts']),
    ...(from.schemaForm === to.schemaForm ? [] : [`a schema as ${to.schemaForm}`]),
    ...(from.hasProviderData === to.hasProviderData ? [] : ['turns without what their server gave with them']),
    ...dropped,
  ];
}
