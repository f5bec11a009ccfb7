import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldConditions, reachOf } from '#src/vector-stores/qdrant/tenancy/filter-groups.js';
import { requireFilter } from '#src/vector-stores/qdrant/tenancy/filter-shape.js';

const match = (key: string, value: unknown) => ({ key, match: { value } });
const any = (key: string, values: unknown[]) => ({ key, match: { any: values } });

describe('foldConditions', () => {
  it('makes one list of what a `should` or `must_not` matches one field against', () => {
    const conditions = [match('a', 1), match('b', 'x'), any('a', [2, 1]), { is_null: { key: 'a' } }, match('b', 'y')];
    const folded = [any('a', [1, 2]), any('b', ['x', 'y']), { is_null: { key: 'a' } }];
    expect(foldConditions({ should: conditions })).toEqual({ should: folded });
    expect(foldConditions({ must_not: conditions })).toEqual({ must_not: folded });
    expect(foldConditions({ must: [{ nested: { key: 'n', filter: { should: conditions } } }] })).toEqual({
      must: [{ nested: { key: 'n', filter: { should: folded } } }],
    });
  });

  it('leaves alone what would mean something else together', () => {
    for (const filter of [
      { must: [match('a', 1), match('a', 2)] },
      { should: [match('a', 1), match('a', '1'), match('a', true), match('a', false)] },
      { should: [any('a', []), match('a', 1)] },
      {
        should: [
          { key: 'a', match: { except: [1] } },
          { key: 'a', match: { except: [2] } },
        ],
      },
      { min_should: { conditions: [match('a', 1), match('a', 2)], min_count: 2 } },
      { should: match('a', 1) },
    ]) {
      expect(foldConditions(filter)).toEqual(filter);
    }
  });

  it('never changes which records a filter is true of', () => {
    const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom('0', '1'), fc.boolean());
    const key = fc.constantFrom('a', 'b');
    const { filter } = fc.letrec((tie) => ({
      condition: fc.oneof(
        { depthSize: 'small' },
        fc.record({ key, match: fc.record({ value }) }),
        fc.record({ key, match: fc.record({ any: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }) }) }),
        tie('filter'),
      ),
      filter: fc.record(
        {
          must: fc.array(tie('condition'), { maxLength: 3 }),
          should: fc.array(tie('condition'), { minLength: 1, maxLength: 5 }),
          must_not: fc.array(tie('condition'), { maxLength: 5 }),
        },
        { requiredKeys: [] },
      ),
    }));
    const record = fc.record({ a: value, b: value });
    fc.assert(
      fc.property(filter, record, (given, payload) => {
        // biome-ignore lint/suspicious/noExplicitAny: a filter of any form
        const checked = given as any;
        expect(holds(foldConditions(checked), payload)).toBe(holds(checked, payload));
        const reach = reachOf(requireFilter(checked));
        if (reach !== 'some') expect(holds(checked, payload)).toBe(reach === 'all');
      }),
    );
  });
});

/** What a filter means, as Qdrant's documentation has it. */
// biome-ignore lint/suspicious/noExplicitAny: a filter of any form
function holds(filter: any, payload: Record<string, unknown>): boolean {
  const test = (condition: Record<string, never>): boolean => {
    const { key, match: matched } = condition as unknown as {
      key?: string;
      match: { value?: unknown; any?: unknown[] };
    };
    if (key === undefined) return holds(condition, payload);
    return matched.any ? matched.any.includes(payload[key]) : matched.value === payload[key];
  };
  const { must = [], should = [], must_not = [] } = filter;
  return must.every(test) && !must_not.some(test) && (should.length === 0 || should.some(test));
}

describe('reachOf', () => {
  const condition = match('a', 1);
  it.each([
    ['nothing', {}, 'all'],
    ['a condition', { must: [condition] }, 'some'],
    ['an alternative of nothing', { should: [condition, {}] }, 'all'],
    ['an alternative of an empty group', { should: [condition, { must: [] }] }, 'all'],
    ['one of two, one of nothing', { min_should: { conditions: [condition, {}], min_count: 1 } }, 'all'],
    ['two of two, one of nothing', { min_should: { conditions: [condition, {}], min_count: 2 } }, 'some'],
    ['three of two', { min_should: { conditions: [condition, {}], min_count: 3 } }, 'none'],
    ['not nothing', { must_not: [{}] }, 'none'],
    ['not not nothing', { must_not: [{ must_not: [{}] }] }, 'all'],
    ['a condition, and not not nothing', { must: [condition], must_not: { must_not: {} } }, 'some'],
  ])('of %s', (_, filter, reach) => {
    expect(reachOf(requireFilter(filter))).toBe(reach);
  });
});

describe('the limits of a filter', () => {
  const many = (count: number, make: (i: number) => unknown) => Array.from({ length: count }, (_, i) => make(i));

  it('take ten thousand values of one field, and no more conditions or values than a store can serve to many', () => {
    expect(requireFilter({ should: many(9_999, (i) => match('a', i)) })).toMatchObject({ should: [{ key: 'a' }] });
    for (const [filter, words] of [
      [{ should: many(10_001, (i) => match('a', i)) }, '10000 conditions'],
      [{ must: many(1_001, (i) => match('a', i)) }, '1000 conditions'],
      [{ should: many(1_001, (i) => match(`a${i}`, i)) }, '1000 conditions'],
      [
        {
          must: [
            any(
              'a',
              many(10_001, (i) => i),
            ),
            any(
              'b',
              many(10_001, (i) => i),
            ),
          ],
        },
        '20000 values',
      ],
      [{ must_not: { has_id: many(20_001, (i) => i) } }, '20000 values'],
      [{ must: { key: 'a', match: { phrase: 'x '.repeat(5_001) } } }, '10000 characters'],
    ] as const) {
      expect(() => requireFilter(filter)).toThrowError(
        expect.objectContaining({ code: 'invalid_input', message: expect.stringContaining(words) }),
      );
    }
  });
});
