import { reservedKeys } from '../../../core/index/check-record.js';
import { VectorStoreError } from '../../../errors.js';
import type { QdrantPoint } from '../../qdrant-api.js';
import { tenantFilter } from '../tenancy/tenant-scope.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { Collection } from './collection.js';
import { mayHoldPlatformPoints } from './metadata.js';
import type { PayloadIndexType } from './options.js';

/**
 * Makes what is missing, each time: a crash may have come between the collection and its indexes.
 *
 * @throws {@link VectorStoreError} if a field has an index of another type, which filters would not use.
 */
export async function createIndexes(
  connection: QdrantConnection,
  collection: Collection,
  payloadIndexes: Readonly<Record<string, PayloadIndexType>>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { scope, response } = collection;
  requireSameTypes(collection, payloadIndexes);
  const existing: Readonly<Record<string, unknown>> = response.payload_schema ?? {};
  const client_id = scope.mode === 'shared' ? { type: 'keyword', is_tenant: true } : 'integer';
  // Before the others: to look at record ids, strict servers want the tenant's index.
  if (!Object.hasOwn(existing, 'client_id')) await createIndex(connection, collection, 'client_id', client_id, signal);
  if (mayHoldPlatformPoints(collection) && !Object.hasOwn(existing, 'record_id')) {
    await createIndex(connection, collection, 'record_id', await recordIdType(connection, collection, signal), signal);
  }
  for (const [field, type] of Object.entries(payloadIndexes)) {
    if (Object.hasOwn(existing, field)) continue;
    // Without positions, no phrase is ever found.
    const schema = type === 'text' ? { type: 'text', phrase_matching: true } : type;
    await createIndex(connection, collection, field, schema, signal);
  }
}

async function createIndex(
  connection: QdrantConnection,
  { scope }: Collection,
  field: string,
  schema: unknown,
  signal: AbortSignal | undefined,
): Promise<void> {
  await connection.change({ operation: `indexing ${field}`, scope, signal }, (client) =>
    client.createPayloadIndex(scope.collection, { field_name: field, field_schema: schema, wait: true }),
  );
}

/** A collection with platform points is asked by record id; the index takes one type, that of its first record ids. */
async function recordIdType(
  connection: QdrantConnection,
  { scope }: Collection,
  signal: AbortSignal | undefined,
): Promise<'integer' | 'keyword'> {
  const body = { filter: tenantFilter(scope), limit: 100, with_payload: true, with_vector: false };
  const { points } = await connection.request({ operation: 'reading record ids', scope, signal }, (client) =>
    client.scroll(scope.collection, body),
  );
  const isText = ({ payload }: QdrantPoint): boolean => typeof payload?.record_id === 'string';
  return points.length > 0 && points.every(isText) ? 'keyword' : 'integer';
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
    `The field ${other} of the collection ${collection.scope.collection} has an index of the type ${existing[other]}, not ${asked[other]}. Rebuild the collection to change it.`,
    { code: 'unsupported_operation', collection: collection.scope.collection },
  );
}
