import { InvalidInputError } from '../../../errors.js';

/** Of models that are named without one. */
export const defaultOrganisation = 'sentence-transformers/';

/** @throws {@link InvalidInputError} unless it is a Hub id, such as `all-MiniLM-L6-v2` or `intfloat/e5-small-v2`. */
export function hubIdOf(model: string): string {
  const segment = /^(?!\.+$)[\w.-]+$/;
  const segments = model.split('/');
  if (segments.length > 2 || !segments.every((part) => segment.test(part))) {
    throw new InvalidInputError('Expected `model` to be a model id such as all-MiniLM-L6-v2 or intfloat/e5-small-v2.');
  }
  return segments.length === 1 ? defaultOrganisation + model : model;
}
