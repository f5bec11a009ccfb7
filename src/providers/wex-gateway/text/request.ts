import type { StandardSchema } from '../../../core/ports/standard-schema.js';
import type { ModelChoice, TextMessage, TextOptions, TextPrompt } from '../../../core/ports/text-provider.js';
import { estimateTaskComplexity, type TaskTier } from '../../../core/routing/task-complexity.js';
import { InvalidInputError } from '../../../errors.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import { type ModelWithSettings, type TextSettings, textSettingNames } from '../settings.js';
import { requireMessages, requireTextOptions } from './checks.js';
import { wordsOf } from './messages.js';
import { isStrictSchema } from './strict-schema.js';

/** What is asked for, before it takes the shape that a server is known to take. */
export interface PlannedText {
  readonly model: string;
  readonly modelChoice: ModelChoice | undefined;
  readonly messages: readonly TextMessage[];
  /** What the call or its model set: a refusal of it is the caller's to repair. */
  readonly settings: TextSettings;
  /** What only the row sets, for all of its models: a model that refuses it goes without. */
  readonly rowSettings: TextSettings;
  readonly stop: readonly string[] | undefined;
  readonly tools: TextOptions['tools'];
  readonly toolChoice: TextOptions['toolChoice'];
  readonly schema: PlannedSchema | undefined;
  /** All texts of the prompt. */
  readonly inputs: readonly string[];
}

export interface PlannedSchema {
  readonly jsonSchema: Readonly<Record<string, unknown>>;
  readonly isStrict: boolean;
}

/**
 * What to send for a prompt: only what the API knows, never a row's other keys.
 *
 * @throws `InvalidInputError` naming the option or message that cannot be used.
 */
export function planText(prompt: TextPrompt, options: TextOptions, settings: ResolvedWexGatewayOptions): PlannedText {
  requireTextOptions(options);
  const { system, stop, tools, toolChoice, schema } = options;
  const asked = requireMessages(prompt);
  const messages = system === undefined ? asked : [{ role: 'system' as const, content: system }, ...asked];
  const { chosen, modelChoice } = chooseModel(messages, options, settings);
  const ofModel = typeof chosen === 'string' ? { model: chosen } : chosen;
  const { set, left } = layered(options, ofModel, settings);
  return {
    model: ofModel.model,
    modelChoice,
    messages,
    settings: set,
    rowSettings: left,
    stop,
    tools: tools?.length ? tools : undefined,
    toolChoice,
    schema: schema && planSchema(schema, options.jsonSchema, set.strict ?? left.strict ?? 'auto'),
    inputs: messages.flatMap(wordsOf),
  };
}

/** The call's parameters before those of the model, and those before the row's. Objects are merged. */
function layered(call: TextSettings, model: ModelWithSettings, row: TextSettings) {
  const set: Record<string, unknown> = {};
  const left: Record<string, unknown> = {};
  for (const name of textSettingNames) {
    const [ofCall, ofModel, ofRow] = [call[name], model[name], row[name]];
    if (name === 'extraBody' || name === 'extraQuery' || name === 'metadata') {
      const merged = { ...(ofRow as object), ...(ofModel as object), ...(ofCall as object) };
      if (Object.keys(merged).length > 0) set[name] = merged;
    } else if (ofCall !== undefined) set[name] = ofCall;
    else if (ofModel !== undefined && ofModel !== null) set[name] = ofModel;
    else if (ofModel !== null && ofRow !== undefined) left[name] = ofRow;
  }
  return { set: set as TextSettings, left: left as TextSettings };
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
): { chosen: string | ModelWithSettings; modelChoice: ModelChoice | undefined } {
  if (model !== undefined || textModels === undefined) return { chosen: model ?? textModel, modelChoice: undefined };
  const choice =
    tier === undefined ? estimate(messages, schema !== undefined, tools?.length ?? 0) : { tier, reason: 'asked for' };
  const named = tierOrder[choice.tier].map((each) => textModels[each]).find((each) => each !== undefined);
  return { chosen: named ?? textModel, modelChoice: choice };
}

function estimate(messages: readonly TextMessage[], hasSchema: boolean, toolCount: number): ModelChoice {
  const text = messages.flatMap(wordsOf).join('\n');
  const { tier, signs } = estimateTaskComplexity({ text, hasSchema, toolCount });
  return { tier, reason: signs.length === 0 ? 'no sign of difficulty' : `estimated: ${signs.join(', ')}` };
}

function planSchema(schema: StandardSchema, given: TextOptions['jsonSchema'], strict: boolean | 'auto'): PlannedSchema {
  const { $schema, ...jsonSchema } = given ?? selfDescribed(schema);
  return { jsonSchema, isStrict: strict === 'auto' ? isStrictSchema(jsonSchema) : strict };
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
    'Expected `jsonSchema` together with `schema`, since this schema cannot describe itself as JSON Schema.',
    cause === undefined ? {} : { cause },
  );
}
