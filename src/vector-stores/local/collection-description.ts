import type { Collection } from './collection.js';
import type { Filter } from './filter/filter.js';
import { parsePath } from './filter/payload-path.js';
import { selectRows } from './filter/row-selection.js';
import { cloneJson, type JsonObject } from './json.js';

/** What `getCollection` tells. Nothing is ever waiting for an optimizer here: the status is always green. */
export async function describeCollection(collection: Collection): Promise<JsonObject> {
  const { name: _name, payloadIndexes, ...config } = collection.config;
  const payloadSchema: JsonObject = {};
  for (const [key, schema] of Object.entries(payloadIndexes)) {
    const { length } = await selectRows(collection, hasValueAt(key));
    payloadSchema[key] = { data_type: schema.type, params: cloneJson(schema), points: length };
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

function hasValueAt(key: string): Filter {
  const condition = {
    kind: 'field' as const,
    key,
    path: parsePath(key),
    check: (values: readonly unknown[]) => values.length > 0,
  };
  return { must: [condition], should: [], mustNot: [], minShould: undefined };
}
