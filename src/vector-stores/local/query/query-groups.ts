import type { QdrantPoint } from '../../qdrant-api.js';
import type { Collection, Scan } from '../collection.js';
import { type PathStep, parsePath, valuesAt } from '../filter/payload-path.js';
import type { JsonObject } from '../json.js';
import { readPoint, readSelection } from '../point-response.js';
import { badInput } from '../qdrant-api-error.js';
import { parseQuery, runQuery } from './query.js';
import { readCount } from './request.js';
import type { ScoredRow } from './top-rows.js';

export interface PointGroup {
  readonly id: string | number;
  readonly hits: QdrantPoint[];
}

/**
 * The best points of the best groups: a group is a value (a string or an integer) under a key, its rank that of its
 * best point. A point with several values is in several groups, one without a value in no group.
 */
export async function runQueryGroups(scan: Scan, request: JsonObject): Promise<PointGroup[]> {
  const { collection } = scan;
  if (request.with_lookup) throw badInput('the local engine has no `with_lookup`');
  const path = parsePath(request.group_by);
  const groupSize = readCount(request, 'group_size', 3, 1);
  const limit = readCount(request, 'limit', 10, 1);
  const selection = readSelection(request, false);
  const query = parseQuery({ ...request, limit: 1, offset: 0 }, collection);
  // Most often a few hits are enough; if they are not, more are fetched.
  for (let count = 4 * limit * groupSize; ; count *= 8) {
    const hits = await runQuery(scan, { ...query, limit: count });
    const groups = groupHits(collection, hits, path, limit, groupSize);
    const isFull = groups.size === limit && [...groups.values()].every((group) => group.length === groupSize);
    if (isFull || hits.length < count) {
      return Array.from(groups, ([id, group]) => ({
        id,
        hits: group.map((hit) => readPoint(collection, hit, selection)),
      }));
    }
  }
}

function groupHits(
  collection: Collection,
  hits: readonly ScoredRow[],
  path: readonly PathStep[],
  limit: number,
  groupSize: number,
): Map<string | number, ScoredRow[]> {
  const groups = new Map<string | number, ScoredRow[]>();
  for (const hit of hits) {
    const values = new Set(valuesAt(collection.points.payloadOf(hit.row), path).flat());
    // As on a server, one value that makes no group keeps the point out of all.
    if ([...values].some((value) => typeof value !== 'string' && !Number.isInteger(value))) continue;
    for (const value of values) {
      const id = value as string | number;
      const group = groups.get(id);
      if (!group && groups.size < limit) groups.set(id, [hit]);
      else if (group && group.length < groupSize) group.push(hit);
    }
  }
  return groups;
}
