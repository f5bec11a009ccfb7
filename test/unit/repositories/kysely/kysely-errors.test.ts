import { describe, expect, it } from 'vitest';
import { InvalidInputError, RepositoryError } from '#src/errors.js';
import { toRepositoryError } from '#src/repositories/kysely/kysely-errors.js';

const driverError = (message: string, fields: object = {}) => Object.assign(new Error(message), fields);

describe('toRepositoryError', () => {
  it.each([
    // https://www.postgresql.org/docs/current/errcodes-appendix.html
    ['08006', true],
    ['22001', false],
    ['23505', false],
    ['25006', true],
    ['25P02', false],
    ['28P01', false],
    ['3D000', false],
    ['40001', true],
    ['40P01', true],
    ['42501', false],
    ['42703', false],
    ['42P01', false],
    ['53300', true],
    ['55P03', true],
    ['57014', true],
    ['57P01', true],
    ['57P03', true],
    ['XX000', false],
    ['ECONNREFUSED', true],
    ['ECONNRESET', true],
    ['ETIMEDOUT', true],
    ['ENOTFOUND', true],
    ['EAI_AGAIN', true],
    ['EACCES', false],
  ])('%s: worth trying again is %s', (code, isRetryable) => {
    const cause = driverError('it holds a secret-value', { code });
    const error = toRepositoryError('recordUsage', cause) as RepositoryError;
    expect(error).toBeInstanceOf(RepositoryError);
    expect(error).toMatchObject({ code: 'repository_failed', operation: 'recordUsage', isRetryable, cause });
    expect(error.message).toContain(code);
    expect(error.message).not.toContain('secret-value');
  });

  it.each([
    ['Connection terminated unexpectedly', true],
    ['Connection terminated due to connection timeout', true],
    ['timeout exceeded when trying to connect', true],
    ['Query read timeout', true],
    ['Client has encountered a connection error and is not queryable', true],
    ['Cannot use a pool after calling end on the pool', false],
    ['driver has already been destroyed', false],
    ['something else', false],
  ])('an error without a code, "%s": worth trying again is %s', (message, isRetryable) => {
    expect(toRepositoryError('recordUsage', driverError(message))).toMatchObject({ isRetryable });
  });

  it('names the address', () => {
    const refused = driverError('', { code: 'ECONNREFUSED', address: '10.0.0.7', port: 5432 });
    expect(toRepositoryError('x', refused).message).toContain('ECONNREFUSED at 10.0.0.7:5432');
    const unknown = driverError('', { code: 'ENOTFOUND', hostname: 'db.internal' });
    expect(toRepositoryError('x', unknown).message).toContain('ENOTFOUND at db.internal');
    // A name with several addresses, such as localhost.
    const several = Object.assign(new AggregateError([refused, unknown]), { code: 'ECONNREFUSED' });
    expect(toRepositoryError('x', several).message).toContain('ECONNREFUSED at 10.0.0.7:5432');
  });

  it('passes errors of the library on', () => {
    const error = new InvalidInputError('wrong');
    expect(toRepositoryError('x', error)).toBe(error);
  });

  it.each([[undefined], [null], ['text'], [7], [{}]])('takes %s for what a driver may throw', (thrown) => {
    expect(toRepositoryError('x', thrown)).toMatchObject({ code: 'repository_failed', isRetryable: false });
  });
});
