import type { TextMessage, TextOptions, TextPart, TextPrompt, Tool } from '../../../core/ports/text-provider.js';
import { InvalidInputError } from '../../../errors.js';
import { describeValue, isRecord, requirePrompt } from '../../../internal/validate.js';
import { textRules } from '../settings.js';

/** What is asked of one option. The value may be anything: the caller may be JavaScript. */
interface OptionRule {
  readonly expected: string;
  accepts(value: unknown): boolean;
}

const isName = (value: unknown) => typeof value === 'string' && value !== '';

/** `signal`, `purpose`, `hasFallback` and `usageRecorder` are looked at if they are used. */
type CheckedOption = Exclude<keyof TextOptions, 'signal' | 'purpose' | 'hasFallback' | 'usageRecorder'>;

/** Also the names of all options, since a misspelt one would be ignored without a word. */
export const textOptionRules: { readonly [Option in CheckedOption]: OptionRule } = {
  ...textRules,
  model: { expected: 'a non-empty string', accepts: isName },
  tier: {
    expected: "'simple', 'standard' or 'complex'",
    accepts: (value) => ['simple', 'standard', 'complex'].includes(value as string),
  },
  system: { expected: 'a string', accepts: (value) => typeof value === 'string' },
  stop: {
    expected: 'up to four non-empty strings',
    accepts: (value) => Array.isArray(value) && value.length <= 4 && value.every(isName),
  },
  schema: {
    expected: 'a Standard Schema, such as one of Zod',
    accepts: (value) => typeof (value as TextOptions['schema'])?.['~standard']?.validate === 'function',
  },
  jsonSchema: { expected: 'a JSON Schema object', accepts: isRecord },
  tools: { expected: 'an array of tools', accepts: Array.isArray },
  toolChoice: {
    expected: "'auto', 'none', 'required' or the `name` of a tool",
    accepts: (value) =>
      ['auto', 'none', 'required'].includes(value as string) || (isRecord(value) && isName(value.name)),
  },
};

/** @throws `InvalidInputError` naming the option that cannot be used. */
export function requireTextOptions(options: TextOptions): void {
  for (const [name, { expected, accepts }] of Object.entries(textOptionRules)) {
    const value = options[name as keyof TextOptions];
    if (value !== undefined && !accepts(value)) throw unusable(name, expected, value);
  }
  const { tools = [], toolChoice, schema, jsonSchema } = options;
  tools.forEach(requireTool);
  const chosen = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  if (chosen !== undefined && !tools.some(({ name }) => name === chosen)) {
    throw unusable('toolChoice.name', 'the name of one of `tools`', chosen);
  }
  if (toolChoice !== undefined && tools.length === 0) {
    throw new InvalidInputError('Expected `tools` together with `toolChoice`.');
  }
  if (jsonSchema !== undefined && schema === undefined) {
    throw new InvalidInputError('Expected `schema` together with `jsonSchema`, to validate what comes.');
  }
}

function requireTool(tool: Tool, position: number): void {
  const { name, description, parameters } = (tool ?? {}) as Partial<Tool>;
  const at = `tools[${position}]`;
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)) {
    throw unusable(`${at}.name`, '1 to 64 letters, digits, `_` or `-`', name);
  }
  if (description !== undefined && typeof description !== 'string') {
    throw unusable(`${at}.description`, 'a string', description);
  }
  if (!isRecord(parameters)) throw unusable(`${at}.parameters`, 'a JSON Schema object', parameters);
}

/** @throws `InvalidInputError` with the position of the message that cannot be used. */
export function requireMessages(prompt: TextPrompt): readonly TextMessage[] {
  requirePrompt(prompt);
  if (typeof prompt === 'string') return [{ role: 'user', content: prompt }];
  prompt.forEach((message, position) => {
    const check = (isGood: boolean, name: string, expected: string, value: unknown) => {
      if (!isGood) throw unusable(`prompt[${position}].${name}`, expected, value, position);
    };
    if (message.role === 'tool') {
      check(isName(message.toolCallId), 'toolCallId', 'a non-empty string', message.toolCallId);
    }
    if (message.role === 'user' && Array.isArray(message.content)) {
      message.content.forEach((part: unknown, at) => {
        check(isPart(part), `content[${at}]`, 'a text, or an image with bytes or an address', part);
      });
    }
    if (message.role !== 'assistant' || message.toolCalls === undefined) return;
    const areCalls = (calls: unknown) =>
      Array.isArray(calls) && calls.every((call) => isRecord(call) && isName(call.id) && isName(call.name));
    check(areCalls(message.toolCalls), 'toolCalls', 'calls with an `id` and a `name`', message.toolCalls);
  });
  return prompt;
}

function isPart(part: unknown): part is TextPart {
  if (!isRecord(part)) return false;
  if (part.type === 'text') return typeof part.text === 'string';
  const { type, image, detail } = part;
  if (type !== 'image' || !['auto', 'low', 'high', undefined].includes(detail as string | undefined)) return false;
  if (image instanceof Uint8Array) return image.length > 0;
  return image instanceof URL || (typeof image === 'string' && /^(https?:\/\/|data:image\/)/.test(image));
}

function unusable(name: string, expected: string, value: unknown, position?: number): InvalidInputError {
  const message = `Expected \`${name}\` to be ${expected}, got ${describeValue(value)}.`;
  return new InvalidInputError(message, position === undefined ? {} : { position });
}
