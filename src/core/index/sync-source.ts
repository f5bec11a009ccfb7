import { InvalidInputError } from '../../errors.js';
import { takeSlices } from '../../internal/slices.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { JsonValue } from '../ports/vector-store.js';

/** A record as its source has it. */
export interface SyncRecord {
  /** The record's key in its table. */
  readonly recordId: string | number;
  /** What the record is found by. Empty, null or undefined: the record has no text, and no vector. */
  readonly text: string | null | undefined;
  readonly metadata?: Readonly<Record<string, JsonValue>> | undefined;
}

/** A part of a source. */
export interface SyncPage {
  /** May be empty: only a missing `nextCursor` is the end of the source. */
  readonly records: readonly SyncRecord[];
  /** The cursor of the next page; undefined on the last page. */
  readonly nextCursor?: string | undefined;
  /** How many records the source has, if it knows. */
  readonly total?: number | undefined;
}

/** Reads the page that begins at a cursor; undefined is the beginning of the source. */
export type ReadSyncPage = (
  cursor: string | undefined,
  options: { readonly signal: AbortSignal | undefined },
) => Promise<SyncPage> | SyncPage;

/** All records of a table: any iterable, or a function that reads a page. Only pages can be resumed in the middle. */
export type SyncSource = Iterable<SyncRecord> | AsyncIterable<SyncRecord> | ReadSyncPage;

/** A page, or a slice of an iterable, and where a sync goes on after it. */
export interface SyncSlice {
  readonly records: readonly SyncRecord[];
  /** Undefined if this slice ends the source, or if the source cannot be resumed. */
  readonly nextCursor: string | undefined;
  readonly total: number | undefined;
}

export interface ReadSourceOptions {
  readonly sliceLength: number;
  /** Where to begin; an iterable always begins at its start. */
  readonly from: string | undefined;
  /** After the end, goes on with the part before `from`, so that every record is read. */
  readonly wrapsAround: boolean;
  readonly signal: AbortSignal | undefined;
}

/** @throws {@link InvalidInputError} for a page that is not one, and for a cursor that leads back to itself. */
export async function* readSource(source: SyncSource, options: ReadSourceOptions): AsyncGenerator<SyncSlice> {
  const { from, wrapsAround, sliceLength, signal } = options;
  if (typeof source !== 'function') {
    for await (const records of takeSlices(source, sliceLength)) {
      signal?.throwIfAborted();
      yield { records, nextCursor: undefined, total: undefined };
    }
    return;
  }
  yield* readPages(source, from, undefined, signal);
  if (wrapsAround && from !== undefined) yield* readPages(source, undefined, from, signal);
}

/**
 * @param until - The cursor of a page that was read before; if the pages have moved since and none begins there,
 *   reading goes on to the end.
 */
async function* readPages(
  read: ReadSyncPage,
  from: string | undefined,
  until: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<SyncSlice> {
  let cursor = from;
  do {
    signal?.throwIfAborted();
    const page = requirePage(await read(cursor, { signal }));
    if (page.nextCursor !== undefined && page.nextCursor === cursor) {
      throw new InvalidInputError('Expected `nextCursor` to lead on, got the cursor of the page itself.');
    }
    yield { records: page.records, nextCursor: page.nextCursor, total: page.total };
    cursor = page.nextCursor;
  } while (cursor !== undefined && cursor !== until);
}

function requirePage(page: unknown): SyncPage {
  if (isRecord(page) && Array.isArray(page.records)) {
    const { nextCursor } = page;
    if (nextCursor === undefined || (typeof nextCursor === 'string' && nextCursor !== '')) {
      return page as unknown as SyncPage;
    }
    throw new InvalidInputError(
      `Expected \`nextCursor\` to be a non-empty string, or undefined on the last page, got ${describeValue(nextCursor)}.`,
    );
  }
  throw new InvalidInputError(
    `Expected the source to return a page { records, nextCursor }, got ${describeValue(page)}.`,
  );
}
