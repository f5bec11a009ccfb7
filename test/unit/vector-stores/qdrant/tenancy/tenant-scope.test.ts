import { describe, expect, it } from 'vitest';
import { tenantFilter } from '#src/vector-stores/qdrant/tenancy/tenant-scope.js';

const scope = { tenantId: 7, tableName: 'docs', mode: 'collection' as const, collection: 'client_7_docs' };
const tenant = { key: 'client_id', match: { value: 7 } };
const red = { key: 'colour', match: { value: 'red' } };

describe('tenantFilter', () => {
  it('is the tenant alone without a filter', () => {
    expect(tenantFilter(scope)).toEqual({ must: [tenant] });
  });

  it('puts the caller’s filter beside the tenant, never around it', () => {
    const filter = { should: [red, { must_not: { key: 'client_id', match: { value: 7 } } }] };
    expect(tenantFilter(scope, filter)).toEqual({ must: [tenant, filter] });
  });

  it('keeps every form that Qdrant has', () => {
    const point = { lon: 1.5, lat: 2 };
    const ring = { points: [point, point, point, point] };
    const filter = {
      must: [
        red,
        { key: 'a.b[].c', match: { any: [1, 2] } },
        { key: 'a', match: { except: ['x'] } },
        { key: 'a', match: { text: 'some words' } },
        { key: 'a', match: { text_any: 'some words' } },
        { key: 'a', match: { phrase: 'some words' } },
        { key: 'a', range: { gt: 1, gte: 1, lt: 2, lte: 2 } },
        { key: 'a', range: { gte: '2026-01-01T00:00:00Z' } },
        { key: 'a', range: { gte: '2026-01-01', lt: '2026-02-01 12:30', lte: '2026-02-01T12:30:59.123456+02:00' } },
        { key: '"with spaces".b[0].größe-2[]', match: { value: '😀' } },
        { key: 'a', values_count: { gt: 2 } },
        { key: 'a', geo_radius: { center: point, radius: 10 } },
        { key: 'a', geo_bounding_box: { top_left: point, bottom_right: point } },
        { key: 'a', geo_polygon: { exterior: ring, interiors: [ring] } },
        { has_id: ['4a0f2b5e-6f0f-5a1e-9b53-0d8d6f6c1b2e', 3] },
        { has_vector: 'text' },
        { is_empty: { key: 'a' } },
        { is_null: { key: 'a' } },
        { nested: { key: 'a', filter: { must: [red] } } },
        { should: [red], must_not: red, min_should: { conditions: [red], min_count: 1 } },
      ],
    };
    expect(tenantFilter(scope, filter)).toEqual({ must: [tenant, filter] });
  });

  it.each([
    ['null', null],
    ['an array', [red]],
    ['a string', 'colour = red'],
    ['a condition in place of a filter', red],
    ['an unknown key', { must: [red], lookup_from: { collection: 'client_8_docs' } }],
    ['a request’s key', { filter: {}, collection_name: 'client_8_docs' }],
    ['two kinds in one condition', { must: [{ ...red, must: [] }] }],
    ['two tests in one condition', { must: [{ ...red, range: { gt: 1 } }] }],
    ['no test', { must: [{ key: 'a' }] }],
    ['an undefined value, which JSON drops', { must: [{ key: 'a', match: { value: undefined } }] }],
    ['an undefined group', { must: undefined }],
    ['NaN', { must: [{ key: 'a', range: { gt: Number.NaN } }] }],
    ['an object to match', { must: [{ key: 'a', match: { value: { $ne: 1 } } }] }],
    ['mixed values', { must: [{ key: 'a', match: { any: ['1', 1] } }] }],
    ['a class instance', { must: [new Map()] }],
    ['an empty key', { must: [{ key: '', match: { value: 1 } }] }],
    ['an id that is neither', { must: [{ has_id: [1.5] }] }],
    ['an id that is no UUID', { must: [{ has_id: ['x'] }] }],
    ['a key that is no path', { must: [{ key: 'a b', match: { value: 1 } }] }],
    ['a key that ends in a dot', { must: [{ is_empty: { key: 'a.' } }] }],
    ['a date that is none', { must: [{ key: 'a', range: { gt: 'soon' } }] }],
    ['a thirteenth month', { must: [{ key: 'a', range: { gt: '2026-13-01' } }] }],
    ['half of a surrogate pair', { must: [{ key: 'a', match: { value: 'cut \ud83d' } }] }],
    ['half of a surrogate pair in a list', { must: [{ key: 'a', match: { any: ['cut \ud83d'] } }] }],
    ['half of a surrogate pair in a text', { must: [{ key: 'a', match: { text: 'cut \ud83d' } }] }],
    ['half of a surrogate pair in a key', { must: [{ key: '"\ud83d"', match: { value: 1 } }] }],
    ['a nested without a filter', { must: [{ nested: { key: 'a' } }] }],
    ['a key of the prototype', JSON.parse('{"__proto__": {"must": []}}')],
  ])('refuses %s', (_, filter) => {
    expect(() => tenantFilter(scope, filter)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });

  it('refuses a filter that holds itself', () => {
    const filter: Record<string, unknown> = {};
    filter.must = [filter];
    expect(() => tenantFilter(scope, filter)).toThrowError(/nested more than/);
  });

  it('sends a copy: nothing that the caller’s object does later reaches the wire', () => {
    let reads = 0;
    const filter = {
      get must() {
        return ++reads === 1 ? [red] : [];
      },
    };
    const sent = tenantFilter(scope, filter);
    expect(JSON.stringify(sent)).toBe(JSON.stringify({ must: [tenant, { must: [red] }] }));
    const withToJson = { must: [Object.assign(Object.create(null), red)], toJSON: undefined };
    expect(() => tenantFilter(scope, withToJson)).toThrowError(/unknown key/);
  });

  it('says what is wrong without showing values', () => {
    expect(() => tenantFilter(scope, { must: [{ key: 'a', match: { value: ['secret'] } }] })).toThrowError(
      'Expected `filter.must[0].match.value` to be a string, a boolean or a safe integer, got an array of 1.',
    );
  });
});
