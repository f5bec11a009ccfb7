import { TimeSlice } from '../../internal/time-slice.js';
import type { Collection } from './collection.js';
import { cloneJson, type JsonObject } from './json.js';

/**
 * What `getCollection` tells. Nothing is ever waiting for an optimizer here: the status is always green. Runs inside a scan of the
 * collection's gate.
 */
export async function describeCollection(collection: Collection): Promise<JsonObject> {
  const { name: _name, payloadIndexes, ...config } = collection.config;
  const slice = new TimeSlice();
  const payloadSchema: JsonObject = {};
  for (const [key, schema] of Object.entries(payloadIndexes)) {
    const points = await collection.valueCounts.at(key, collection.points, slice);
    payloadSchema[key] = { data_type: schema.type, params: cloneJson(schema), points };
  }
  return {
    status: 'green',
    optimizer_status: 'ok',
    indexed_vectors_count: 0,
    points_count: collection.points.size,
    segments_count: 1,
    config: cloneJson(config),
    payload_schema: payloadSchema,
  };
}
