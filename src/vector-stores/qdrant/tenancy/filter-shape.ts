import { InvalidInputError } from '../../../errors.js';
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

type Copied = Record<string, unknown>;
type Check = (value: unknown, path: string, depth: number) => unknown;

/**
 * Checks a filter against Qdrant's form (https://qdrant.tech/documentation/concepts/filtering/) and returns a copy that holds nothing
 * else: every property is read once, so that neither a getter nor a `toJSON` can show one thing here and another on the wire.
 *
 * @throws {@link InvalidInputError} naming the path of what does not belong there.
 */
export function requireFilter(value: unknown, path = 'filter', depth = 0): Copied {
  const copy = copyKnown(value, path, depth, {
    must: conditions,
    should: conditions,
    must_not: conditions,
    min_should: (entry, at, level) =>
      copyKnown(entry, at, level, { conditions: someConditions, min_count: requirePositiveCount }, [
        'conditions',
        'min_count',
      ]),
  });
  // A group of nothing asks nothing; inside of `nested`, a server would let an empty `should` match nothing.
  return Object.fromEntries(Object.entries(copy).filter(([, group]) => !(Array.isArray(group) && group.length === 0)));
}

/** Whether a filter, as {@link requireFilter} returned it, asks anything of a point: groups of nothing are true of all. */
export function hasCondition(filter: Copied): boolean {
  const { must, should, must_not, min_should } = filter;
  const groups = [must, should, must_not, (min_should as Copied | undefined)?.conditions];
  const entries = groups.filter((group) => group !== undefined).flat() as Copied[];
  return entries.some((entry) => !isFilter(entry) || hasCondition(entry));
}

function isFilter(condition: Copied): boolean {
  return Object.keys(condition).every((key) => ['must', 'should', 'must_not', 'min_should'].includes(key));
}

const conditions: Check = (value, path, depth) =>
  Array.isArray(value) ? conditionList(value, path, depth) : condition(value, path, depth);

/** Of none, servers before 1.19 take any point for enough. */
const someConditions: Check = (value, path, depth) => {
  if (Array.isArray(value) && value.length === 0) throw unexpected(path, 'at least one condition', value);
  return conditionList(value, path, depth);
};

const conditionList: Check = (value, path, depth) =>
  list(value, path).map((entry, i) => condition(entry, `${path}[${i}]`, depth));

/** A condition is told by its key; one object with the keys of two kinds is refused, since the server would drop one of them. */
const condition: Check = (value, path, depth) => {
  const object = plainObject(value, path);
  if ('key' in object) return fieldCondition(object, path, depth);
  for (const [key, check] of Object.entries(conditionsByKey)) {
    if (key in object) return copyKnown(object, path, depth, { [key]: check });
  }
  return requireFilter(object, path, depth);
};

const keyObject: Check = (value, path, depth) => copyKnown(value, path, depth, { key: requireKeyPath }, ['key']);

const conditionsByKey: Readonly<Record<string, Check>> = {
  has_id: (value, path) => list(value, path).map((entry, i) => requirePointId(entry, `${path}[${i}]`)),
  has_vector: requireText,
  is_empty: keyObject,
  is_null: keyObject,
  nested: (value, path, depth) =>
    copyKnown(value, path, depth, { key: requireKeyPath, filter: requireFilter }, ['key', 'filter']),
};

const bounds =
  (check: Check): Check =>
  (value, path, depth) =>
    copyKnown(value, path, depth, { gt: check, gte: check, lt: check, lte: check });

const geoPoint: Check = (value, path, depth) =>
  copyKnown(value, path, depth, { lon: requireNumber, lat: requireNumber }, ['lon', 'lat']);
const geoLine: Check = (value, path, depth) =>
  copyKnown(
    value,
    path,
    depth,
    { points: (points, at, level) => list(points, at).map((point, i) => geoPoint(point, `${at}[${i}]`, level)) },
    ['points'],
  );

const fieldChecks: Readonly<Record<string, Check>> = {
  match: (value, path, depth) => {
    const copy = copyKnown(value, path, depth, {
      value: requireScalar,
      any: requireOneType,
      except: requireOneType,
      text: requireText,
      text_any: requireText,
      phrase: requireText,
    });
    if (Object.keys(copy).length === 1) return copy;
    throw new InvalidInputError(
      `Expected \`${path}\` to have exactly one of value, any, except, text, text_any, phrase.`,
    );
  },
  range: bounds(requireBound),
  values_count: bounds(requireCount),
  geo_bounding_box: (value, path, depth) =>
    copyKnown(value, path, depth, { top_left: geoPoint, bottom_right: geoPoint }, ['top_left', 'bottom_right']),
  geo_radius: (value, path, depth) =>
    copyKnown(value, path, depth, { center: geoPoint, radius: requireNumber }, ['center', 'radius']),
  geo_polygon: (value, path, depth) =>
    copyKnown(
      value,
      path,
      depth,
      {
        exterior: geoLine,
        interiors: (lines, at, level) => list(lines, at).map((line, i) => geoLine(line, `${at}[${i}]`, level)),
      },
      ['exterior'],
    ),
};

/** One test a condition: several are said as several conditions, so that nobody has to know how a server combines them. */
function fieldCondition(value: Copied, path: string, depth: number): Copied {
  const copy = copyKnown(value, path, depth, { key: requireKeyPath, ...fieldChecks }, ['key']);
  if (Object.keys(copy).length === 2) return copy;
  throw new InvalidInputError(
    `Expected \`${path}\` to have \`key\` and exactly one of ${Object.keys(fieldChecks).join(', ')}.`,
  );
}

function copyKnown(
  value: unknown,
  path: string,
  depth: number,
  checks: Readonly<Record<string, Check>>,
  required: readonly string[] = [],
): Copied {
  if (depth > maxDepth) throw new InvalidInputError(`\`filter\` is nested more than ${maxDepth} levels deep.`);
  const copy: Copied = {};
  for (const [key, entry] of Object.entries(plainObject(value, path))) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) {
      throw new InvalidInputError(`\`${path}\` has an unknown key; expected ${Object.keys(checks).join(', ')}.`);
    }
    // An undefined value would go out as `{}` or be left out, and the filter would be wider than written.
    if (entry === undefined) throw unexpected(`${path}.${key}`, 'a value', entry);
    copy[key] = check(entry, `${path}.${key}`, depth + 1);
  }
  for (const key of required) if (!(key in copy)) throw unexpected(`${path}.${key}`, 'a value', undefined);
  return copy;
}

function plainObject(value: unknown, path: string): Copied {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const prototype: unknown = Object.getPrototypeOf(value);
    // Also a plain object of another realm (a vm context, a test runner).
    if (prototype === null || Object.getPrototypeOf(prototype) === null) return value as Copied;
  }
  throw unexpected(path, 'a plain object', value);
}
