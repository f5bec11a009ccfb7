import type { CallOptions } from '../../core/ports/call-options.js';
import { AiProviderError, RepositoryError } from '../../errors.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';

interface Reason {
  readonly text: string;
  readonly isRetryable: boolean;
  /** The values of the row are refused, and would be refused again. */
  readonly isAboutRow: boolean;
}

const retry = (text: string): Reason => ({ text, isRetryable: true, isAboutRow: false });
const stop = (text: string): Reason => ({ text, isRetryable: false, isAboutRow: false });
const refuse = (text: string): Reason => ({ text, isRetryable: false, isAboutRow: true });

// SQLSTATE codes (https://www.postgresql.org/docs/current/errcodes-appendix.html) and Node's system error codes; the
// longest match wins.
const reasons: ReadonlyMap<string, Reason> = new Map([
  ['08', retry('the connection to the database failed')],
  ['22', refuse('the database refused a value')],
  ['23', refuse('a constraint of the table refused the row')],
  ['25006', retry('the database is read-only at the moment')],
  ['25P02', stop("the host's transaction had failed before")],
  ['28', stop('the database refused the credentials of the handle')],
  ['3D000', stop('the database does not exist')],
  ['40', retry('the transaction collided with another one')],
  ['42501', stop('the database user lacks a permission on the table')],
  ['42703', stop('a column is missing')],
  ['42P01', stop('the table is missing, or not on the search path')],
  ['53', retry('the database is out of resources or connections')],
  ['55P03', retry('a lock was not granted in time')],
  ['57014', retry('the statement was cancelled or ran past its timeout')],
  ['57P', retry('the database is shutting down or starting')],
  ['ECONNREFUSED', retry('the database refused the connection')],
  ['ECONNRESET', retry('the database closed the connection')],
  ['EPIPE', retry('the database closed the connection')],
  ['ETIMEDOUT', retry('the database did not answer in time')],
  ['EHOSTUNREACH', retry('the database host cannot be reached')],
  ['ENETUNREACH', retry('the network of the database cannot be reached')],
  ['ENOTFOUND', retry('the database host has no address')],
  ['EAI_AGAIN', retry('the address of the database host could not be looked up')],
]);

// Errors that pg and Kysely throw without a code.
const codelessReasons: readonly (readonly [RegExp, Reason])[] = [
  [/pool after calling end|driver has already been destroyed/i, stop('the host has closed the handle')],
  [
    /connection terminated|connection error|client was closed|socket|not queryable/i,
    retry('the connection to the database broke'),
  ],
  [/timeout/i, retry('the database did not answer in time')],
];

/** Wraps what the driver threw. The message holds the reason, the code and the address, never a value of a row. */
export function toRepositoryError(operation: string, error: unknown): AiProviderError {
  if (error instanceof AiProviderError) return error;
  const code = readText(error, 'code');
  const reason = findReason(code, readText(error, 'message') ?? '');
  const details = [code, readAddress(error)].filter((detail) => detail !== undefined).join(' at ');
  return new RepositoryError(
    `${operation} failed: ${reason.text}${details === '' ? '' : ` (${details})`}. ${reason.isRetryable ? 'It is worth trying again.' : 'Trying again will not help.'}`,
    { operation, isRetryable: reason.isRetryable, isAboutRow: reason.isAboutRow, cause: error },
  );
}

function findReason(code: string | undefined, message: string): Reason {
  for (let length = code?.length ?? 0; length >= 2; length--) {
    const reason = reasons.get(code!.slice(0, length));
    if (reason !== undefined) return reason;
  }
  const codeless = code === undefined ? codelessReasons.find(([pattern]) => pattern.test(message)) : undefined;
  return codeless?.[1] ?? stop('the database reported an error');
}

/** `host:port` if the error has it; the first address if a name had several (an AggregateError). */
function readAddress(error: unknown): string | undefined {
  const address = readText(error, 'address') ?? readText(error, 'hostname');
  if (address !== undefined) {
    const port = (error as { readonly port?: unknown }).port;
    return typeof port === 'number' ? `${address}:${port}` : address;
  }
  return error instanceof AggregateError ? readAddress(error.errors[0]) : undefined;
}

function readText(error: unknown, key: string): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const value = (error as Record<string, unknown>)[key];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/**
 * The driver cannot be told to stop: an aborted call rejects at once, and what was sent is carried out or not by the
 * database alone.
 */
export async function runQuery<Result>(
  operation: string,
  options: CallOptions,
  query: () => Promise<Result>,
): Promise<Result> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    return await rejectOnAbort(query(), signal);
  } catch (error) {
    signal?.throwIfAborted();
    throw toRepositoryError(operation, error);
  }
}
