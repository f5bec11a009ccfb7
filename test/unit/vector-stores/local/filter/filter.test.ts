import { describe, expect, it } from 'vitest';
import { matchesFilter, parseFilter } from '#src/vector-stores/local/filter/filter.js';
import type { PayloadIndex } from '#src/vector-stores/local/filter/payload-index.js';
import { formatPath } from '#src/vector-stores/local/filter/payload-path.js';

// What each case expects was read in Qdrant 1.19: lib/segment/src/payload_storage/
// {condition_checker,query_checker}.rs and types.rs.
const payload = {
  price: 499.9,
  amount: 10,
  rating: [3, 7, 9, 9],
  color: 'red',
  description: 'A Red-ish bicycle, nearly new',
  has_delivery: true,
  shipped_at: '2020-02-15T00:00:00Z',
  parts: [],
  packaging: null,
  not_null: [null],
  location: { lon: 13.404954, lat: 52.520008 },
  city: { name: 'Berlin', 'dotted.key': 1 },
  parcels: [
    { weight: 1, color: 'red' },
    { weight: 5, color: 'blue' },
  ],
  matrix: [[1, 2], [3]],
};

const isMatch = (condition: unknown, indexes: Readonly<Record<string, PayloadIndex>> = {}): boolean =>
  matchesFilter(
    parseFilter({ must: condition }, (path) => indexes[formatPath(path)]),
    { id: 1, payload, hasVector: (name) => name === 'dense' },
  );

describe('a condition holds', () => {
  it.each<[string, unknown, boolean]>([
    ['match of a string', { key: 'color', match: { value: 'red' } }, true],
    ['match of another string', { key: 'color', match: { value: 'Red' } }, false],
    ['match of an integer', { key: 'amount', match: { value: 10 } }, true],
    ['match of an integer, given as text', { key: 'amount', match: { value: '10' } }, false],
    ['match of a boolean', { key: 'has_delivery', match: { value: true } }, true],
    ['match of any element', { key: 'rating', match: { value: 7 } }, true],
    ['match of an element inside an element', { key: 'matrix', match: { value: 3 } }, false],
    ['match of an element inside an element, entered', { key: 'matrix[]', match: { value: 3 } }, true],
    ['match of a missing key', { key: 'nothing', match: { value: 1 } }, false],
    ['match of an inherited name', { key: 'constructor', match: { except: ['x'] } }, false],
    ['any of some', { key: 'color', match: { any: ['blue', 'red'] } }, true],
    ['any of none', { key: 'color', match: { any: [] } }, false],
    ['any of another type', { key: 'amount', match: { any: ['10'] } }, false],
    ['except of others', { key: 'color', match: { except: ['blue'] } }, true],
    ['except of itself', { key: 'color', match: { except: ['red'] } }, false],
    ['except of some elements', { key: 'rating', match: { except: [3, 9] } }, true],
    ['except of all elements', { key: 'rating', match: { except: [3, 7, 9] } }, false],
    ['except of null', { key: 'packaging', match: { except: ['x'] } }, false],
    ['except of a missing key', { key: 'nothing', match: { except: ['x'] } }, false],
    ['text by its words', { key: 'description', match: { text: 'nearly, bicycle' } }, true],
    ['text by a part of a word', { key: 'description', match: { text: 'bicycle near' } }, false],
    ['text in another case', { key: 'description', match: { text: 'red' } }, true],
    ['any word of a text', { key: 'description', match: { text_any: 'xyz RED' } }, true],
    ['any word, by a part', { key: 'description', match: { text_any: 'xyz bicyc' } }, false],
    ['prefix', { key: 'description', match: { prefix: 'A Re' } }, true],
    ['range of a number', { key: 'price', range: { gt: 499, lt: 499.95 } }, true],
    ['range at its edges', { key: 'amount', range: { gte: 10, lte: 10 } }, true],
    ['range beyond its edges', { key: 'amount', range: { gt: 10 } }, false],
    ['range of any element', { key: 'rating', range: { gt: 8 } }, true],
    ['range of a text', { key: 'color', range: { gt: 0 } }, false],
    ['range of a time', { key: 'shipped_at', range: { gte: '2020-02-15', lt: '2020-02-15T00:00:01+00:00' } }, true],
    ['range of a time in another zone', { key: 'shipped_at', range: { lt: '2020-02-15T00:30:00+01:00' } }, false],
    ['range of a time to the nanosecond', { key: 'shipped_at', range: { lt: '2020-02-15T00:00:00.000000001Z' } }, true],
    ['range of what is no time', { key: 'color', range: { gt: '1970-01-01' } }, false],
    ['is_empty of a value', { is_empty: { key: 'price' } }, false],
    ['is_empty of a missing key', { is_empty: { key: 'something_new' } }, true],
    ['is_empty of []', { is_empty: { key: 'parts' } }, true],
    ['is_empty of null', { is_empty: { key: 'packaging' } }, true],
    ['is_empty of [null]', { is_empty: { key: 'not_null' } }, false],
    ['is_null of a value', { is_null: { key: 'amount' } }, false],
    ['is_null of []', { is_null: { key: 'parts' } }, false],
    ['is_null of a missing key', { is_null: { key: 'something_else' } }, false],
    ['is_null of null', { is_null: { key: 'packaging' } }, true],
    ['is_null of [null]', { is_null: { key: 'not_null' } }, false],
    ['is_null of a field that holds null', { key: 'not_null', is_null: true }, true],
    ['not is_null of a missing field', { key: 'nothing', is_null: false }, true],
    ['is_empty of a missing field', { key: 'nothing', is_empty: true }, true],
    ['not is_empty of a field', { key: 'color', is_empty: false }, true],
    ['values_count of a list', { key: 'rating', values_count: { gte: 4, lte: 4 } }, true],
    ['values_count of a value', { key: 'color', values_count: { gt: 1 } }, false],
    ['values_count of null', { key: 'packaging', values_count: { lt: 1 } }, true],
    ['values_count of a missing key', { key: 'nothing', values_count: { lt: 1 } }, true],
    ['has_id', { has_id: [5, 1] }, true],
    ['has_id of others', { has_id: [5] }, false],
    ['has_vector', { has_vector: 'dense' }, true],
    ['has_vector of another', { has_vector: 'sparse' }, false],
    ['a path', { key: 'city.name', match: { value: 'Berlin' } }, true],
    ['a path with a quoted key', { key: 'city."dotted.key"', match: { value: 1 } }, true],
    ['a path to an index', { key: 'rating[1]', match: { value: 7 } }, true],
    ['a path into every element', { key: 'parcels[].color', match: { value: 'blue' } }, true],
    ['a path into an array without []', { key: 'parcels.color', match: { value: 'blue' } }, false],
    [
      'both on one element',
      {
        nested: {
          key: 'parcels',
          filter: {
            must: [
              { key: 'weight', range: { gt: 3 } },
              { key: 'color', match: { value: 'blue' } },
            ],
          },
        },
      },
      true,
    ],
    [
      'both, but on different elements',
      {
        nested: {
          key: 'parcels[]',
          filter: {
            must: [
              { key: 'weight', range: { gt: 3 } },
              { key: 'color', match: { value: 'red' } },
            ],
          },
        },
      },
      false,
    ],
    ['nested has_id', { nested: { key: 'parcels', filter: { must: [{ has_id: [1] }] } } }, false],
    ['nested in no array', { nested: { key: 'city', filter: {} } }, false],
    ['within a radius', { key: 'location', geo_radius: { center: { lon: 13.4, lat: 52.5 }, radius: 3000 } }, true],
    ['outside a radius', { key: 'location', geo_radius: { center: { lon: 13.4, lat: 52.5 }, radius: 1000 } }, false],
    [
      'within a box',
      { key: 'location', geo_bounding_box: { top_left: { lon: 13, lat: 53 }, bottom_right: { lon: 14, lat: 52 } } },
      true,
    ],
    [
      'within a box across the antimeridian',
      { key: 'location', geo_bounding_box: { top_left: { lon: 170, lat: 53 }, bottom_right: { lon: -170, lat: 52 } } },
      false,
    ],
    [
      'within a polygon',
      {
        key: 'location',
        geo_polygon: {
          exterior: {
            points: [
              [13, 52],
              [14, 52],
              [13.5, 54],
              [13, 52],
            ].map(([lon, lat]) => ({ lon, lat })),
          },
        },
      },
      true,
    ],
    ['one of several', { key: 'amount', match: { value: 11 }, range: { gte: 10 } }, true],
    ['an empty filter', {}, true],
    ['an empty should', { should: [] }, true],
    ['a single condition instead of a list', { must_not: { key: 'color', match: { value: 'blue' } } }, true],
    ['must_not of a missing key', { must_not: [{ key: 'nothing', match: { value: 1 } }] }, true],
    [
      'two of three',
      { min_should: { conditions: [{ has_id: [1] }, { has_id: [1] }, { has_id: [2] }], min_count: 2 } },
      true,
    ],
    ['two of one', { min_should: { conditions: [{ has_id: [1] }], min_count: 2 } }, false],
    ['should and must together', { should: [{ has_id: [1] }], must: [{ has_id: [2] }] }, false],
    ['the first that a match knows', { key: 'color', match: { value: 'red', any: ['blue'] } }, true],
  ])('%s', (_, condition, expected) => {
    expect(isMatch(condition)).toBe(expected);
  });

  it.each<[unknown, boolean]>([
    [{ text: 'BICYCLE red' }, true],
    [{ text: 'bicycle car' }, false],
    [{ text: '' }, false],
    [{ text_any: 'car bicycle' }, true],
    [{ phrase: 'red ish bicycle' }, true],
    [{ phrase: 'bicycle red' }, false],
  ])('by words if there is a text index: %o', (match, expected) => {
    const description = { type: 'text', phrase_matching: true };
    expect(isMatch({ key: 'description', match }, { description })).toBe(expected);
  });

  it('by no phrase if the text index keeps no positions', () => {
    const condition = { key: 'description', match: { phrase: 'red ish bicycle' } };
    expect(isMatch(condition, { description: { type: 'text' } })).toBe(false);
  });

  it.each<[string, unknown, string, string, boolean]>([
    [
      'except of another type than that of the index',
      { key: 'amount', match: { except: ['x'] } },
      'amount',
      'keyword',
      false,
    ],
    ['except of the type of the index', { key: 'color', match: { except: ['x'] } }, 'color', 'keyword', true],
    ['except of integers', { key: 'amount', match: { except: [1] } }, 'amount', 'integer', true],
    ['is_null of an array that holds one', { is_null: { key: 'not_null' } }, 'not_null', 'integer', true],
  ])('with an index: %s', (_, condition, key, type, expected) => {
    expect(isMatch(condition, { [key]: { type } })).toBe(expected);
  });

  it('by words inside of nested, if the elements have a text index', () => {
    const nested = { key: 'parcels', filter: { must: [{ key: 'color', match: { text: 'RED' } }] } };
    expect(isMatch({ nested })).toBe(true);
    expect(isMatch({ nested }, { 'parcels[].color': { type: 'text', lowercase: false } })).toBe(false);
  });
});

describe('a malformed filter is refused', () => {
  const statusOf = (filter: unknown): unknown => {
    try {
      parseFilter(filter, () => undefined);
      return 'accepted';
    } catch (error) {
      return (error as { status?: number }).status;
    }
  };
  let deep: object = {};
  for (let level = 0; level < 1000; level++) deep = { must: [deep] };

  it.each<[string, unknown, number]>([
    ['no object', [], 400],
    ['an unknown clause', { musst: [] }, 400],
    ['an unknown condition', { must: [{ has_idd: [1] }] }, 400],
    ['a condition of null', { must: [null] }, 400],
    ['a key of another type', { must: [{ key: 7, match: { value: 1 } }] }, 400],
    ['an invalid path', { must: [{ key: 'a..b', match: { value: 1 } }] }, 400],
    ['an empty path', { must: [{ key: '', match: { value: 1 } }] }, 400],
    ['no condition on a field', { must: [{ key: 'a' }] }, 422],
    ['an empty match', { must: [{ key: 'a', match: {} }] }, 400],
    ['a match of undefined', { must: [{ key: 'a', match: { value: undefined } }] }, 400],
    ['a match of a fraction', { must: [{ key: 'a', match: { value: 0.5 } }] }, 400],
    ['a match of a list', { must: [{ key: 'a', match: { value: ['x'] } }] }, 400],
    ['any of mixed types', { must: [{ key: 'a', match: { any: ['x', 1] } }] }, 400],
    ['any of no list', { must: [{ key: 'a', match: { any: 'x' } }] }, 400],
    ['a range of a word', { must: [{ key: 'a', range: { gt: 'x' } }] }, 400],
    ['a range of a number and a time', { must: [{ key: 'a', range: { gt: 1, lt: '2020-01-01' } }] }, 400],
    ['a range of NaN', { must: [{ key: 'a', range: { gt: Number.NaN } }] }, 400],
    ['a negative count', { must: [{ key: 'a', values_count: { gt: -1 } }] }, 400],
    ['an id that is none', { must: [{ has_id: ['x'] }] }, 400],
    ['ids that are no list', { must: [{ has_id: 1 }] }, 400],
    ['a nested filter without a key', { must: [{ nested: { filter: {} } }] }, 400],
    ['a nested filter that is malformed', { must: [{ nested: { key: 'a', filter: { must: [{}], x: 1 } } }] }, 400],
    ['min_should without a count', { min_should: { conditions: [] } }, 400],
    ['min_should of zero', { min_should: { conditions: [], min_count: 0 } }, 422],
    ['a place beyond the poles', { must: [{ key: 'a', geo_radius: { center: { lon: 0, lat: 91 }, radius: 1 } }] }, 422],
    ['an open ring', { must: [{ key: 'a', geo_polygon: { exterior: { points: [] } } }] }, 422],
    ['one nested too deep', deep, 400],
  ])('%s', (_, filter, status) => {
    expect(statusOf(filter)).toBe(status);
  });
});
