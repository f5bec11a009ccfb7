import { describe, expect, it } from 'vitest';
import { VectorStoreError } from '#src/errors.js';
import { toVectorStoreError } from '#src/vector-stores/qdrant/wire/qdrant-errors.js';

const request = { operation: 'search', collection: 'client_7_docs', endpoint: 'http://qdrant:6333' };
const http = (status: number, reason?: unknown): Error =>
  Object.assign(new Error('Bad Request'), { status, data: { status: { error: reason } } });
const transport = (message: string, code: string): Error =>
  new TypeError(message, { cause: Object.assign(new Error(code), { code }) });

describe('toVectorStoreError', () => {
  it.each<[string, unknown, string, boolean]>([
    ['400', http(400, 'Wrong input'), 'vector_store_failed', false],
    ['401', http(401), 'authentication_failed', false],
    ['404', http(404), 'collection_not_found', false],
    ['409', http(409), 'vector_store_failed', false],
    ['413', http(413), 'vector_store_failed', false],
    ['429 without a header', http(429), 'rate_limited', true],
    ['429 as the client has it', Object.assign(new Error('x'), { retry_after: 3 }), 'rate_limited', true],
    ['500', http(500), 'unavailable', true],
    ['503', http(503), 'unavailable', true],
    ['a refused connection', transport('fetch failed', 'ECONNREFUSED'), 'unavailable', true],
    ['a broken connection', transport('terminated', 'UND_ERR_SOCKET'), 'unavailable', true],
    ['a time-out', Object.assign(new Error('x'), { name: 'QdrantClientTimeoutError' }), 'deadline_exceeded', true],
    ['no JSON', new SyntaxError('Unexpected token <'), 'invalid_response', false],
    ['a mistake of the client', new TypeError('x is not a function'), 'vector_store_failed', false],
    ['no error at all', 'oops', 'vector_store_failed', false],
    ['undefined', undefined, 'vector_store_failed', false],
  ])('maps %s', (_, error, code, isRetryable) => {
    const mapped = toVectorStoreError(error, request);
    expect(mapped).toMatchObject({ code, isRetryable, collection: 'client_7_docs' });
    expect(mapped.message).toContain('http://qdrant:6333');
    expect(mapped.message).toContain('client_7_docs');
  });

  it('passes errors of this library on', () => {
    const error = new VectorStoreError('x', { code: 'storage_locked' });
    expect(toVectorStoreError(error, request)).toBe(error);
  });

  it.each([
    [408, { code: 'deadline_exceeded', isRetryable: true }],
    [507, { code: 'vector_store_failed', isRetryable: false }],
  ])('tells HTTP %i, a time limit or a quota of the server, from a server that is away', (status, expected) => {
    expect(toVectorStoreError(http(status, 'reason'), request)).toMatchObject(expected);
  });

  it.each([
    ['an errno', Object.assign(new Error('x'), { code: 'EACCES' }), '(EACCES)'],
    ['a port that fetch blocks', new TypeError('fetch failed', { cause: new Error('bad port') }), '(bad port)'],
  ])('names %s', (_, error, reason) => {
    expect(toVectorStoreError(error, request).message).toContain(reason);
  });

  it('does not repeat a cause that may quote the request', () => {
    const error = new TypeError('fetch failed', { cause: new Error('invalid header value: my-secret-key') });
    expect(toVectorStoreError(error, request).message).not.toContain('secret');
  });

  it('explains that client 1.18 does not run on Node 26', () => {
    expect(toVectorStoreError(transport('fetch failed', 'UND_ERR_INVALID_ARG'), request)).toMatchObject({
      isRetryable: false,
      message: expect.stringContaining('install 1.19'),
    });
  });

  it.each([
    ['a quoted value', 'invalid type: string "my \\"secret\\" text", expected u64', 'secret'],
    ['an open quote', 'invalid value "my secret text', 'secret'],
    ['several lines', 'a\nb "secret"', 'secret'],
  ])('shows the server’s words without %s', (_, reason, secret) => {
    const { message } = toVectorStoreError(http(400, reason), request);
    expect(message).not.toContain(secret);
    expect(message).not.toContain('\n');
  });
});

describe('a server in strict mode', () => {
  // The words of Qdrant 1.19, lib/collection/src/operations/verification/mod.rs.
  const refusal = (key: string): string =>
    `Bad request: Index required but not found for "${key}" of one of the following types: [keyword]. Help: Create an index for this key or use a different filter.`;

  it('has its missing index named by the field, which is the caller’s own word', () => {
    const { message } = toVectorStoreError(http(400, refusal('meta.colour')), request);
    expect(message).toContain('an index of the field meta.colour');
    expect(message).toContain('payloadIndexes');
  });

  it('has nothing repeated that does not look like a field', () => {
    expect(toVectorStoreError(http(400, refusal('my secret, "text')), request).message).not.toContain('secret');
  });
});
