import type { Scan } from './collection.js';
import { cloneJson, type JsonObject } from './json.js';

/** The answer of `getCollection`. Nothing ever waits for an optimizer here: the status is always green. */
export async function describeCollection(scan: Scan): Promise<JsonObject> {
  const { collection } = scan;
  const { name: _name, payloadIndexes, ...config } = collection.config;
  const payloadSchema: JsonObject = {};
  for (const [key, schema] of Object.entries(payloadIndexes)) {
    const points = await collection.valueCounts.at(key, scan);
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
