import { isObject, type JsonObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';
import { parseDatetime } from './datetime.js';
import { parseGeoBoundingBox, parseGeoPolygon, parseGeoRadius } from './geo.js';
import { parseTextMatch } from './text-match.js';

/** Tells from the values at a path (see `valuesAt`) whether a condition holds. */
export type ValuesCheck = (values: readonly unknown[]) => boolean;
type ValueCheck = (value: unknown) => boolean;

/** An index of a payload key, as it was declared. */
export type PayloadIndex = JsonObject;

const bounds = ['gt', 'gte', 'lt', 'lte'] as const;

/**
 * Parses what a field condition asks of its field. As in Qdrant 1.19 (`FieldCondition::check`): a count goes before `is_empty`, that before
 * `is_null`, that before the rest, of which one suffices where several are given; an array matches where one of its elements does.
 *
 * @param index - of the field: with one of texts, words are compared instead of characters; with one of keywords or integers, `except` means other values of
 *   that type.
 */
export function parseFieldCondition(condition: JsonObject, index: PayloadIndex | undefined): ValuesCheck {
  const given = (name: string): JsonObject | undefined => {
    const value = condition[name];
    if (value === undefined || value === null) return undefined;
    if (!isObject(value)) throw formatError(`\`${name}\` must be an object`);
    return value;
  };
  const count = given('values_count');
  if (count) return parseValuesCount(count);
  const isEmpty = optionalBoolean(condition, 'is_empty');
  if (isEmpty !== undefined)
    return (values) => (values.length === 0 ? isEmpty : values.some((v) => isEmptyValue(v) === isEmpty));
  const isNull = optionalBoolean(condition, 'is_null');
  if (isNull !== undefined)
    return (values) => (values.length === 0 ? !isNull : values.some((v) => holdsNull(v) === isNull));

  const checks: ValueCheck[] = [];
  const add = (name: string, parse: (value: JsonObject) => ValueCheck): void => {
    const value = given(name);
    if (value) checks.push(parse(value));
  };
  add('match', (match) => parseMatch(match, index));
  add('range', parseRange);
  add('geo_radius', parseGeoRadius);
  add('geo_bounding_box', parseGeoBoundingBox);
  add('geo_polygon', parseGeoPolygon);
  if (checks.length === 0) throw validationError('At least one field condition must be specified');
  const check: ValueCheck =
    checks.length === 1 ? (checks[0] as ValueCheck) : (value) => checks.some((one) => one(value));
  return (values) => values.some((value) => (Array.isArray(value) ? value.some(check) : check(value)));
}

function optionalBoolean(condition: JsonObject, name: string): boolean | undefined {
  const value = condition[name] ?? undefined;
  if (value !== undefined && typeof value !== 'boolean') throw formatError(`\`${name}\` must be a boolean`);
  return value;
}

/** Null and `[]`. */
export const isEmptyValue = (value: unknown): boolean => value === null || (Array.isArray(value) && value.length === 0);
export const holdsNull = (value: unknown): boolean => value === null || (Array.isArray(value) && value.includes(null));

/** Absent and null count as 0, a single value as 1. */
function parseValuesCount(condition: JsonObject): ValuesCheck {
  const check = compare(readBounds(condition, requireCount));
  const countOf = (value: unknown): number => (value === null ? 0 : Array.isArray(value) ? value.length : 1);
  return (values) => (values.length === 0 ? check(0) : values.some((value) => check(countOf(value))));
}

function requireCount(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw formatError('the bounds of `values_count` must be unsigned integers');
}

function parseRange(condition: JsonObject): ValueCheck {
  if (bounds.some((bound) => typeof condition[bound] === 'string')) {
    const check = compare(readBounds(condition, requireDatetime));
    return (value) => {
      const time = typeof value === 'string' ? parseDatetime(value) : undefined;
      return time !== undefined && check(time);
    };
  }
  const check = compare(readBounds(condition, requireNumber));
  return (value) => typeof value === 'number' && check(value);
}

function requireNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw formatError('the bounds of `range` must be finite numbers, or dates and times in RFC 3339');
}

function requireDatetime(value: unknown): bigint {
  const time = typeof value === 'string' ? parseDatetime(value) : undefined;
  if (time !== undefined) return time;
  throw formatError(
    'a bound of `range` does not match accepted datetime format (RFC3339). Example: 2014-01-01T00:00:00Z',
  );
}

type Bounds<Value> = Partial<Record<(typeof bounds)[number], Value>>;

function readBounds<Value>(condition: JsonObject, read: (value: unknown) => Value): Bounds<Value> {
  const result: Bounds<Value> = {};
  for (const bound of bounds) {
    const value = condition[bound];
    if (value !== undefined && value !== null) result[bound] = read(value);
  }
  return result;
}

function compare<Value extends number | bigint>({ gt, gte, lt, lte }: Bounds<Value>): (value: Value) => boolean {
  return (value) =>
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte) &&
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte);
}

/** The first of the known forms counts, in the order in which Qdrant tries them. */
function parseMatch(match: JsonObject, index: PayloadIndex | undefined): ValueCheck {
  const { value, any, except } = match;
  if (typeof value === 'string' || typeof value === 'boolean' || isInteger(value)) return (stored) => stored === value;
  const textMatch = parseTextMatch(match, index);
  if (textMatch) return textMatch;
  if (any !== undefined) {
    const accepted = requireAlikeScalars(any, 'any');
    return (stored) => accepted.has(stored);
  }
  if (except !== undefined) {
    const refused = requireAlikeScalars(except, 'except');
    const isCounted = countedBy(index);
    return (stored) => isCounted(stored) && !refused.has(stored);
  }
  throw formatError(
    '`match` must have a `value` (a string, an integer or a boolean), `text`, `text_any`, `phrase`, `prefix`, `any` or `except`',
  );
}

/** An index knows only the values of its type. */
function countedBy(index: PayloadIndex | undefined): ValueCheck {
  if (index?.type === 'integer') return isInteger;
  if (index?.type === 'keyword') return (stored) => typeof stored === 'string';
  return (stored) => stored !== null;
}

function requireAlikeScalars(list: unknown, name: string): ReadonlySet<unknown> {
  const items: readonly unknown[] = Array.isArray(list) ? list : [undefined];
  if (items.every((item) => typeof item === 'string') || items.every(isInteger)) return new Set<unknown>(items);
  throw formatError(`\`${name}\` must be a list of strings or a list of integers`);
}

const isInteger = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value);
