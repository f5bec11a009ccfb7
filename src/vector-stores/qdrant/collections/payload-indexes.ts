import { reservedKeys } from '../../../core/index/check-record.js';
import { VectorStoreError } from '../../../errors.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './catalog.js';
import type { PayloadIndexType } from './options.js';

/**
 * Makes what is missing, each time: a crash may have come between the collection and its indexes.
 *
 * @throws {@link VectorStoreError} where a field has an index of another type, which filters would not use.
 */
export async function createIndexes(
  connection: QdrantConnection,
  collection: Collection,
  payloadIndexes: Readonly<Record<string, PayloadIndexType>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { scope, response } = collection;
  requireSameTypes(collection, payloadIndexes);
  const tenantIndex = scope.mode === 'shared' ? { type: 'keyword', is_tenant: true } : 'integer';
  const existing: Readonly<Record<string, unknown>> = response.payload_schema ?? {};
  for (const [field, schema] of Object.entries({ client_id: tenantIndex, ...payloadIndexes })) {
    if (Object.hasOwn(existing, field)) continue;
    await connection.change({ operation: `indexing ${field}`, scope, signal }, (client) =>
      client.createPayloadIndex(scope.collection, {
        field_name: field,
        // Without positions, no phrase is ever found.
        field_schema: schema === 'text' ? { type: 'text', phrase_matching: true } : schema,
        wait: true,
      }),
    );
  }
}

/** The metadata fields that a collection has indexes for. */
export function indexesOf({ response }: Collection): Record<string, PayloadIndexType> {
  const schema: Readonly<Record<string, { data_type: PayloadIndexType }>> = response.payload_schema ?? {};
  const fields = Object.entries(schema).filter(([field]) => !(reservedKeys as readonly string[]).includes(field));
  return Object.fromEntries(fields.map(([field, { data_type: type }]) => [field, type]));
}

function requireSameTypes(collection: Collection, asked: Readonly<Record<string, PayloadIndexType>>): void {
  const existing = indexesOf(collection);
  const other = Object.keys(asked).find((field) => Object.hasOwn(existing, field) && existing[field] !== asked[field]);
  if (other === undefined) return;
  throw new VectorStoreError(
    `The field ${other} of the collection ${collection.scope.collection} has an index of the type ${existing[other]}, not ${asked[other]}. Build the collection anew to change it.`,
    { code: 'unsupported_operation', collection: collection.scope.collection },
  );
}
