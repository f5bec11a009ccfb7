import { InvalidInputError } from '../../../errors.js';

// What the groups of a filter (`must`, `should`, `must_not`, `min_should`) mean together. Both functions take copies
// that were checked.

type Copied = Record<string, unknown>;

/** How many conditions may be left after folding: each is asked of every record that the others leave. */
const maxConditions = 1_000;

/**
 * Joins the conditions of a `should` or `must_not` that match one field against single values or lists into one list:
 * ten thousand of them would be ten thousand passes over the records, and are one. The filter means the same.
 *
 * @throws {@link InvalidInputError} for a filter with too many conditions of other kinds.
 */
export function foldConditions(filter: Copied): Copied {
  const count = { left: maxConditions };
  return foldFilter(filter, count);
}

function foldFilter(filter: Copied, count: { left: number }): Copied {
  const folded: Copied = {};
  for (const [group, value] of Object.entries(filter)) {
    if (group === 'min_should') {
      const { conditions, ...rest } = value as Copied;
      folded[group] = { conditions: foldEach(conditions as Copied[], count), ...rest };
    } else if (Array.isArray(value)) {
      folded[group] = foldEach(group === 'must' ? value : joinMatches(value), count);
    } else {
      folded[group] = foldCondition(value as Copied, count);
    }
  }
  return folded;
}

function foldEach(conditions: readonly Copied[], count: { left: number }): Copied[] {
  return conditions.map((condition) => foldCondition(condition, count));
}

function foldCondition(condition: Copied, count: { left: number }): Copied {
  if (--count.left < 0) {
    throw new InvalidInputError(
      `Expected \`filter\` to have at most ${maxConditions} conditions. Values of one field go into one condition, \`match.any\`.`,
    );
  }
  if (isFilter(condition)) return foldFilter(condition, count);
  const { nested } = condition as { nested?: Copied };
  return nested === undefined
    ? condition
    : { nested: { ...nested, filter: foldFilter(nested.filter as Copied, count) } };
}

/** The values of one field and type, in the place of the first condition that matches them. */
function joinMatches(conditions: readonly Copied[]): Copied[] {
  const groups = new Map<string, { readonly conditions: Copied[]; readonly values: Set<unknown> }>();
  const joined: (string | Copied)[] = [];
  for (const condition of conditions) {
    const values = matchedValues(condition);
    const type = typeof values?.[0];
    if (values === undefined || (type !== 'string' && type !== 'number')) {
      joined.push(condition);
      continue;
    }
    const name = `${type} ${condition.key}`;
    if (!groups.has(name)) joined.push(name);
    const group = groups.get(name) ?? { conditions: [], values: new Set() };
    groups.set(name, group);
    group.conditions.push(condition);
    for (const value of values) group.values.add(value);
  }
  return joined.map((entry) => {
    if (typeof entry !== 'string') return entry;
    const { conditions: same, values } = groups.get(entry)!;
    return same.length === 1 ? same[0]! : { key: same[0]!.key, match: { any: [...values] } };
  });
}

function matchedValues({ key, match }: Copied): readonly unknown[] | undefined {
  if (key === undefined || match === undefined) return undefined;
  const { value, any } = match as { value?: unknown; any?: readonly unknown[] };
  return any ?? (value === undefined ? undefined : [value]);
}

/**
 * Which records a checked filter is true of, as far as its form alone says. A group of nothing is true of all, so that
 * `{ should: [condition, {}] }` is too.
 */
export function reachOf(filter: Copied): 'all' | 'some' | 'none' {
  const reaches = Object.entries(filter).map(([group, value]) => reachOfGroup(group, value));
  if (reaches.includes('none')) return 'none';
  return reaches.every((reach) => reach === 'all') ? 'all' : 'some';
}

function reachOfGroup(group: string, value: unknown): 'all' | 'some' | 'none' {
  const { conditions = value, min_count: least = 1 } = (group === 'min_should' ? value : {}) as Copied;
  const reaches = [conditions].flat().map((entry) => (isFilter(entry as Copied) ? reachOf(entry as Copied) : 'some'));
  const [all, none] = ['all', 'none'].map((reach) => reaches.filter((entry) => entry === reach).length) as [
    number,
    number,
  ];
  const needed = group === 'must' ? reaches.length : (least as number);
  if (reaches.length === 0) return 'all';
  if (group === 'must_not') return all > 0 ? 'none' : none === reaches.length ? 'all' : 'some';
  if (all >= needed) return 'all';
  return reaches.length - none < needed ? 'none' : 'some';
}

/** The fields of the records that a checked filter asks for; of a nested filter, with the path of its array. */
export function filteredKeys(filter: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  const groups = Object.entries(filter).map(([group, value]) =>
    group === 'min_should' ? (value as Copied).conditions : value,
  );
  return (groups.flat() as Copied[]).flatMap((condition) => {
    if (isFilter(condition)) return filteredKeys(condition, prefix);
    const { key, is_empty, is_null, nested } = condition as Record<'key' | 'is_empty' | 'is_null' | 'nested', never>;
    if (nested !== undefined) {
      const { key: array, filter: inner } = nested as { key: string; filter: Copied };
      return filteredKeys(inner, `${prefix}${array.replace(/\[\]$/, '')}[].`);
    }
    const path =
      key ?? (is_empty as { key?: string } | undefined)?.key ?? (is_null as { key?: string } | undefined)?.key;
    return path === undefined ? [] : [`${prefix}${path}`];
  });
}

function isFilter(condition: Copied): boolean {
  return Object.keys(condition).every((key) => ['must', 'should', 'must_not', 'min_should'].includes(key));
}
