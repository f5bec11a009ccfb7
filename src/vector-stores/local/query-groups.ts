import type { QdrantPoint } from '../qdrant/qdrant-client-like.js';
import type { Collection } from './collection.js';
import type { JsonObject } from './json.js';
import { parsePath, valuesAt } from './payload-path.js';
import { readPoint, readSelection } from './point-response.js';
import { badInput } from './qdrant-api-error.js';
import { parseQuery, readCount, runQuery } from './query.js';

export interface PointGroup {
  readonly id: string | number;
  readonly hits: QdrantPoint[];
}

/**
 * The best points of the best groups: a group is a value (a string or an integer) under a key, its rank that of its best point. A point
 * with several values is in several groups, one with none in no group.
 */
export async function runQueryGroups(collection: Collection, request: JsonObject): Promise<PointGroup[]> {
  if (request.with_lookup) throw badInput('the local engine has no `with_lookup`');
  const path = parsePath(request.group_by);
  const groupSize = readCount(request, 'group_size', 3, 1);
  const limit = readCount(request, 'limit', 10, 1);
  const selection = readSelection(request, false);
  const query = parseQuery({ ...request, limit: Math.max(1, collection.points.size), offset: 0 }, collection);
  const groups = new Map<string | number, QdrantPoint[]>();
  for (const hit of await runQuery(collection, query)) {
    for (const value of new Set(valuesAt(collection.points.payloadOf(hit.row), path).flat())) {
      if (typeof value !== 'string' && !Number.isInteger(value)) continue;
      const id = value as string | number;
      const hits = groups.get(id);
      if (!hits && groups.size < limit) groups.set(id, [readPoint(collection, hit, selection)]);
      else if (hits && hits.length < groupSize) hits.push(readPoint(collection, hit, selection));
    }
  }
  return Array.from(groups, ([id, hits]) => ({ id, hits }));
}
