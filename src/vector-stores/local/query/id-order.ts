import { comparePointIds, type PointId } from '../point-id.js';
import type { TableScan } from '../point-table.js';
import type { ScanTurns } from '../scan-schedule.js';

const sortedAtOnce = 1024;
/** With more ids that came since, all are sorted again. */
const mostAdded = 16_384;

/**
 * The ids of a collection in their order, held from the first time that somebody pages through it: sorting them for
 * each page would make a listing quadratic. Ids that are gone stay in it until they are half of it; whoever reads skips
 * them.
 */
export class IdOrder {
  #sorted: readonly PointId[] | undefined;
  /** The ids that came since: in order, and as they came. */
  #added: readonly PointId[] = [];
  #unsorted: PointId[] = [];
  /** What came since each sorting that is under way began. */
  readonly #sortings = new Set<PointId[]>();

  /** To be called for each id that the collection did not have. */
  add(id: PointId): void {
    for (const since of this.#sortings) since.push(id);
    if (!this.#sorted) return;
    this.#unsorted.push(id);
    if (this.#unsorted.length > mostAdded) this.#sorted = undefined;
  }

  /** The ids of the points of a scan, and perhaps others that are not in it, from `from` on. */
  async idsFrom(scan: TableScan, from: PointId | undefined): Promise<Iterable<PointId>> {
    if (!this.#sorted || this.#sorted.length > 2 * scan.points.size + mostAdded) await this.#sort(scan);
    if (this.#unsorted.length > 0) {
      this.#added = merge(this.#added, this.#unsorted.sort(comparePointIds));
      this.#unsorted = [];
    }
    if (this.#added.length > mostAdded) await this.#sort(scan);
    return inOrder(this.#sorted ?? [], this.#added, from);
  }

  async #sort(scan: TableScan): Promise<void> {
    const since: PointId[] = [];
    this.#sortings.add(since);
    try {
      this.#sorted = await sortInSlices([...scan.points.ids()], scan.turns);
      this.#added = [];
      this.#unsorted = since;
    } finally {
      this.#sortings.delete(since);
    }
  }
}

function* inOrder(
  sorted: readonly PointId[],
  added: readonly PointId[],
  from: PointId | undefined,
): Generator<PointId> {
  let [at, atAdded] = [positionOf(sorted, from), positionOf(added, from)];
  let last: PointId | undefined;
  while (at < sorted.length || atAdded < added.length) {
    const isAdded = at >= sorted.length || (atAdded < added.length && isBefore(added, atAdded, sorted, at));
    const id = (isAdded ? added[atAdded++] : sorted[at++]) as PointId;
    // An id that went and came again is there twice.
    if (id !== last) yield id;
    last = id;
  }
}

/** If `id` is, or would be. */
function positionOf(sorted: readonly PointId[], id: PointId | undefined): number {
  if (id === undefined) return 0;
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePointIds(sorted[middle] as PointId, id) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

const isBefore = (left: readonly PointId[], at: number, right: readonly PointId[], atRight: number): boolean =>
  comparePointIds(left[at] as PointId, right[atRight] as PointId) < 0;

function merge(left: readonly PointId[], right: readonly PointId[]): PointId[] {
  const merged: PointId[] = [];
  for (let [at, atRight] = [0, 0]; at < left.length || atRight < right.length; ) {
    const isRight = at >= left.length || (atRight < right.length && isBefore(right, atRight, left, at));
    merged.push((isRight ? right[atRight++] : left[at++]) as PointId);
  }
  return merged;
}

/** A merge sort that gives way to others. */
async function sortInSlices(ids: PointId[], turns: ScanTurns): Promise<PointId[]> {
  let runs: PointId[][] = [];
  for (let from = 0; from < ids.length; from += sortedAtOnce) {
    runs.push(ids.slice(from, from + sortedAtOnce).sort(comparePointIds));
    if (turns.isOver()) await turns.next();
  }
  while (runs.length > 1) {
    const merged: PointId[][] = [];
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(await mergeInSlices(runs[at] as PointId[], runs[at + 1] ?? [], turns));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergeInSlices(left: PointId[], right: PointId[], turns: ScanTurns): Promise<PointId[]> {
  if (right.length === 0) return left;
  const merged = new Array<PointId>(left.length + right.length);
  let [at, atRight] = [0, 0];
  for (let next = 0; next < merged.length; next++) {
    if (next % 1024 === 1023 && turns.isOver()) await turns.next();
    const isRight = at >= left.length || (atRight < right.length && isBefore(right, atRight, left, at));
    merged[next] = (isRight ? right[atRight++] : left[at++]) as PointId;
  }
  return merged;
}
