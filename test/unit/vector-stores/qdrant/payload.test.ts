import { describe, expect, it } from 'vitest';
import { requireMetadata, requireOwnPayload } from '../../../../src/vector-stores/qdrant/payload.js';

const scope = { tenantId: 7, tableName: 'docs', mode: 'collection' as const, collection: 'client_7_docs' };

describe('requireMetadata', () => {
  it('copies JSON and leaves out undefined properties', () => {
    const metadata = { a: 1, b: [null, 'x', { c: true }], d: undefined };
    const copy = requireMetadata(metadata, 0);
    expect(copy).toEqual({ a: 1, b: [null, 'x', { c: true }] });
    expect(copy.b).not.toBe(metadata.b);
    expect(requireMetadata(undefined, 0)).toEqual({});
  });

  it.each([
    ['client_id', { client_id: 8 }],
    ['table_name', { table_name: 'x' }],
    ['record_id', { record_id: 1 }],
    ['a toJSON', { toJSON: () => ({ client_id: 8 }) }],
    ['a nested toJSON', { a: { toJSON: () => 1 } }],
    ['a class instance', new (class Metadata {})()],
    ['a date', { at: new Date(0) }],
    ['NaN', { a: Number.NaN }],
    ['Infinity', { a: [Number.POSITIVE_INFINITY] }],
    ['a BigInt', { a: 1n }],
    ['undefined in an array', { a: [undefined] }],
    ['a symbol', { a: Symbol('x') }],
    ['null', null],
    ['an array', [1]],
    ['a string', 'x'],
  ])('refuses %s, with the position', (_, metadata) => {
    expect(() => requireMetadata(metadata, 5)).toThrowError(
      expect.objectContaining({ code: 'invalid_input', position: 5 }),
    );
  });

  it('refuses metadata that holds itself', () => {
    const metadata: Record<string, unknown> = {};
    metadata.a = [metadata];
    expect(() => requireMetadata(metadata, 0)).toThrowError(/nested at most/);
  });

  it('keeps a key named __proto__ a key', () => {
    const copy = requireMetadata(JSON.parse('{"__proto__": {"client_id": 8}}'), 0);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(JSON.stringify({ ...copy, client_id: 7 })).toBe('{"__proto__":{"client_id":8},"client_id":7}');
  });
});

describe('requireOwnPayload', () => {
  it('gives back the record and its metadata', () => {
    const payload = { client_id: 7, table_name: 'docs', record_id: 'r', title: 'x' };
    expect(requireOwnPayload(scope, payload)).toEqual({ recordId: 'r', metadata: { title: 'x' } });
  });

  it.each([
    ['another tenant', { client_id: 8, table_name: 'docs', record_id: 'r' }],
    ['several tenants', { client_id: [7, 8], table_name: 'docs', record_id: 'r' }],
    ['the tenant as a string', { client_id: '7', table_name: 'docs', record_id: 'r' }],
    ['another table', { client_id: 7, table_name: 'docs2', record_id: 'r' }],
    ['no payload', undefined],
    ['null', null],
  ])('raises isolation_violated for %s', (_, payload) => {
    expect(() => requireOwnPayload(scope, payload)).toThrowError(
      expect.objectContaining({ code: 'isolation_violated' }),
    );
  });
});
