import { unnamedVector } from './collection-config.js';
import { isObject, type JsonObject } from './json.js';
import { type PointId, parsePointId } from './point-id.js';
import { badInput, formatError } from './qdrant-api-error.js';
import { parseSparseVector, type SparseVector, type SparseVectors } from './sparse-vectors.js';
import type { VectorMatrix } from './vector-matrix.js';

/** Points to store, checked and in the form in which they are stored and logged. */
export interface PointBatch {
  readonly ids: readonly PointId[];
  readonly payloads: readonly JsonObject[];
  readonly dense: Readonly<Record<string, DenseBatch>>;
  /** One entry a point, null where it has no such vector. */
  readonly sparse: Readonly<Record<string, readonly (SparseVector | null)[]>>;
}

/** `values` holds the vectors (`positions.length` x dimension) of the points at `positions`. */
export interface DenseBatch {
  readonly positions: readonly number[];
  readonly values: Float32Array;
}

/** The vectors of a collection, by name. */
export interface VectorSpaces {
  readonly dense: ReadonlyMap<string, VectorMatrix>;
  readonly sparse: ReadonlyMap<string, SparseVectors>;
}

interface PointRequest {
  readonly id: unknown;
  readonly vector: unknown;
  readonly payload: unknown;
}

/**
 * Checks the points of an upsert request (`points`, or `batch` with parallel lists) and copies them.
 *
 * @throws a 400 or 422 for the whole request where one point is malformed: nothing is stored of it then.
 */
export function parsePointBatch(request: JsonObject, spaces: VectorSpaces): PointBatch {
  const points = lastOfEachId(readPoints(request));
  const ids = points.map((point) => point.id);
  const payloads = copyPayloads(points);
  const byName = points.map((point) => vectorsByName(point.vector, spaces));

  const dense: Record<string, DenseBatch> = {};
  for (const [name, matrix] of spaces.dense) {
    const positions = positionsWith(name, byName);
    const values = new Float32Array(positions.length * matrix.dimension);
    positions.forEach((position, at) => {
      matrix.prepare(requireDense(byName[position]?.get(name)), values, at);
    });
    if (name === unnamedVector && positions.length < points.length) throw badInput('Not existing vector name error: ');
    dense[name] = { positions, values };
  }
  const sparse: Record<string, (SparseVector | null)[]> = {};
  for (const name of spaces.sparse.keys()) {
    sparse[name] = byName.map((vectors) => (vectors.has(name) ? parseSparseVector(vectors.get(name)) : null));
  }
  return { ids, payloads, dense, sparse };
}

function positionsWith(name: string, byName: readonly ReadonlyMap<string, unknown>[]): number[] {
  const positions: number[] = [];
  byName.forEach((vectors, position) => {
    if (vectors.has(name)) positions.push(position);
  });
  return positions;
}

/** A dense vector as it came: an array or a typed array of numbers. */
export function requireDense(vector: unknown): ArrayLike<number> {
  if (Array.isArray(vector) || vector instanceof Float32Array || vector instanceof Float64Array) return vector;
  throw formatError('a dense vector must be an array of numbers');
}

/** Where an id comes twice, the later point counts. */
function lastOfEachId(points: readonly PointRequest[]): (PointRequest & { readonly id: PointId })[] {
  const byId = new Map<PointId, PointRequest & { readonly id: PointId }>();
  for (const point of points) {
    const id = parsePointId(point.id);
    byId.set(id, { ...point, id });
  }
  return [...byId.values()];
}

function readPoints(request: JsonObject): PointRequest[] {
  const { points, batch } = request;
  if (Array.isArray(points)) {
    return points.map((point: unknown) => {
      if (!isObject(point)) throw formatError('a point must be an object');
      return { id: point.id, vector: point.vector, payload: point.payload };
    });
  }
  if (!isObject(batch) || !Array.isArray(batch.ids)) throw formatError('an upsert must have `points` or a `batch`');
  const { ids, vectors, payloads } = batch;
  if (payloads !== undefined && payloads !== null && !(Array.isArray(payloads) && payloads.length === ids.length)) {
    throw formatError('the `payloads` of a batch must be a list as long as `ids`');
  }
  return ids.map((id: unknown, at) => ({
    id,
    payload: Array.isArray(payloads) ? payloads[at] : null,
    vector: Array.isArray(vectors)
      ? vectors[at]
      : isObject(vectors)
        ? Object.fromEntries(Object.entries(vectors).map(([name, list]) => [name, (list as unknown[])[at]]))
        : undefined,
  }));
}

/** As a payload is after its way through JSON, which is what a server would have got. */
function copyPayloads(points: readonly PointRequest[]): JsonObject[] {
  const text = JSON.stringify(points.map((point) => point.payload ?? {}));
  const payloads: unknown[] = JSON.parse(text);
  for (const payload of payloads) if (!isObject(payload)) throw formatError('a payload must be an object');
  return payloads as JsonObject[];
}

function vectorsByName(vector: unknown, spaces: VectorSpaces): ReadonlyMap<string, unknown> {
  if (!isObject(vector) || ArrayBuffer.isView(vector)) return new Map([[unnamedVector, vector]]);
  const names = Object.keys(vector).filter((name) => vector[name] !== undefined);
  for (const name of names) {
    if (!spaces.dense.has(name) && !spaces.sparse.has(name)) throw badInput('Not existing vector name error');
  }
  return new Map(names.map((name) => [name, vector[name]]));
}
