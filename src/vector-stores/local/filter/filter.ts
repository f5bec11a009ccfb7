import { isObject, type JsonObject } from '../json.js';
import { type PointId, parsePointId } from '../point-id.js';
import { formatError, validationError } from '../qdrant-api-error.js';
import {
  holdsNull,
  isEmptyValue,
  type PayloadIndex,
  parseFieldCondition,
  type ValuesCheck,
} from './field-condition.js';

export type { PayloadIndex } from './field-condition.js';

import { everyElement, type PathStep, parsePath, valuesAt } from './payload-path.js';

/** A filter as parsed: the four groups are ANDed, an empty one holds. */
export interface Filter {
  readonly must: readonly Condition[];
  readonly should: readonly Condition[];
  readonly mustNot: readonly Condition[];
  readonly minShould: { readonly conditions: readonly Condition[]; readonly minCount: number } | undefined;
}

export type Condition =
  | { readonly kind: 'field'; readonly key: string; readonly path: readonly PathStep[]; readonly check: ValuesCheck }
  | { readonly kind: 'ids'; readonly ids: ReadonlySet<PointId> }
  | { readonly kind: 'vector'; readonly name: string }
  | { readonly kind: 'nested'; readonly path: readonly PathStep[]; readonly filter: Filter }
  | { readonly kind: 'filter'; readonly filter: Filter };

/** The index of a payload key, which changes what some conditions on it mean. */
export type IndexOf = (key: string) => PayloadIndex | undefined;

const clauses = new Set(['must', 'should', 'must_not', 'min_should']);

/** A filter nested deeper than this is refused: evaluating it must not overflow the stack. */
const maxDepth = 64;

/**
 * Parses Qdrant's filter language.
 *
 * @throws a 400 or 422 where the filter is malformed; an unknown clause is never ignored, since that would widen the result.
 */
export function parseFilter(filter: unknown, indexOf: IndexOf, depth = 0): Filter {
  if (!isObject(filter)) throw formatError('a filter must be an object');
  if (depth > maxDepth) throw formatError(`a filter may be nested ${maxDepth} levels deep`);
  for (const key of Object.keys(filter)) {
    if (!clauses.has(key) && filter[key] !== undefined) {
      throw formatError('unknown field in a filter, expected one of `should`, `min_should`, `must`, `must_not`');
    }
  }
  const parse = (condition: unknown): Condition => parseCondition(condition, indexOf, depth);
  const group = (value: unknown): Condition[] =>
    value === undefined || value === null ? [] : (Array.isArray(value) ? value : [value]).map(parse);
  return {
    must: group(filter.must),
    should: group(filter.should),
    mustNot: group(filter.must_not),
    minShould: parseMinShould(filter.min_should, parse),
  };
}

function parseMinShould(value: unknown, parse: (condition: unknown) => Condition): Filter['minShould'] {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || !Array.isArray(value.conditions)) {
    throw formatError('`min_should` must have a list of `conditions` and a `min_count`');
  }
  const minCount = value.min_count;
  if (typeof minCount !== 'number' || !Number.isSafeInteger(minCount) || minCount < 0) {
    throw formatError('`min_count` must be an unsigned integer');
  }
  if (minCount === 0) throw validationError('min_count must be greater than 0');
  return { conditions: value.conditions.map(parse), minCount };
}

function parseCondition(condition: unknown, indexOf: IndexOf, depth: number): Condition {
  if (!isObject(condition)) throw formatError('a filter condition must be an object');
  const { key, is_empty: isEmpty, is_null: isNull, has_id: hasId, has_vector: hasVector, nested } = condition;
  if (key !== undefined) {
    const path = parsePath(key);
    const check = parseFieldCondition(condition, indexOf(key as string));
    return { kind: 'field', key: key as string, path, check };
  }
  if (isEmpty !== undefined) return onField(isEmpty, (values) => values.every(isEmptyValue));
  if (isNull !== undefined) return parseIsNull(isNull, indexOf);
  if (hasId !== undefined) return { kind: 'ids', ids: parseIds(hasId) };
  if (hasVector !== undefined) {
    if (typeof hasVector !== 'string') throw formatError('`has_vector` must be the name of a vector');
    return { kind: 'vector', name: hasVector };
  }
  if (nested !== undefined) return parseNested(nested, indexOf, depth);
  return { kind: 'filter', filter: parseFilter(condition, indexOf, depth + 1) };
}

function onField(field: unknown, check: ValuesCheck): Condition {
  if (!isObject(field)) throw formatError('`is_empty` and `is_null` must be objects with a `key`');
  return { kind: 'field', key: field.key as string, path: parsePath(field.key), check };
}

/** An index of any type also finds a null inside of an array. */
function parseIsNull(field: unknown, indexOf: IndexOf): Condition {
  const hasIndex = isObject(field) && typeof field.key === 'string' && indexOf(field.key) !== undefined;
  return onField(field, hasIndex ? (values) => values.some(holdsNull) : (values) => values.includes(null));
}

function parseIds(ids: unknown): ReadonlySet<PointId> {
  if (!Array.isArray(ids)) throw formatError('`has_id` must be a list of point ids');
  return new Set(ids.map(parsePointId));
}

/** The key means the elements of an array, with or without a `[]` at its end. Of the outer payload's indexes, those of texts are used inside. */
function parseNested(nested: unknown, indexOf: IndexOf, depth: number): Condition {
  if (!isObject(nested)) throw formatError('`nested` must have a `key` and a `filter`');
  const path = parsePath(nested.key);
  if (path.at(-1) !== everyElement) path.push(everyElement);
  const prefix = String(nested.key).replace(/(\[\])?$/, '[].');
  const textIndexOf: IndexOf = (key) => {
    const index = indexOf(prefix + key);
    return index?.type === 'text' ? index : undefined;
  };
  return { kind: 'nested', path, filter: parseFilter(nested.filter, textIndexOf, depth + 1) };
}

/** What a filter is evaluated on. */
export interface FilterSubject {
  readonly payload: JsonObject;
  /** Undefined inside a nested filter, where ids and vectors match nothing. */
  readonly id: PointId | undefined;
  hasVector(name: string): boolean;
}

/** Evaluates a filter on one point. */
export function matchesFilter(filter: Filter, subject: FilterSubject): boolean {
  const holds = (condition: Condition): boolean => matchesCondition(condition, subject);
  return (
    filter.must.every(holds) &&
    !filter.mustNot.some(holds) &&
    (filter.should.length === 0 || filter.should.some(holds)) &&
    (filter.minShould === undefined || filter.minShould.conditions.filter(holds).length >= filter.minShould.minCount)
  );
}

export function matchesCondition(condition: Condition, subject: FilterSubject): boolean {
  switch (condition.kind) {
    case 'field':
      return condition.check(valuesAt(subject.payload, condition.path));
    case 'ids':
      return subject.id !== undefined && condition.ids.has(subject.id);
    case 'vector':
      return subject.id !== undefined && subject.hasVector(condition.name);
    case 'nested':
      return valuesAt(subject.payload, condition.path).some(
        (value) =>
          isObject(value) && matchesFilter(condition.filter, { payload: value, id: undefined, hasVector: () => false }),
      );
    case 'filter':
      return matchesFilter(condition.filter, subject);
  }
}
