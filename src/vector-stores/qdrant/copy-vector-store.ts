import { VectorStoreError } from '../../errors.js';
import { type Collection, CollectionCatalog, requireDimension } from './collection-catalog.js';
import { checkCollectionOptions } from './collection-request.js';
import { QdrantConnection } from './connection.js';
import { type CopyOptions, copyPoints } from './copy-points.js';
import { createCollection, indexesOf } from './create-collection.js';
import { type CollectionMode, collectionName, parseCollectionName } from './naming.js';
import { type PulseQdrantClientOptions, resolveOptions } from './options.js';

export interface CopiedTable {
  readonly tenantId: number;
  readonly tableName: string;
  readonly mode: CollectionMode;
  /** How many points source and target have, each of them compared. */
  readonly pointCount: number;
}

export interface CopyVectorStoreOptions extends Pick<CopyOptions, 'signal'> {
  /** Told of each table when it is copied and verified. */
  readonly onTable?: ((table: CopiedTable) => void) | undefined;
}

/** A shared collection is the same for every tenant. */
const anyTenant = 1;
/** The most tenants that are looked for in one shared collection. */
const maxTenants = 1_000_000;

/**
 * Copies all tenants' vectors from one store to another, such as from a folder to a server that is to take its place, and verifies the copy: the last pass
 * over each table compares every record, metadata and vector, and finds none that differs. An interrupted copy goes on where it was; nothing is
 * deleted from the source. It is for operators: it needs a key that reaches every tenant, and nobody may write meanwhile.
 *
 * @example
 * await copyVectorStore({ location: './vectors' }, { url: 'http://localhost:6333' })
 * @returns The tables, in the order of their names.
 * @throws `VectorStoreError` where the target has a table for vectors of another size or embedding space.
 */
export async function copyVectorStore(
  from: PulseQdrantClientOptions,
  to: PulseQdrantClientOptions,
  options: CopyVectorStoreOptions = {},
): Promise<CopiedTable[]> {
  const source = new QdrantConnection(resolveOptions(from));
  const target = new QdrantConnection(resolveOptions(to));
  try {
    const copied: CopiedTable[] = [];
    for (const { tenantId, tableName } of await tablesOf(source, options.signal)) {
      const table = await copyTable(source, target, tenantId, tableName, options.signal);
      copied.push(table);
      options.onTable?.(table);
    }
    return copied;
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

async function copyTable(
  source: QdrantConnection,
  target: QdrantConnection,
  tenantId: number,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<CopiedTable> {
  const original = await new CollectionCatalog(source).require(tenantId, tableName, signal);
  const { mode } = original.scope;
  const options = checkCollectionOptions({
    mode,
    vectorSize: original.vectorSize,
    embeddingSpace: original.metadata?.pulse_ai_providers.embedding_space ?? undefined,
    hasSparseVectors: original.hasSparseVectors,
    payloadIndexes: indexesOf(original),
  });
  const copy = await createCollection(target, new CollectionCatalog(target), tenantId, tableName, options, signal);
  requireDimension(copy, original.vectorSize);
  requireSamePin(original, copy);
  const ends = [
    { connection: source, collection: original },
    { connection: target, collection: copy },
  ] as const;
  return { tenantId, tableName, mode, pointCount: await copyPoints(...ends, { signal }) };
}

function requireSamePin(original: Collection, copy: Collection): void {
  const [from, to] = [original, copy].map(({ metadata }) => metadata?.pulse_ai_providers.embedding_space ?? null);
  if (from === to) return;
  throw new VectorStoreError(
    `The target's collection ${copy.scope.collection} is pinned to another embedding space than the source's; their vectors cannot be put together.`,
    { code: 'unsupported_operation', collection: copy.scope.collection },
  );
}

/** Every tenant's tables, the tenants of shared collections included. */
async function tablesOf(
  connection: QdrantConnection,
  signal: AbortSignal | undefined,
): Promise<{ tenantId: number; tableName: string }[]> {
  const request = { operation: 'listing', signal };
  const { collections } = await connection.request(request, (client) => client.getCollections());
  const { aliases } = await connection.request(request, (client) => client.getAliases());
  const names = new Set([...collections.map(({ name }) => name), ...aliases.map((alias) => alias.alias_name)]);
  const tables = new Map<string, { tenantId: number; tableName: string }>();
  for (const name of [...names].toSorted()) {
    const parsed = parseCollectionName(name);
    if (parsed === undefined) continue;
    const { tableName } = parsed;
    const tenantIds =
      parsed.tenantId === undefined ? await tenantsOf(connection, tableName, signal) : [parsed.tenantId];
    for (const tenantId of tenantIds) tables.set(collectionName(tenantId, tableName), { tenantId, tableName });
  }
  return [...tables.values()];
}

/** Whose points a shared collection holds: a question that is not asked for a tenant. A collection of that name that is not ours holds nobody's. */
async function tenantsOf(
  connection: QdrantConnection,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<number[]> {
  const shared = await new CollectionCatalog(connection).findInMode(anyTenant, tableName, 'shared', signal);
  if (shared === undefined) return [];
  const { collection } = shared.scope;
  const { hits } = await connection.request({ operation: 'listing tenants', signal }, (client) =>
    client.facet(collection, { key: 'client_id', limit: maxTenants, exact: true }),
  );
  return hits.map(({ value }) => Number(value)).toSorted((a, b) => a - b);
}
