import { InvalidInputError } from '../errors.js';
import { describeValue, requireTenantId } from './validate.js';

/** @throws {@link InvalidInputError} unless `options` is an object, and its `signal`, if it has one, is a signal. */
export function requireOptions(options: unknown, name = 'options'): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidInputError(`Expected \`${name}\` to be an object, got ${describeValue(options)}.`);
  }
  const { signal } = options as { readonly signal?: Partial<AbortSignal> | null };
  if (signal === undefined || typeof signal?.throwIfAborted === 'function') return;
  throw new InvalidInputError(`Expected \`${name}.signal\` to be an AbortSignal, got ${describeValue(signal)}.`);
}

/**
 * The options of a call that is made for a tenant.
 *
 * @throws {@link InvalidInputError} unless `options` is an object with a `tenantId`.
 */
export function requireTenantOptions(options: unknown): void {
  if (options === undefined) {
    throw new InvalidInputError('Expected `options` with a `tenantId`, such as `{ tenantId: 7 }`, got undefined.');
  }
  requireOptions(options);
  requireTenantId((options as { readonly tenantId?: unknown }).tenantId);
}
