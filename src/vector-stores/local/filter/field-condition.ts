import { isObject, type JsonObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';
import { parseDatetime } from './datetime.js';
import { parseGeoBoundingBox, parseGeoPolygon, parseGeoRadius } from './geo.js';
import {
  type Bounds,
  heldBy,
  isInteger,
  isWithin,
  type PayloadIndex,
  placeOfIndex,
  rangeOfIndex,
  type ValueCheck,
} from './payload-index.js';
import { parseTextMatch, type TextsCheck } from './text-match.js';

/** Whether a condition holds, from the values at a path (see `valuesAt`). */
export type ValuesCheck = (values: readonly unknown[]) => boolean;

/** What a field condition asks of the values at its field. */
export interface FieldTest {
  readonly check: ValuesCheck;
  /** If the condition holds for just these values: several of them can then be looked up at once. */
  readonly accepted?: AcceptedValues;
  /** Whether it reads whole texts, whose length then counts as work. */
  readonly readsTexts?: boolean;
}

/** `read` brings a stored value into the form of `values`. */
export interface AcceptedValues {
  readonly read: (value: unknown) => unknown;
  readonly values: ReadonlySet<unknown>;
}

const boundNames = ['gt', 'gte', 'lt', 'lte'] as const;

/**
 * Parses what a field condition asks of its field. As in Qdrant 1.19 (`FieldCondition::check`): a count goes before
 * `is_empty`, that before `is_null`, that before the rest, of which one suffices if several are given; an array matches
 * if one of its elements does.
 *
 * @param index - of the field, if it has one: see {@link PayloadIndex}.
 */
export function parseFieldCondition(condition: JsonObject, index: PayloadIndex | undefined): FieldTest {
  const given = (name: string): JsonObject | undefined => {
    const value = condition[name];
    if (value === undefined || value === null) return undefined;
    if (!isObject(value)) throw formatError(`\`${name}\` must be an object`);
    return value;
  };
  const count = given('values_count');
  if (count) return { check: parseValuesCount(count) };
  const isEmpty = optionalBoolean(condition, 'is_empty');
  if (isEmpty !== undefined) return { check: parseIsEmpty(isEmpty, index) };
  const isNull = optionalBoolean(condition, 'is_null');
  if (isNull !== undefined) return { check: parseIsNull(isNull, index) };

  const match = given('match');
  const tests: FieldTest[] = match ? [parseMatch(match, index)] : [];
  const range = given('range');
  if (range) tests.push(ofElements(parseRange(range, index)));
  const places = [
    ['geo_radius', parseGeoRadius],
    ['geo_bounding_box', parseGeoBoundingBox],
    ['geo_polygon', parseGeoPolygon],
  ] as const;
  for (const [name, parse] of places) {
    const area = given(name);
    if (area) tests.push(ofElements(index ? placeOfIndex(index, parse(area)) : parse(area)));
  }
  const [only] = tests;
  if (!only) throw validationError('At least one field condition must be specified');
  if (tests.length === 1) return only;
  return {
    check: (values) => tests.some(({ check }) => check(values)),
    readsTexts: tests.some(({ readsTexts }) => readsTexts === true),
  };
}

/** Holds if it does for one of the values, or for one of the elements if the value is an array. */
function ofElements(check: ValueCheck): FieldTest {
  return { check: (values) => someElement(values, check) };
}

function someElement(values: readonly unknown[], check: ValueCheck): boolean {
  return values.some((value) => (Array.isArray(value) ? value.some(check) : check(value)));
}

function optionalBoolean(condition: JsonObject, name: string): boolean | undefined {
  const value = condition[name] ?? undefined;
  if (value !== undefined && typeof value !== 'boolean') throw formatError(`\`${name}\` must be a boolean`);
  return value;
}

/** Null and `[]`. */
export const isEmptyValue = (value: unknown): boolean => value === null || (Array.isArray(value) && value.length === 0);
export const holdsNull = (value: unknown): boolean => value === null || (Array.isArray(value) && value.includes(null));

/** With an index all values of the field are taken together, without one a single value suffices. */
function parseIsEmpty(expected: boolean, index: PayloadIndex | undefined): ValuesCheck {
  if (index) return (values) => values.every(isEmptyValue) === expected;
  return (values) => (values.length === 0 ? expected : values.some((value) => isEmptyValue(value) === expected));
}

function parseIsNull(expected: boolean, index: PayloadIndex | undefined): ValuesCheck {
  if (index) return (values) => values.some(holdsNull) === expected;
  return (values) => (values.length === 0 ? !expected : values.some((value) => holdsNull(value) === expected));
}

/** Absent and null count as 0, a single value as 1. */
function parseValuesCount(condition: JsonObject): ValuesCheck {
  const check = isWithin(readBounds(condition, requireCount));
  const countOf = (value: unknown): number => (value === null ? 0 : Array.isArray(value) ? value.length : 1);
  return (values) => (values.length === 0 ? check(0) : values.some((value) => check(countOf(value))));
}

function requireCount(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw formatError('the bounds of `values_count` must be unsigned integers');
}

function parseRange(condition: JsonObject, index: PayloadIndex | undefined): ValueCheck {
  const isDates = boundNames.some((name) => typeof condition[name] === 'string');
  const bounds = readBounds(condition, isDates ? requireDatetime : requireNumber);
  const indexed = index && rangeOfIndex(index, bounds);
  if (indexed) return indexed;
  const check = isWithin(bounds);
  if (!isDates) return (value) => typeof value === 'number' && check(value);
  return (value) => {
    const time = typeof value === 'string' ? parseDatetime(value) : undefined;
    return time !== undefined && check(time);
  };
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

function readBounds(condition: JsonObject, read: (value: unknown) => number | bigint): Bounds {
  const result: Bounds = {};
  for (const name of boundNames) {
    const value = condition[name];
    if (value !== undefined && value !== null) result[name] = read(value);
  }
  return result;
}

/** The first of the known forms counts, in the order in which Qdrant tries them. */
function parseMatch(match: JsonObject, index: PayloadIndex | undefined): FieldTest {
  const { value, prefix, any, except } = match;
  if (typeof value === 'boolean') return ofElements((stored) => stored === value);
  if (typeof value === 'string' || isInteger(value)) return accept([value], index);
  const textIndex = index?.type === 'text' ? index : undefined;
  const texts = parseTextMatch(match, textIndex);
  if (texts) return { check: textsAmong(texts), readsTexts: true };
  if (typeof prefix === 'string') {
    return ofElements((stored) => typeof stored === 'string' && stored.startsWith(prefix));
  }
  if (any !== undefined) return accept(requireAlikeScalars(any, 'any'), index);
  if (except !== undefined) return ofElements(parseExcept(requireAlikeScalars(except, 'except'), index));
  throw formatError(
    '`match` must have a `value` (a string, an integer or a boolean), `text`, `text_any`, `phrase`, `prefix`, `any` or `except`',
  );
}

const textsAmong =
  (check: TextsCheck): ValuesCheck =>
  (values) => {
    const texts = values.flat().filter((value) => typeof value === 'string');
    return texts.length > 0 && check(texts);
  };

const asStored = (value: unknown): unknown => value;

function accept(list: readonly unknown[], index: PayloadIndex | undefined): FieldTest {
  const { read, values } = heldForms(list, index) ?? { read: asStored, values: new Set(list) };
  return { check: acceptsOneOf(read, values), accepted: { read, values } };
}

export function acceptsOneOf(read: AcceptedValues['read'], values: ReadonlySet<unknown>): ValuesCheck {
  return (stored) => someElement(stored, (value) => values.has(read(value)));
}

/** An index that serves the condition knows only the values of its type; otherwise the payload is asked. */
function parseExcept(list: readonly unknown[], index: PayloadIndex | undefined): ValueCheck {
  const forms = heldForms(list, index);
  if (!forms) {
    const refused = new Set(list);
    return (stored) => stored !== null && !refused.has(stored);
  }
  return (stored) => {
    const value = forms.read(stored);
    return value !== undefined && !forms.values.has(value);
  };
}

/**
 * The listed values as an index holds them; undefined if it cannot serve one of them. An empty list is one of texts.
 */
function heldForms(list: readonly unknown[], index: PayloadIndex | undefined): AcceptedValues | undefined {
  const isOfTexts = list.every((value) => typeof value === 'string');
  if (index?.type === 'bool' || isOfTexts === (index?.type === 'integer')) return undefined;
  const read = heldBy(index);
  if (!read) return undefined;
  const values = new Set<unknown>(list.map(read));
  return values.has(undefined) ? undefined : { read, values };
}

function requireAlikeScalars(list: unknown, name: string): readonly unknown[] {
  const items: readonly unknown[] = Array.isArray(list) ? list : [undefined];
  if (items.every((item) => typeof item === 'string') || items.every(isInteger)) return items;
  throw formatError(`\`${name}\` must be a list of strings or a list of integers`);
}
