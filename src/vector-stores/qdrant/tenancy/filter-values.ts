import { isWellFormed } from '../../../core/index/check-record.js';
import { InvalidInputError } from '../../../errors.js';
import { describeValue } from '../../../internal/validate.js';

// The single values of a filter. Each function returns the value, or throws an `InvalidInputError` that names its path.

const keyPath = /^(?:[\p{Alphabetic}\p{N}_-]+|"[^\\"]*")(?:\.(?:[\p{Alphabetic}\p{N}_-]+|"[^\\"]*")|\[\d{0,15}\])*$/u;
const uuid = /^(?:urn:uuid:)?\{?[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?$/i;
/** RFC 3339, or without seconds, time or zone. */
const datetime =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?:[Tt ](?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d+)?\s*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)?)?)?$/;

export function requireText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw unexpected(path, 'a string', value);
  if (isWellFormed(value)) return value;
  throw new InvalidInputError(`Expected \`${path}\` to be well-formed text, got half of a surrogate pair: was it cut?`);
}

/**
 * A payload key: names joined by dots, those with other signs than letters, digits, `_` and `-` in quotes; `[]` enters
 * an array.
 */
export function requireKeyPath(value: unknown, path: string): string {
  if (typeof value === 'string' && keyPath.test(value) && isWellFormed(value)) return value;
  throw unexpected(path, 'a payload key such as `title`, `a.b`, `list[].a` or `"with spaces"`', value);
}

export function requirePointId(value: unknown, path: string): string | number {
  if (typeof value === 'string' && uuid.test(value)) return value;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw unexpected(path, 'a point id (a UUID or an unsigned integer)', value);
}

export function requireScalar(value: unknown, path: string): string | number | boolean {
  if (typeof value === 'string') return requireText(value, path);
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return value as number | boolean;
  throw unexpected(path, 'a string, a boolean or a safe integer', value);
}

export function requireOneType(value: unknown, path: string): readonly unknown[] {
  const values = list(value, path);
  if (values.every((entry) => Number.isSafeInteger(entry))) return values;
  if (values.every((entry) => typeof entry === 'string')) {
    return values.map((entry, i) => requireText(entry, `${path}[${i}]`));
  }
  throw new InvalidInputError(`Expected \`${path}\` to be an array of strings or an array of safe integers.`);
}

export function requireNumber(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw unexpected(path, 'a finite number', value);
}

/** One end of a range: a number, or a date and time. */
export function requireBound(value: unknown, path: string): string | number {
  if (typeof value !== 'string') return requireNumber(value, path);
  if (datetime.test(value)) return value;
  throw unexpected(path, 'a number or a date such as 2026-01-31T12:00:00Z', value);
}

export function requireCount(value: unknown, path: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw unexpected(path, 'an unsigned integer', value);
}

export function requirePositiveCount(value: unknown, path: string): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  throw unexpected(path, 'a positive integer', value);
}

export function list(value: unknown, path: string): readonly unknown[] {
  if (Array.isArray(value)) return Array.from(value);
  throw unexpected(path, 'an array', value);
}

export function unexpected(path: string, expected: string, value: unknown): InvalidInputError {
  return new InvalidInputError(`Expected \`${path}\` to be ${expected}, got ${describeValue(value)}.`);
}
