import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeBetween, contentHashOf, type RecordContent } from '#src/core/index/content-hash.js';
import type { JsonValue } from '#src/core/ports/vector-store.js';

const content: RecordContent = { text: 'a', embeddingSpace: 's', contentVersion: '', metadata: { a: 1, b: [1, 2] } };
const hashOf = (change: Partial<RecordContent> = {}) => contentHashOf({ ...content, ...change });

describe('contentHashOf', () => {
  it('is one for equal records, whatever the order of their keys', () => {
    expect(hashOf()).toBe(hashOf({ metadata: { b: [1, 2], a: 1 } }));
    expect(hashOf()).toMatch(/^[\w-]{22}\.[\w-]{22}$/);
  });

  it.each<[string, Partial<RecordContent>, string]>([
    ['nothing', {}, 'none'],
    ['the text', { text: 'b' }, 'content'],
    ['the space', { embeddingSpace: 't' }, 'content'],
    ['the version', { contentVersion: '2' }, 'content'],
    ['a border between two parts', { embeddingSpace: '', contentVersion: 's' }, 'content'],
    ['the metadata', { metadata: { a: 2, b: [1, 2] } }, 'metadata'],
    ['the order of a list in the metadata', { metadata: { a: 1, b: [2, 1] } }, 'metadata'],
    ['the type of a value', { metadata: { a: '1', b: [1, 2] } }, 'metadata'],
  ])('tells that %s differs', (_, change, expected) => {
    expect(changeBetween(hashOf(), hashOf(change))).toBe(expected);
  });

  it('takes a record without a hash, or with one of another form, for changed', () => {
    for (const stored of [undefined, '', '.', 'abc', hashOf().slice(1)]) {
      expect(changeBetween(stored, hashOf())).toBe('content');
    }
  });

  it('differs whenever the metadata does', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue() as fc.Arbitrary<JsonValue>);
    fc.assert(
      fc.property(json, json, (a, b) => {
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(hashOf({ metadata: a }) === hashOf({ metadata: b })).toBe(isSame);
        expect(hashOf({ metadata: a })).toBe(hashOf({ metadata: structuredClone(a) }));
      }),
    );
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => [key, sorted(entry)]);
}
