import type { Scan } from '../collection.js';
import type { Filter } from '../filter/filter.js';
import { namesIds, selectRows } from '../filter/row-selection.js';
import { comparePointIds, type PointId } from '../point-id.js';

/**
 * Points that are fewer than this part of all are selected and sorted; of more, the order of the ids is walked along.
 */
const selectivePart = 1 / 8;
/** Columns with more different values cost too much for one page. */
const mostEntries = 4_096;

/** The rows of the first `count` points that match, in the order of their ids, from the id `from` on. */
export async function firstRows(
  scan: Scan,
  filter: Filter | undefined,
  count: number,
  from?: PointId,
): Promise<number[]> {
  const isSelected = filter !== undefined && (namesIds(filter) || (await isSelective(scan, filter)));
  if (isSelected) return lowestRows(scan, await selectRows(scan, filter), count, from);
  const { collection, live, turns } = scan;
  const rows: number[] = [];
  let seen = 0;
  for (const id of await collection.idOrder.idsFrom(scan, from)) {
    if (++seen % 64 === 0 && turns.isOver()) await turns.next();
    const row = collection.points.rowOf(id, live);
    if (row === undefined || !collection.matchesRow(row, filter)) continue;
    rows.push(row);
    if (rows.length === count) break;
  }
  return rows;
}

/** Whether a column shows that few points match. */
async function isSelective(scan: Scan, filter: Filter): Promise<boolean> {
  const { columns, points } = scan.collection;
  await columns.prepare(filter, scan);
  const most = points.size * selectivePart;
  for (const condition of filter.must) {
    if (condition.kind === 'filter' && (await isSelective(scan, condition.filter))) return true;
    if (condition.kind !== 'field') continue;
    const column = columns.get(condition.key);
    if (!column || column.entryCount > mostEntries) continue;
    if ((await column.evaluate(condition, scan.turns)).count <= most) return true;
  }
  return points.size < 1000;
}

async function lowestRows(
  { collection, turns }: Scan,
  rows: Uint32Array,
  count: number,
  from: PointId | undefined,
): Promise<number[]> {
  const idOf = (row: number): PointId => collection.points.idOf(row) as PointId;
  const lowest: number[] = [];
  let bound: PointId | undefined;
  const keepLowest = (): void => {
    lowest.sort((left, right) => comparePointIds(idOf(left), idOf(right)));
    if (lowest.length > count) lowest.length = count;
    const last = lowest.at(-1);
    if (lowest.length === count && last !== undefined) bound = idOf(last);
  };
  for (let index = 0; index < rows.length; index++) {
    if (index % 256 === 255 && turns.isOver()) await turns.next();
    const row = rows[index] as number;
    const id = idOf(row);
    if (bound !== undefined && comparePointIds(id, bound) > 0) continue;
    if (from !== undefined && comparePointIds(id, from) < 0) continue;
    lowest.push(row);
    if (lowest.length >= 2 * count + 256) keepLowest();
  }
  keepLowest();
  return lowest;
}
