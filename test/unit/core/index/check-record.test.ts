import { describe, expect, it } from 'vitest';
import { requireMetadata, requireRecordId } from '#src/core/index/check-record.js';

describe('requireRecordId', () => {
  it.each(['', 1.5, Number.NaN, 2 ** 53, null, undefined, {}, [], true, 'a\ud800'])('refuses %j', (id) => {
    expect(() => requireRecordId(id, 3)).toThrowError(expect.objectContaining({ code: 'invalid_input', position: 3 }));
  });

  it('takes -0 for 0', () => {
    expect(Object.is(requireRecordId(-0, 0), 0)).toBe(true);
  });
});

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

  it.each([
    ['metadata.tags[1].text', { tags: ['ok 😀', { text: 'cut \ud83d' }] }],
    ['metadata.text', { text: '\ude00 cut' }],
    ['a key of metadata.tags', { tags: { 'cut \ud83d': 1 } }],
  ])('refuses half of a surrogate pair, naming %s', (path, metadata) => {
    expect(() => requireMetadata(metadata, 5)).toThrowError(
      expect.objectContaining({
        position: 5,
        message: expect.stringContaining(`\`${path}\` of the record at position 5`),
      }),
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
