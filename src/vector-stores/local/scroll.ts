import type { QdrantPoint } from '../qdrant/qdrant-client-like.js';
import type { Collection } from './collection.js';
import type { JsonObject } from './json.js';
import { comparePointIds, type PointId, parsePointId } from './point-id.js';
import { readRecord, readSelection } from './point-response.js';
import { badInput } from './qdrant-api-error.js';
import { parseOptionalFilter, readCount } from './query.js';
import { TimeSlice } from './time-slice.js';

/** A page of the points that match, in the order of their ids, and the id with which the next page begins. */
export async function runScroll(
  collection: Collection,
  request: JsonObject,
): Promise<{ points: QdrantPoint[]; next_page_offset: PointId | null }> {
  if (request.order_by) throw badInput('the local engine scrolls in the order of the ids');
  const filter = parseOptionalFilter(request.filter, collection);
  const limit = readCount(request, 'limit', 10, 1);
  const selection = readSelection(request, true);
  const offset = request.offset ?? undefined;
  const ids = collection.points.sortedIds();
  const slice = new TimeSlice();
  const points: QdrantPoint[] = [];
  for (let index = offset === undefined ? 0 : firstNotBelow(ids, parsePointId(offset)); index < ids.length; index++) {
    const id = ids[index] as PointId;
    const row = collection.points.rowOf(id) as number;
    if (index % 256 === 255 && slice.isOver()) await slice.next();
    if (!collection.matches(row, filter)) continue;
    if (points.length === limit) return { points, next_page_offset: id };
    points.push(readRecord(collection, row, selection));
  }
  return { points, next_page_offset: null };
}

function firstNotBelow(ids: readonly PointId[], id: PointId): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePointIds(ids[middle] as PointId, id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
