import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { collectionName, parseCollectionName, pointId } from '#src/vector-stores/qdrant/tenancy/naming.js';

describe('collectionName', () => {
  it('is the name that the platform uses', () => {
    expect(collectionName(12, 'jira_issues')).toBe('client_12_jira_issues');
  });

  it.each(['2_x', '', 'Docs', 'a-b', 'a b', '../x', 'a/b', 'ä', 'a\n', '__proto__', 'x'.repeat(300)])(
    'refuses the table name %j',
    (tableName) => {
      expect(() => collectionName(1, tableName)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    },
  );

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53, '1', null, undefined, [1], { valueOf: () => 1 }])(
    'refuses the tenant %j',
    (tenantId) => {
      expect(() => collectionName(tenantId as number, 'docs')).toThrowError(
        expect.objectContaining({ code: 'invalid_input' }),
      );
    },
  );

  it('gives two pairs two names', () => {
    const pair = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/));
    fc.assert(
      fc.property(pair, pair, (a, b) => {
        fc.pre(a[0] !== b[0] || a[1] !== b[1]);
        return collectionName(...a) !== collectionName(...b);
      }),
    );
  });
});

describe('parseCollectionName', () => {
  it('knows the names of tables again, and the alias that leads to one', () => {
    expect(parseCollectionName('client_12_jira_issues')).toEqual({ tenantId: 12, tableName: 'jira_issues' });
    expect(parseCollectionName('shared_docs')).toEqual({ tableName: 'docs' });
    expect(parseCollectionName('client_12_docs@live')).toEqual({ tenantId: 12, tableName: 'docs' });
    expect(parseCollectionName('shared_docs@live')).toEqual({ tableName: 'docs' });
  });

  it.each(['client_12_docs@2', 'client_0_docs', 'client_1_2', 'docs', 'client_12_docs@live@live'])(
    'takes %s for none of them',
    (name) => expect(parseCollectionName(name)).toBeUndefined(),
  );
});

describe('pointId', () => {
  it('is a UUIDv5 over length-prefixed parts, and stays what it is', () => {
    // Computed here from the definition: a changed id would store every record a second time.
    const namespace = Buffer.from('6f1c1f0e2b6b5d0f9a3e7c5d41b8a2e7', 'hex');
    const digest = createHash('sha1').update(namespace).update('1:74:docs3:n420:').digest('hex');
    const variant = ((Number.parseInt(digest[16]!, 16) & 0x3) | 0x8).toString(16);
    expect(pointId(7, 'docs', 42)).toBe(
      `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`,
    );
    expect(pointId(7, 'docs', 42)).toBe('19c631a0-78a8-5b25-9e61-5e0b56d2706f');
  });

  it('tells the number 1 from the string 1', () => {
    expect(pointId(1, 'docs', 1)).not.toBe(pointId(1, 'docs', '1'));
  });

  it('gives two records two ids', () => {
    const triple = fc.tuple(
      fc.integer({ min: 1, max: 30 }),
      fc.stringMatching(/^[a-z][a-z0-9_]{0,3}$/),
      fc.oneof(fc.integer({ min: -20, max: 20 }), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 })),
    );
    fc.assert(
      fc.property(triple, triple, (a, b) => {
        fc.pre(!a.every((part, i) => Object.is(part, b[i])));
        return pointId(...a) !== pointId(...b);
      }),
      { numRuns: 2000 },
    );
  });
});
