import { describe, expect, it } from 'vitest';
import { requireOwnPayload } from '#src/vector-stores/qdrant/tenancy/payload.js';

const scope = { tenantId: 7, tableName: 'docs', mode: 'collection' as const, collection: 'client_7_docs' };

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
