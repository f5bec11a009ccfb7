import { InvalidInputError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';

/** @throws {@link InvalidInputError} for a kind of text that is not known: it would silently get no prompt. */
export function requireInputType(inputType: unknown): void {
  if (inputType === undefined || inputType === 'document' || inputType === 'query') return;
  throw new InvalidInputError(`Expected \`inputType\` to be document or query, got ${describeValue(inputType)}.`);
}

/** @throws {@link InvalidInputError} unless the texts can be iterated; a string would be a stream of its characters. */
export function requireSource(texts: unknown): void {
  if (typeof texts === 'object' && texts !== null && (Symbol.iterator in texts || Symbol.asyncIterator in texts))
    return;
  throw new InvalidInputError(
    `Expected \`texts\` to be an iterable or async iterable of strings, got ${describeValue(texts)}.`,
  );
}
