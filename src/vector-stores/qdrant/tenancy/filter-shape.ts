import { InvalidInputError } from '../../../errors.js';
import { foldConditions } from './filter-groups.js';
import {
  list,
  requireBound,
  requireCount,
  requireKeyPath,
  requireNumber,
  requireOneType,
  requirePointId,
  requirePositiveCount,
  requireScalar,
  requireText,
  unexpected,
} from './filter-values.js';

/** Deep enough for any filter that a person or a query builder writes; it also ends an object that holds itself. */
const maxDepth = 32;
/** What one filter may ask of every record: a longer one would take a store's time from its other tenants. */
const maxConditions = 10_000;
const maxValues = 20_000;
const maxTextLength = 10_000;

type Copied = Record<string, unknown>;
type Check = (value: unknown, path: string, level: Level) => unknown;

/** A filter in Qdrant's form that {@link requireFilter} has made: a copy of its own, which nobody else holds. */
export interface CheckedFilter extends Readonly<Record<string, unknown>> {}

const checkedFilters = new WeakSet<object>();

/**
 * Checks a filter against Qdrant's form (https://qdrant.tech/documentation/concepts/filtering/) and returns a copy that
 * holds nothing else: every property is read once, so that neither a getter nor a `toJSON` can show one thing here and
 * another on the wire. What was checked already is returned as it is.
 *
 * @throws {@link InvalidInputError} naming the path of what does not belong there, or the limit that the filter
 *   exceeds.
 */
export function requireFilter(value: unknown): CheckedFilter {
  if (typeof value === 'object' && value !== null && checkedFilters.has(value)) return value as CheckedFilter;
  const copy = foldConditions(copyFilter(value, 'filter', new Level()));
  checkedFilters.add(copy);
  return copy;
}

/** How deep a part of a filter is, and how much the whole filter has asked for so far. */
class Level {
  readonly #depth: number;
  readonly #counts: { conditions: number; values: number };

  constructor(depth = 0, counts = { conditions: 0, values: 0 }) {
    this.#depth = depth;
    this.#counts = counts;
  }

  deeper(): Level {
    if (this.#depth === maxDepth)
      throw new InvalidInputError(`\`filter\` is nested more than ${maxDepth} levels deep.`);
    return new Level(this.#depth + 1, this.#counts);
  }

  countCondition(): void {
    if (++this.#counts.conditions <= maxConditions) return;
    throw new InvalidInputError(
      `\`filter\` has more than ${maxConditions} conditions. Values of one field go into one condition, \`match.any\`.`,
    );
  }

  countValues(count: number): void {
    this.#counts.values += count;
    if (this.#counts.values <= maxValues) return;
    throw new InvalidInputError(`\`filter\` has more than ${maxValues} values in its lists.`);
  }
}

function copyFilter(value: unknown, path: string, level: Level): Copied {
  const copy = copyKnown(value, path, level, {
    must: conditions,
    should: conditions,
    must_not: conditions,
    min_should: (entry, at, deeper) =>
      copyKnown(entry, at, deeper, { conditions: someConditions, min_count: requirePositiveCount }, [
        'conditions',
        'min_count',
      ]),
  });
  // A group of nothing asks nothing; inside of `nested`, a server would let an empty `should` match nothing.
  return Object.fromEntries(Object.entries(copy).filter(([, group]) => !(Array.isArray(group) && group.length === 0)));
}

const conditions: Check = (value, path, level) =>
  Array.isArray(value) ? conditionList(value, path, level) : condition(value, path, level);

/** Of none, servers before 1.19 take any point for enough. */
const someConditions: Check = (value, path, level) => {
  if (Array.isArray(value) && value.length === 0) throw unexpected(path, 'at least one condition', value);
  return conditionList(value, path, level);
};

const conditionList: Check = (value, path, level) =>
  list(value, path).map((entry, i) => condition(entry, `${path}[${i}]`, level));

/**
 * A condition is given by its key; one object with the keys of two kinds is refused, since the server would drop one of
 * them.
 */
const condition: Check = (value, path, level) => {
  const object = plainObject(value, path);
  level.countCondition();
  if ('key' in object) return fieldCondition(object, path, level);
  for (const [key, check] of Object.entries(conditionsByKey)) {
    if (key in object) return copyKnown(object, path, level, { [key]: check });
  }
  return copyFilter(object, path, level);
};

const keyObject: Check = (value, path, level) => copyKnown(value, path, level, { key: requireKeyPath }, ['key']);

const conditionsByKey: Readonly<Record<string, Check>> = {
  has_id: (value, path, level) =>
    counted(list(value, path), level).map((entry, i) => requirePointId(entry, `${path}[${i}]`)),
  has_vector: requireText,
  is_empty: keyObject,
  is_null: keyObject,
  nested: (value, path, level) =>
    copyKnown(value, path, level, { key: requireKeyPath, filter: copyFilter }, ['key', 'filter']),
};

const bounds =
  (check: Check): Check =>
  (value, path, level) =>
    copyKnown(value, path, level, { gt: check, gte: check, lt: check, lte: check });

const oneTypeList: Check = (value, path, level) => counted(requireOneType(value, path), level);
const shortText: Check = (value, path) => {
  const text = requireText(value, path);
  if (text.length <= maxTextLength) return text;
  throw unexpected(path, `a text of at most ${maxTextLength} characters`, text);
};

const geoPoint: Check = (value, path, level) =>
  copyKnown(value, path, level, { lon: requireNumber, lat: requireNumber }, ['lon', 'lat']);
const geoLine: Check = (value, path, level) =>
  copyKnown(
    value,
    path,
    level,
    {
      points: (points, at, level) =>
        counted(list(points, at), level).map((point, i) => geoPoint(point, `${at}[${i}]`, level)),
    },
    ['points'],
  );

const fieldChecks: Readonly<Record<string, Check>> = {
  match: (value, path, level) => {
    const copy = copyKnown(value, path, level, {
      value: requireScalar,
      any: oneTypeList,
      except: oneTypeList,
      text: shortText,
      text_any: shortText,
      phrase: shortText,
    });
    if (Object.keys(copy).length === 1) return copy;
    throw new InvalidInputError(
      `Expected \`${path}\` to have exactly one of value, any, except, text, text_any, phrase.`,
    );
  },
  range: bounds(requireBound),
  values_count: bounds(requireCount),
  geo_bounding_box: (value, path, level) =>
    copyKnown(value, path, level, { top_left: geoPoint, bottom_right: geoPoint }, ['top_left', 'bottom_right']),
  geo_radius: (value, path, level) =>
    copyKnown(value, path, level, { center: geoPoint, radius: requireNumber }, ['center', 'radius']),
  geo_polygon: (value, path, level) =>
    copyKnown(
      value,
      path,
      level,
      {
        exterior: geoLine,
        interiors: (lines, at, level) => list(lines, at).map((line, i) => geoLine(line, `${at}[${i}]`, level)),
      },
      ['exterior'],
    ),
};

/**
 * One test a condition: several are said as several conditions, so that nobody has to know how a server combines them.
 */
function fieldCondition(value: Copied, path: string, level: Level): Copied {
  const copy = copyKnown(value, path, level, { key: requireKeyPath, ...fieldChecks }, ['key']);
  if (Object.keys(copy).length === 2) return copy;
  throw new InvalidInputError(
    `Expected \`${path}\` to have \`key\` and exactly one of ${Object.keys(fieldChecks).join(', ')}.`,
  );
}

function copyKnown(
  value: unknown,
  path: string,
  level: Level,
  checks: Readonly<Record<string, Check>>,
  required: readonly string[] = [],
): Copied {
  const deeper = level.deeper();
  const copy: Copied = {};
  for (const [key, entry] of Object.entries(plainObject(value, path))) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) {
      throw new InvalidInputError(`\`${path}\` has an unknown key; expected ${Object.keys(checks).join(', ')}.`);
    }
    // An undefined value would go out as `{}` or be left out, and the filter would be wider than written.
    if (entry === undefined) throw unexpected(`${path}.${key}`, 'a value', entry);
    copy[key] = check(entry, `${path}.${key}`, deeper);
  }
  for (const key of required) if (!(key in copy)) throw unexpected(`${path}.${key}`, 'a value', undefined);
  return copy;
}

function counted(values: readonly unknown[], level: Level): readonly unknown[] {
  level.countValues(values.length);
  return values;
}

function plainObject(value: unknown, path: string): Copied {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    // Also a plain object of another realm (a vm context, a test runner).
    if (prototype === null || Object.getPrototypeOf(prototype) === null) return value as Copied;
  }
  throw unexpected(path, 'a plain object', value);
}
