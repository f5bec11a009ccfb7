import { isObject, type JsonObject } from '../json.js';
import { type PointId, parsePointId } from '../point-id.js';
import { formatError, validationError } from '../qdrant-api-error.js';
import {
  type AcceptedValues,
  acceptsOneOf,
  type FieldTest,
  holdsNull,
  isEmptyValue,
  parseFieldCondition,
} from './field-condition.js';
import { beginPoint, FilterLimits, spend } from './filter-limits.js';
import type { PayloadIndex } from './payload-index.js';
import { everyElement, formatPath, type PathStep, parsePath, valuesAt } from './payload-path.js';

/** A filter as parsed: the four groups are ANDed, an empty one holds. */
export interface Filter {
  readonly must: readonly Condition[];
  readonly should: readonly Condition[];
  readonly mustNot: readonly Condition[];
  readonly minShould: { readonly conditions: readonly Condition[]; readonly minCount: number } | undefined;
}

export type Condition =
  | FieldCondition
  | { readonly kind: 'ids'; readonly ids: ReadonlySet<PointId> }
  | { readonly kind: 'vector'; readonly name: string }
  | { readonly kind: 'nested'; readonly path: readonly PathStep[]; readonly filter: Filter }
  | { readonly kind: 'filter'; readonly filter: Filter };

export interface FieldCondition extends FieldTest {
  readonly kind: 'field';
  /** The field, in one spelling. */
  readonly key: string;
  readonly path: readonly PathStep[];
  /** How many conditions of the request it stands for. */
  readonly count: number;
}

/** The index of a field, which changes what conditions on it mean. */
export type IndexOf = (path: readonly PathStep[]) => PayloadIndex | undefined;

const clauses = new Set(['must', 'should', 'must_not', 'min_should']);

/** A filter nested deeper than this is refused: evaluating it must not overflow the stack. */
const maxDepth = 64;

/**
 * Parses Qdrant's filter language.
 *
 * @throws a 400 or 422 if the filter is malformed or too large; an unknown clause is never ignored, since that would
 * widen the result.
 */
export function parseFilter(filter: unknown, indexOf: IndexOf): Filter {
  return new FilterParser(indexOf, new FilterLimits()).parse(filter, 0);
}

interface Field {
  /** In one spelling. */
  readonly key: string;
  readonly path: readonly PathStep[];
  readonly index: PayloadIndex | undefined;
}

class FilterParser {
  readonly #indexOf: IndexOf;
  readonly #limits: FilterLimits;
  /** By their keys as written: thousands of conditions may ask about one field. */
  readonly #fields = new Map<unknown, Field>();

  constructor(indexOf: IndexOf, limits: FilterLimits) {
    this.#indexOf = indexOf;
    this.#limits = limits;
  }

  parse(filter: unknown, depth: number): Filter {
    if (!isObject(filter)) throw formatError('a filter must be an object');
    if (depth > maxDepth) throw formatError(`a filter may be nested ${maxDepth} levels deep`);
    for (const key of Object.keys(filter)) {
      if (!clauses.has(key) && filter[key] !== undefined) {
        throw formatError('unknown field in a filter, expected one of `should`, `min_should`, `must`, `must_not`');
      }
    }
    return {
      must: this.#group(filter.must, depth, 'every'),
      should: this.#group(filter.should, depth, 'some'),
      mustNot: this.#group(filter.must_not, depth, 'some'),
      minShould: this.#minShould(filter.min_should, depth),
    };
  }

  #group(value: unknown, depth: number, quantifier: 'every' | 'some'): Condition[] {
    if (value === undefined || value === null) return [];
    const conditions = (Array.isArray(value) ? value : [value]).map((one) => this.#condition(one, depth));
    const joined = joinConditions(conditions, quantifier);
    this.#limits.addJoinedConditions(joined.length);
    return joined;
  }

  #minShould(value: unknown, depth: number): Filter['minShould'] {
    if (value === undefined || value === null) return undefined;
    if (!isObject(value) || !Array.isArray(value.conditions)) {
      throw formatError('`min_should` must have a list of `conditions` and a `min_count`');
    }
    const minCount = value.min_count;
    if (typeof minCount !== 'number' || !Number.isSafeInteger(minCount) || minCount < 0) {
      throw formatError('`min_count` must be an unsigned integer');
    }
    if (minCount === 0) throw validationError('min_count must be greater than 0');
    const conditions = value.conditions.map((one) => this.#condition(one, depth));
    this.#limits.addJoinedConditions(conditions.length);
    return { conditions, minCount };
  }

  #condition(condition: unknown, depth: number): Condition {
    if (!isObject(condition)) throw formatError('a filter condition must be an object');
    this.#limits.addCondition();
    const { key, is_empty: isEmpty, is_null: isNull, has_id: hasId, has_vector: hasVector, nested } = condition;
    if (key !== undefined) {
      this.#limits.addMatch(condition.match);
      const field = this.#field(key);
      return fieldCondition(field, parseFieldCondition(condition, field.index));
    }
    if (isEmpty !== undefined) {
      return fieldCondition(this.#fieldOf(isEmpty), { check: (values) => values.every(isEmptyValue) });
    }
    if (isNull !== undefined) return this.#isNull(this.#fieldOf(isNull));
    if (hasId !== undefined) return { kind: 'ids', ids: this.#ids(hasId) };
    if (hasVector !== undefined) {
      if (typeof hasVector !== 'string') throw formatError('`has_vector` must be the name of a vector');
      return { kind: 'vector', name: hasVector };
    }
    if (nested !== undefined) return this.#nested(nested, depth);
    return { kind: 'filter', filter: this.parse(condition, depth + 1) };
  }

  #field(key: unknown): Field {
    let field = this.#fields.get(key);
    if (!field) {
      const path = parsePath(key);
      field = { key: formatPath(path), path, index: this.#indexOf(path) };
      this.#fields.set(key, field);
    }
    return field;
  }

  #fieldOf(object: unknown): Field {
    if (!isObject(object)) throw formatError('`is_empty` and `is_null` must be objects with a `key`');
    return this.#field(object.key);
  }

  /** An index of any type also finds a null inside of an array. */
  #isNull(field: Field): Condition {
    const check: FieldTest['check'] = field.index
      ? (values) => values.some(holdsNull)
      : (values) => values.includes(null);
    return fieldCondition(field, { check });
  }

  #ids(ids: unknown): ReadonlySet<PointId> {
    if (!Array.isArray(ids)) throw formatError('`has_id` must be a list of point ids');
    this.#limits.addValues(ids.length);
    return new Set(ids.map(parsePointId));
  }

  /**
   * The key means the elements of an array, with or without a `[]` at its end. Of the outer payload's indexes, those of
   * texts are used inside.
   */
  #nested(nested: unknown, depth: number): Condition {
    if (!isObject(nested)) throw formatError('`nested` must have a `key` and a `filter`');
    const path = parsePath(nested.key);
    if (path.at(-1) !== everyElement) path.push(everyElement);
    const textIndexOf: IndexOf = (inner) => {
      const index = this.#indexOf([...path, ...inner]);
      return index?.type === 'text' ? index : undefined;
    };
    const inner = new FilterParser(textIndexOf, this.#limits);
    return { kind: 'nested', path, filter: inner.parse(nested.filter, depth + 1) };
  }
}

function fieldCondition({ key, path }: Field, test: FieldTest): FieldCondition {
  return { kind: 'field', key, path, count: 1, ...test };
}

/**
 * Joins the conditions of a group that look at one field, so that the field is read once a point; and of those, the
 * ones that accept listed values into one set, in which thousands of them cost no more than one.
 */
function joinConditions(conditions: readonly Condition[], quantifier: 'every' | 'some'): Condition[] {
  const byField = new Map<string, FieldCondition[]>();
  const joined: Condition[] = [];
  for (const condition of conditions) {
    if (condition.kind !== 'field') {
      joined.push(condition);
      continue;
    }
    const sameField = byField.get(condition.key);
    if (sameField) sameField.push(condition);
    else byField.set(condition.key, [condition]);
  }
  for (const fields of byField.values()) joined.push(joinFields(fields, quantifier));
  return joined;
}

function joinFields(conditions: readonly FieldCondition[], quantifier: 'every' | 'some'): FieldCondition {
  const [first] = conditions as [FieldCondition];
  if (conditions.length === 1) return first;
  const tests = quantifier === 'some' ? joinAccepted(conditions) : conditions;
  const [only] = tests as [FieldTest];
  return {
    kind: 'field',
    key: first.key,
    path: first.path,
    count: tests.length,
    ...(tests.length === 1
      ? only
      : {
          check: (values) => tests[quantifier](({ check }) => check(values)),
          readsTexts: tests.some(({ readsTexts }) => readsTexts === true),
        }),
  };
}

function joinAccepted(conditions: readonly FieldTest[]): readonly FieldTest[] {
  const byRead = new Map<AcceptedValues['read'], Set<unknown>>();
  const tests: FieldTest[] = [];
  for (const condition of conditions) {
    const { accepted } = condition;
    if (!accepted) {
      tests.push(condition);
      continue;
    }
    const values = byRead.get(accepted.read) ?? new Set();
    for (const value of accepted.values) values.add(value);
    byRead.set(accepted.read, values);
  }
  for (const [read, values] of byRead) tests.push({ check: acceptsOneOf(read, values), accepted: { read, values } });
  return tests;
}

/** What a filter is evaluated on. */
export interface FilterSubject {
  readonly payload: JsonObject;
  /** Undefined inside a nested filter: ids and vectors match nothing there. */
  readonly id: PointId | undefined;
  hasVector(name: string): boolean;
}

/**
 * Evaluates a filter on one point.
 *
 * @throws a 400 if that is too much work.
 */
export function matchesFilter(filter: Filter, subject: FilterSubject): boolean {
  beginPoint();
  return holdsFor(filter, subject);
}

function holdsFor(filter: Filter, subject: FilterSubject): boolean {
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
      return matchesValues(condition, valuesAt(subject.payload, condition.path));
    case 'ids':
      return subject.id !== undefined && condition.ids.has(subject.id);
    case 'vector':
      return subject.id !== undefined && subject.hasVector(condition.name);
    case 'nested':
      return valuesAt(subject.payload, condition.path).some(
        (value) =>
          isObject(value) && holdsFor(condition.filter, { payload: value, id: undefined, hasVector: () => false }),
      );
    case 'filter':
      return holdsFor(condition.filter, subject);
  }
}

/** Whether a condition holds for the values at its field. */
export function matchesValues({ check, count, readsTexts }: FieldCondition, values: readonly unknown[]): boolean {
  spend(values, count, readsTexts === true);
  return check(values);
}
