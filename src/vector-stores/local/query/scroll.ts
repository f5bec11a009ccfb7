import type { QdrantPoint } from '../../qdrant-api.js';
import type { Scan } from '../collection.js';
import type { JsonObject } from '../json.js';
import { type PointId, parsePointId } from '../point-id.js';
import { readRecord, readSelection } from '../point-response.js';
import { badInput } from '../qdrant-api-error.js';
import { firstRows } from './first-rows.js';
import { parseOptionalFilter, readCount } from './request.js';

/** A page of the points that match, in the order of their ids, and the id with which the next page begins. */
export async function runScroll(
  scan: Scan,
  request: JsonObject,
): Promise<{ points: QdrantPoint[]; next_page_offset: PointId | null }> {
  const { collection } = scan;
  if (request.order_by) throw badInput('the local engine scrolls in the order of the ids');
  const filter = parseOptionalFilter(request.filter, collection);
  const limit = readCount(request, 'limit', 10, 1);
  const selection = readSelection(request, true);
  const offset = request.offset ?? undefined;
  const from = offset === undefined ? undefined : parsePointId(offset);
  const rows = await firstRows(scan, filter, limit + 1, from);
  const points = rows.slice(0, limit).map((row) => readRecord(collection, row, selection));
  const next = rows[limit];
  return { points, next_page_offset: next === undefined ? null : (collection.points.idOf(next) as PointId) };
}
