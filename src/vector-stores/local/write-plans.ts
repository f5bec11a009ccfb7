import type { Collection, Mutation, Scan } from './collection.js';
import { selectRows } from './filter/row-selection.js';
import type { JsonObject } from './json.js';
import type { PointBatch } from './point-batch.js';
import { type PointId, parsePointId } from './point-id.js';
import { formatError } from './qdrant-api-error.js';
import { parseOptionalFilter } from './query/request.js';

const updateModes = ['upsert', 'insert_only', 'update_only'];

/**
 * Leaves out the points that `update_mode` and `update_filter` protect: they name what an existing point must look like
 * to be replaced.
 */
export function planUpsert(collection: Collection, request: JsonObject, batch: PointBatch): Mutation {
  const mode = request.update_mode ?? 'upsert';
  if (!updateModes.includes(mode as string))
    throw formatError(`\`update_mode\` must be one of ${updateModes.join(', ')}`);
  const filter = parseOptionalFilter(request.update_filter, collection);
  if (mode === 'upsert' && !filter) return { kind: 'upsert', ...batch };
  const isWritten = (id: PointId): boolean => {
    const row = collection.points.rowOf(id);
    return row === undefined ? mode !== 'update_only' : mode !== 'insert_only' && collection.matches(row, filter);
  };
  return { kind: 'upsert', ...keepPoints(batch, batch.ids.map(isWritten)) };
}

function keepPoints(batch: PointBatch, isKept: readonly boolean[]): PointBatch {
  const positions: number[] = [];
  let next = 0;
  for (const kept of isKept) positions.push(kept ? next++ : -1);
  const keep = <Item>(items: readonly Item[]): Item[] => items.filter((_, position) => isKept[position]);
  const dense = Object.entries(batch.dense).map(([name, vectors]) => {
    const dimension = vectors.values.length / Math.max(1, vectors.positions.length);
    const kept = vectors.positions.flatMap((position, at) => (isKept[position] ? [at] : []));
    const values = new Float32Array(kept.length * dimension);
    kept.forEach((at, index) => {
      values.set(vectors.values.subarray(at * dimension, (at + 1) * dimension), index * dimension);
    });
    return [name, { positions: kept.map((at) => positions[vectors.positions[at] as number] as number), values }];
  });
  return {
    ids: keep(batch.ids),
    payloads: keep(batch.payloads),
    dense: Object.fromEntries(dense),
    sparse: Object.fromEntries(Object.entries(batch.sparse).map(([name, vectors]) => [name, keep(vectors)])),
  };
}

/**
 * Finds the points that `points` or `filter` of a request names. The function it returns is called at the moment of the
 * change and says which of them still match: a point that was replaced since and no longer matches is left alone.
 *
 * @param scan - runs a scan of the collection.
 */
export async function selectIds(
  collection: Collection,
  request: JsonObject,
  scan: <Result>(run: (scan: Scan) => Promise<Result>) => Promise<Result>,
): Promise<() => PointId[]> {
  const { points } = request;
  if (Array.isArray(points)) {
    const ids = points.map(parsePointId);
    return () => ids.filter((id) => collection.points.rowOf(id) !== undefined);
  }
  if (request.filter === undefined || request.filter === null) throw formatError('expected `points` or `filter`');
  const filter = parseOptionalFilter(request.filter, collection);
  const ids = await scan(async (one) =>
    Array.from(await selectRows(one, filter), (row) => collection.points.idOf(row) as PointId),
  );
  return () =>
    ids.filter((id) => {
      const row = collection.points.rowOf(id);
      return row !== undefined && collection.matches(row, filter);
    });
}
