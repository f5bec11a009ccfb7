import type { QdrantPoint } from '../../qdrant-api.js';
import type { Collection } from '../collection.js';
import { selectRows } from '../filter/row-selection.js';
import type { JsonObject } from '../json.js';
import { type PointId, parsePointId } from '../point-id.js';
import { readRecord, readSelection } from '../point-response.js';
import { badInput } from '../qdrant-api-error.js';
import { firstIds } from './first-ids.js';
import { parseOptionalFilter, readCount } from './request.js';

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
  const from = offset === undefined ? undefined : parsePointId(offset);
  const ids = await firstIds(collection, await selectRows(collection, filter), limit + 1, from);
  const points = ids
    .slice(0, limit)
    .map((id) => readRecord(collection, collection.points.rowOf(id) as number, selection));
  return { points, next_page_offset: ids[limit] ?? null };
}
