import { InvalidInputError } from '../../errors.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { SearchOptions, VectorStore } from '../ports/vector-store.js';
import type { TableOptions } from './index-upsert.js';
import { foldPieces, type IndexHit } from './pieces.js';

/** A table to search, and which of its records. */
export interface SearchedTable extends Pick<SearchOptions, 'filter'> {
  readonly tableName: string;
}

export interface TablesSearchOptions
  extends Omit<TableOptions, 'tableName'>,
    Pick<SearchOptions, 'limit' | 'scoreThreshold'> {
  readonly tables: readonly (string | SearchedTable)[];
}

export const defaultLimit = 10;
/** The most hits that a store gives at once. */
const mostHits = 10_000;
/** The usual constant of reciprocal rank fusion: how much a first place counts more than a later one. */
const rankConstant = 60;

/** @throws {@link InvalidInputError} unless there is a table, each with a name and none twice. */
export function checkTables(tables: unknown): SearchedTable[] {
  if (!Array.isArray(tables) || tables.length === 0) {
    throw new InvalidInputError(`Expected \`tables\` to be an array of table names, got ${describeValue(tables)}.`);
  }
  const checked = tables.map((table: unknown, position): SearchedTable => {
    if (typeof table === 'string') return { tableName: table };
    if (isRecord(table) && typeof table.tableName === 'string') {
      return { tableName: table.tableName, filter: table.filter as SearchedTable['filter'] };
    }
    throw new InvalidInputError(
      `Expected \`tables[${position}]\` to be a name or an object with a \`tableName\`, got ${describeValue(table)}.`,
      { position },
    );
  });
  const names = checked.map(({ tableName }) => tableName);
  const twice = names.find((name, position) => names.indexOf(name) !== position);
  if (twice === undefined) return checked;
  throw new InvalidInputError('Expected `tables` to name each table once.', { position: names.lastIndexOf(twice) });
}

/** The closest records, each once: if pieces of a few long texts fill the answer, more hits are asked for. */
export async function searchRecords(
  store: VectorStore,
  vector: ArrayLike<number>,
  embeddingSpace: string,
  options: TableOptions & SearchOptions,
): Promise<IndexHit[]> {
  const { tenantId, tableName, preferredProvider: _, ...searchOptions } = options;
  const wanted = options.limit ?? defaultLimit;
  for (let limit = options.limit; ; limit = Math.min((limit ?? wanted) * 4, mostHits)) {
    const hits = await store.searchSimilar(tenantId, tableName, vector, { ...searchOptions, limit, embeddingSpace });
    const records = foldPieces(hits);
    const asked = limit ?? wanted;
    if (records.length >= wanted || hits.length < asked || asked >= mostHits) return records.slice(0, wanted);
  }
}

export function mergeByScore(lists: readonly (readonly IndexHit[])[]): IndexHit[] {
  return lists.flat().toSorted((a, b) => b.score - a.score);
}

/** Reciprocal rank fusion. The hits keep the scores that they have in their own tables. */
export function fuseByRank(lists: readonly (readonly IndexHit[])[]): IndexHit[] {
  const ranked = lists.flatMap((list) => list.map((hit, rank) => ({ hit, weight: 1 / (rankConstant + rank + 1) })));
  return ranked.toSorted((a, b) => b.weight - a.weight).map(({ hit }) => hit);
}
