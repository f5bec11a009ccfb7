import { InvalidInputError } from '../errors.js';

/** Says what came without showing it: a text or a key must never reach a message. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return value === '' ? 'an empty string' : `a string of ${value.length} characters`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Date) return 'a Date';
  return value === undefined ? 'undefined' : `a value of type ${typeof value}`;
}

/** An object with keys: neither null nor an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws {@link InvalidInputError} unless `value` is a positive safe integer. */
export function requirePositiveInteger(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a positive safe integer, got ${describeValue(value)}.`);
}

/** @throws {@link InvalidInputError} unless `value` is a positive safe integer. */
export function requireTenantId(value: unknown): number {
  return requirePositiveInteger(value, 'tenantId');
}

/** @throws {@link InvalidInputError} unless `value` is a string with at least one character. */
export function requireNonEmptyString(value: unknown, name: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new InvalidInputError(`Expected \`${name}\` to be a non-empty string, got ${describeValue(value)}.`);
}

/** @throws {@link InvalidInputError} unless `value` is a function. */
export function requireFunction(value: unknown, name: string): void {
  if (typeof value === 'function') return;
  throw new InvalidInputError(`Expected \`${name}\` to be a function, got ${describeValue(value)}.`);
}

/**
 * A part that another part is made with, such as a manager. Frameworks hand over `undefined` if they know no such part.
 *
 * @param methods - Some that it must have.
 * @param kind - What it is, such as `a ProviderFactory`.
 * @throws {@link InvalidInputError} that names the option and what belongs there.
 */
export function requireMethods(value: unknown, name: string, methods: readonly string[], kind: string): void {
  const object = Object(value) as Readonly<Record<string, unknown>>;
  const missing = methods.find((method) => typeof object[method] !== 'function');
  if (missing === undefined) return;
  const came = isRecord(value) ? `an object without the method \`${missing}\`` : describeValue(value);
  throw new InvalidInputError(`Expected \`${name}\` to be ${kind}, got ${came}.`);
}

/** @throws {@link InvalidInputError} unless `value` can be iterated and is not a string. */
export function requireSequence(value: unknown, name: string): void {
  const { [Symbol.iterator]: iterator, [Symbol.asyncIterator]: asyncIterator } = Object(value) as Partial<
    Iterable<unknown> & AsyncIterable<unknown>
  >;
  if (typeof value !== 'string' && (iterator ?? asyncIterator) !== undefined) return;
  throw new InvalidInputError(
    `Expected \`${name}\` to be an array or another iterable, also for a single one, got ${describeValue(value)}.`,
  );
}

/**
 * Texts to embed: an array of strings with at least one character each.
 *
 * @throws {@link InvalidInputError} with the position of the first text that is not.
 */
export function requireTexts(texts: unknown): readonly string[] {
  if (!Array.isArray(texts)) {
    throw new InvalidInputError(`Expected \`texts\` to be an array of strings, got ${describeValue(texts)}.`);
  }
  for (let position = 0; position < texts.length; position++) requireText(texts[position], 'texts', position);
  return texts;
}

/** @throws {@link InvalidInputError} with the position, unless `text` is a string with at least one character. */
export function requireText(text: unknown, listName: string, position: number): string {
  if (typeof text === 'string' && text !== '') return text;
  throw new InvalidInputError(
    `Expected \`${listName}[${position}]\` to be a non-empty string, got ${describeValue(text)}.`,
    { position },
  );
}

/**
 * A prompt: a non-empty string, or messages with a `role` and a string `content`.
 *
 * @throws {@link InvalidInputError} with the position of the first message that is not one.
 */
export function requirePrompt(prompt: unknown): void {
  if (typeof prompt === 'string' && prompt !== '') return;
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw new InvalidInputError(
      `Expected \`prompt\` to be a non-empty string or a non-empty array of messages, got ${describeValue(prompt)}.`,
    );
  }
  prompt.forEach((message: unknown, position) => {
    const { role, content } = (message ?? {}) as { role?: unknown; content?: unknown };
    const hasContent = typeof content === 'string' || (role === 'user' && Array.isArray(content) && content.length > 0);
    if (hasContent && ['system', 'user', 'assistant', 'tool'].includes(role as string)) return;
    throw new InvalidInputError(
      `Expected \`prompt[${position}]\` to be a message with a \`role\` (system, user, assistant or tool) and a string \`content\`, or parts for a user.`,
      { position },
    );
  });
}
