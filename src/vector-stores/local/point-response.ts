import type { QdrantPoint } from '../qdrant-api.js';
import type { Collection } from './collection.js';
import { unnamedVector } from './collection-config.js';
import { filterPayload, parsePath, startsWith } from './filter/payload-path.js';
import { cloneJson, isObject, type JsonObject } from './json.js';
import type { PointId } from './point-id.js';
import { formatError } from './qdrant-api-error.js';
import type { ScoredRow } from './query/top-rows.js';

/** Which parts of a point a response shows. */
export interface Selection {
  readonly payload: (payload: JsonObject) => JsonObject | null;
  readonly vector: boolean | readonly string[];
}

/** Reads `with_payload` and `with_vector`. */
export function readSelection(request: JsonObject, withPayloadDefault: boolean): Selection {
  const vector = request.with_vector ?? false;
  if (typeof vector !== 'boolean' && !Array.isArray(vector)) {
    throw formatError('`with_vector` must be a boolean or a list of vector names');
  }
  return { payload: parsePayloadSelector(request.with_payload ?? withPayloadDefault), vector };
}

function parsePayloadSelector(selector: unknown): Selection['payload'] {
  if (typeof selector === 'boolean') return selector ? cloneJson : () => null;
  const included = Array.isArray(selector) ? selector : isObject(selector) ? selector.include : undefined;
  if (Array.isArray(included)) {
    const paths = included.map(parsePath);
    // What lies above an included path is kept too: it leads there.
    return (payload) =>
      cloneJson(filterPayload(payload, (path) => paths.some((one) => startsWith(path, one) || startsWith(one, path))));
  }
  const excluded = isObject(selector) ? selector.exclude : undefined;
  if (Array.isArray(excluded)) {
    const paths = excluded.map(parsePath);
    return (payload) => cloneJson(filterPayload(payload, (path) => !paths.some((one) => startsWith(path, one))));
  }
  throw formatError('`with_payload` must be a boolean, a list of keys, or an object with `include` or `exclude`');
}

export function readRecord(collection: Collection, row: number, selection: Selection): QdrantPoint {
  const vector = readVectors(collection, row, selection.vector);
  return {
    id: collection.points.idOf(row) as PointId,
    payload: selection.payload(collection.points.payloadOf(row)),
    ...(vector === undefined ? {} : { vector }),
  };
}

export function readPoint(
  collection: Collection,
  hit: ScoredRow,
  selection: Selection,
): QdrantPoint & { version: number } {
  const { id, ...record } = readRecord(collection, hit.row, selection);
  return { id, version: 0, score: hit.score, ...record };
}

function readVectors(collection: Collection, row: number, wanted: Selection['vector']): unknown {
  if (wanted === false) return undefined;
  const vectors: JsonObject = {};
  for (const [name, matrix] of collection.dense) if (matrix.has(row)) vectors[name] = Array.from(matrix.get(row));
  for (const [name, sparse] of collection.sparse) {
    const vector = sparse.get(row);
    if (vector) vectors[name] = { indices: [...vector.indices], values: [...vector.values] };
  }
  if (wanted !== true) return Object.fromEntries(Object.entries(vectors).filter(([name]) => wanted.includes(name)));
  const names = Object.keys(vectors);
  return names.length === 1 && names[0] === unnamedVector ? vectors[unnamedVector] : vectors;
}
