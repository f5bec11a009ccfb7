import { unnamedVector } from './collection-config.js';
import { isObject, type JsonObject, ownValue } from './json.js';
import { type PointId, parsePointId } from './point-id.js';
import { badInput, formatError } from './qdrant-api-error.js';
import { parseSparseVector, type SparseVector, type SparseVectors } from './vectors/sparse-vectors.js';
import type { VectorMatrix } from './vectors/vector-matrix.js';

/** Points to store, checked and in the form in which they are stored and logged. */
export interface PointBatch {
  readonly ids: readonly PointId[];
  readonly payloads: readonly JsonObject[];
  readonly dense: Readonly<Record<string, DenseBatch>>;
  /** One entry a point, null if it has no such vector. */
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
 * Checks the points of an upsert request (`points`, or `batch` with parallel lists) and copies them. The dense vectors
 * are valid until the next call for the same collection.
 *
 * @throws a 400 or 422 for the whole request if one point is malformed: nothing is stored of it then.
 */
export function parsePointBatch(request: JsonObject, spaces: VectorSpaces): PointBatch {
  const { points, ids } = lastOfEachId(readPoints(request));
  const payloads = copyPayloads(points);
  for (const { vector } of points) requireKnownNames(vector, spaces);

  const dense: Record<string, DenseBatch> = {};
  for (const [name, matrix] of spaces.dense) {
    const positions: number[] = [];
    const vectors: ArrayLike<number>[] = [];
    points.forEach((point, position) => {
      const vector = vectorNamed(name, point.vector);
      if (vector === undefined && name !== unnamedVector) return;
      positions.push(position);
      vectors.push(requireDense(vector));
    });
    dense[name] = { positions, values: matrix.prepareAll(vectors) };
  }
  const sparse: Record<string, (SparseVector | null)[]> = {};
  for (const name of spaces.sparse.keys()) {
    sparse[name] = points.map((point) => {
      const vector = vectorNamed(name, point.vector);
      return vector === undefined ? null : parseSparseVector(vector);
    });
  }
  return { ids, payloads, dense, sparse };
}

/** A dense vector as it came: an array or a typed array of numbers. */
export function requireDense(vector: unknown): ArrayLike<number> {
  if (Array.isArray(vector) || vector instanceof Float32Array || vector instanceof Float64Array) return vector;
  throw formatError('a dense vector must be an array of numbers');
}

/** If an id comes twice, the later point counts. */
function lastOfEachId(points: readonly PointRequest[]): { points: readonly PointRequest[]; ids: PointId[] } {
  const ids = points.map((point) => parsePointId(point.id));
  const lastPositions = new Map(ids.map((id, position) => [id, position]));
  if (lastPositions.size === ids.length) return { points, ids };
  const isLast = (_: unknown, position: number): boolean => lastPositions.get(ids[position] as PointId) === position;
  return { points: points.filter(isLast), ids: ids.filter(isLast) };
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

function isNamed(vector: unknown): vector is JsonObject {
  return isObject(vector) && !ArrayBuffer.isView(vector);
}

/** A vector that is not an object of names is the unnamed one. */
function vectorNamed(name: string, vector: unknown): unknown {
  if (isNamed(vector)) return ownValue(vector, name);
  return name === unnamedVector ? vector : undefined;
}

function requireKnownNames(vector: unknown, spaces: VectorSpaces): void {
  const names = isNamed(vector) ? Object.keys(vector) : [unnamedVector];
  for (const name of names) {
    if (!spaces.dense.has(name) && !spaces.sparse.has(name)) throw badInput('Not existing vector name error');
  }
}
