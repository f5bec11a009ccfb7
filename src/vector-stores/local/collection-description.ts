import type { Collection } from './collection.js';
import { cloneJson, type JsonObject } from './json.js';
import { parsePath, valuesAt } from './payload-path.js';

/** What `getCollection` tells. Nothing is ever waiting for an optimizer here: the status is always green. */
export function describeCollection(collection: Collection): JsonObject {
  const { name: _name, payloadIndexes, ...config } = collection.config;
  return {
    status: 'green',
    optimizer_status: 'ok',
    indexed_vectors_count: 0,
    points_count: collection.points.size,
    segments_count: 1,
    config: cloneJson(config),
    payload_schema: Object.fromEntries(
      Object.entries(payloadIndexes).map(([key, schema]) => [
        key,
        { data_type: schema.type, params: cloneJson(schema), points: countPointsWith(collection, key) },
      ]),
    ),
  };
}

function countPointsWith(collection: Collection, key: string): number {
  const path = parsePath(key);
  let count = 0;
  for (let row = 0; row < collection.points.rowCount; row++) {
    if (collection.points.idOf(row) !== undefined && valuesAt(collection.points.payloadOf(row), path).length > 0)
      count++;
  }
  return count;
}
