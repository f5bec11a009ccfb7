import { TimeSlice } from '../../../internal/time-slice.js';
import type { Collection } from '../collection.js';
import { parsePath, valuesAt } from '../filter/payload-path.js';
import { selectRows } from '../filter/row-selection.js';
import type { JsonObject } from '../json.js';
import { badInput } from '../qdrant-api-error.js';
import { parseOptionalFilter, readCount } from './request.js';

export interface FacetHit {
  readonly value: string | number | boolean;
  readonly count: number;
}

const facetable: Readonly<Record<string, (value: unknown) => value is FacetHit['value']>> = {
  keyword: (value) => typeof value === 'string',
  uuid: (value) => typeof value === 'string',
  integer: (value): value is number => Number.isInteger(value),
  bool: (value) => typeof value === 'boolean',
};

/**
 * How many of the matching points have each value of a key, the most frequent first, equal ones by value. An array counts once for each of
 * its different elements.
 *
 * @throws a 400 where the key has no index of values, as a server does.
 */
export async function countFacets(collection: Collection, request: JsonObject): Promise<FacetHit[]> {
  const path = parsePath(request.key);
  const key = request.key as string;
  const isFacet = facetable[String(collection.config.payloadIndexes[key]?.type)];
  if (!isFacet)
    throw badInput(`No appropriate index for faceting: \`${key}\`. Please create one to facet on this field.`);
  const rows = await selectRows(collection, parseOptionalFilter(request.filter, collection));
  const counts = new Map<FacetHit['value'], number>();
  const slice = new TimeSlice();
  for (const row of rows) {
    if (slice.isOver()) await slice.next();
    for (const value of new Set(valuesAt(collection.points.payloadOf(row), path).flat())) {
      if (isFacet(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  return Array.from(counts, ([value, count]) => ({ value, count }))
    .sort((left, right) => right.count - left.count || (left.value < right.value ? -1 : 1))
    .slice(0, readCount(request, 'limit', 10, 1));
}
