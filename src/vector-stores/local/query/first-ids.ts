import { TimeSlice } from '../../../internal/time-slice.js';
import type { Collection } from '../collection.js';
import { comparePointIds, type PointId } from '../point-id.js';

/** The lowest ids of the rows, in order, beginning with `from`. */
export async function firstIds(
  collection: Collection,
  rows: Uint32Array,
  count: number,
  from?: PointId,
): Promise<PointId[]> {
  const slice = new TimeSlice();
  const ids: PointId[] = [];
  let bound: PointId | undefined;
  const keepFirst = (): void => {
    ids.sort(comparePointIds);
    if (ids.length > count) ids.length = count;
    if (ids.length === count) bound = ids.at(-1);
  };
  for (let index = 0; index < rows.length; index++) {
    if (index % 256 === 255 && slice.isOver()) await slice.next();
    const id = collection.points.idOf(rows[index] as number) as PointId;
    if (bound !== undefined && comparePointIds(id, bound) > 0) continue;
    if (from !== undefined && comparePointIds(id, from) < 0) continue;
    ids.push(id);
    if (ids.length >= 2 * count + 256) keepFirst();
  }
  keepFirst();
  return ids;
}
