import type { Scan } from '../collection.js';
import { heldBy } from '../filter/payload-index.js';
import { parsePath, valuesAt } from '../filter/payload-path.js';
import { selectRows } from '../filter/row-selection.js';
import type { JsonObject } from '../json.js';
import { badInput } from '../qdrant-api-error.js';
import { parseOptionalFilter, readCount } from './request.js';

export interface FacetHit {
  readonly value: string | number | boolean;
  readonly count: number;
}

/**
 * How many of the matching points have each value of a key, the most frequent first, equal ones by value. An array
 * counts once for each of its different elements.
 *
 * @throws a 400 if the key has no index of values, as a server does.
 */
export async function countFacets(scan: Scan, request: JsonObject): Promise<FacetHit[]> {
  const { collection, turns } = scan;
  const path = parsePath(request.key);
  const read = heldBy(collection.indexOf(path));
  if (!read) {
    throw badInput(`No appropriate index for faceting: \`${request.key}\`. Please create one to facet on this field.`);
  }
  const limit = readCount(request, 'limit', 10, 1);
  const rows = await selectRows(scan, parseOptionalFilter(request.filter, collection));
  const counts = new Map<FacetHit['value'], number>();
  for (const row of rows) {
    if (turns.isOver()) await turns.next();
    const values = new Set(valuesAt(collection.points.payloadOf(row), path).flat().map(read));
    for (const value of values) if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return Array.from(counts, ([value, count]) => ({ value, count }))
    .sort((left, right) => right.count - left.count || (left.value < right.value ? -1 : 1))
    .slice(0, limit);
}
