import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidInputError, VectorStoreError } from '../../../errors.js';
import { CollectionCatalog } from '../collections/catalog.js';
import { isForeign } from '../collections/collection.js';
import { createCollection } from '../collections/create-collection.js';
import { checkCollectionOptions } from '../collections/options.js';
import { indexesOf } from '../collections/payload-indexes.js';
import { anyTenant, countByTenant, requireNoStrays } from '../collections/point-counts.js';
import { type CollectionMode, collectionName, parseCollectionName } from '../tenancy/naming.js';
import { type PulseQdrantClientOptions, resolveOptions } from '../wire/client-options.js';
import { QdrantConnection } from '../wire/connection.js';
import { type CopyOptions, copyPoints, extraPages, requireSameVectors } from './copy-points.js';
import { type CopyEnd, checkSource, type IdSet } from './copy-source.js';

export interface CopiedTable {
  readonly tenantId: number;
  readonly tableName: string;
  readonly mode: CollectionMode;
  /** How many points source and target have, each of them compared. */
  readonly pointCount: number;
}

export interface CopyVectorStoreOptions extends Pick<CopyOptions, 'signal'> {
  /**
   * Whether records of the target that the source has not are deleted there. Otherwise they are an error.
   * @default false
   */
  readonly mirror?: boolean | undefined;
  /** Called with each table when it is copied and verified. */
  readonly onTable?: ((table: CopiedTable) => void) | undefined;
  /**
   * Called with each collection that has the name of a table and was made by somebody else, for other vectors than this
   * library's.
   */
  readonly onForeign?: ((collection: string) => void) | undefined;
}

/** What a folder of the local engine has. */
const storeFile = 'store.json';

/**
 * Copies all tenants' vectors from one store to another, such as from a folder to a server that is to take its place,
 * and verifies the copy: the last pass over each table compares every record, metadata and vector, and finds none that
 * differs. An interrupted copy resumes; nothing is deleted from the source. It is for operators: it needs a key that
 * reaches every tenant, and nobody may write meanwhile.
 *
 * Of several points with one record id, which the platform makes, one is copied: this library's own, or else the one
 * with the lowest id.
 *
 * @example
 * await copyVectorStore({ location: './vectors' }, { url: 'http://localhost:6333' })
 * @returns The tables, in the order of their names.
 * @throws `VectorStoreError` if the target has a table for vectors of another size or embedding space, or records that
 *   the source has not; if the source has points that cannot be stored again. `InvalidInputError` for a folder that is
 *   not a store.
 */
export async function copyVectorStore(
  from: PulseQdrantClientOptions,
  to: PulseQdrantClientOptions,
  options: CopyVectorStoreOptions = {},
): Promise<CopiedTable[]> {
  const [resolvedFrom, resolvedTo] = [resolveOptions(from), resolveOptions(to)];
  if (resolvedFrom.target.kind === 'local') await requireStore(resolvedFrom.target.location);
  const [source, target] = [new QdrantConnection(resolvedFrom), new QdrantConnection(resolvedTo)];
  try {
    const copied: CopiedTable[] = [];
    for (const { tenantId, tableName } of await tablesOf(source, options)) {
      const table = await copyTable(source, target, tenantId, tableName, options);
      if (table === undefined) continue;
      copied.push(table);
      options.onTable?.(table);
    }
    return copied;
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

/** A folder that does not exist would be made, and its nothing copied. */
async function requireStore(location: string): Promise<void> {
  if (location === ':memory:') return;
  try {
    await access(join(location, storeFile));
  } catch (cause) {
    throw new InvalidInputError(`There is no vector store in the folder ${location}: it has no ${storeFile}.`, {
      cause,
    });
  }
}

/** Undefined if somebody else's collection has the table's name. */
async function copyTable(
  source: QdrantConnection,
  target: QdrantConnection,
  tenantId: number,
  tableName: string,
  { signal, mirror, onForeign }: CopyVectorStoreOptions,
): Promise<CopiedTable | undefined> {
  const original = await new CollectionCatalog(source).require(tenantId, tableName, signal).catch((error: unknown) => {
    if (!isForeign(error)) throw error;
    onForeign?.(collectionName(tenantId, tableName));
    return undefined;
  });
  if (original === undefined) return undefined;
  const { mode } = original.scope;
  const from = { connection: source, collection: original };
  // Of a shared collection that was done once, for all tenants.
  if (mode === 'collection') await requireNoStrays(source, original, signal);
  const foreign = await checkSource(from, original.scope, signal);
  const options = checkCollectionOptions({
    mode,
    vectorSize: original.vectorSize,
    embeddingSpace: original.metadata?.pulse_ai_providers.embedding_space ?? undefined,
    hasSparseVectors: original.hasSparseVectors,
    termWeights: original.hasSparseVectors && !original.weighsTerms ? 'none' : 'idf',
    payloadIndexes: indexesOf(original),
  });
  const copy = await createCollection(target, new CollectionCatalog(target), tenantId, tableName, options, signal);
  requireSameVectors(original, copy);
  const ends = [from, { connection: target, collection: copy }] as const;
  if (!mirror) await requireNothingElse(...ends, foreign, signal);
  return { tenantId, tableName, mode, pointCount: await copyPoints(...ends, { signal }) };
}

/** Before anything is written: what the target has of its own may be newer than the source. */
async function requireNothingElse(
  source: CopyEnd,
  target: CopyEnd,
  foreign: IdSet,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { scope } = target.collection;
  for await (const [point] of extraPages(source, target, foreign, signal)) {
    throw new VectorStoreError(
      `The target's collection ${scope.collection} has records of tenant ${scope.tenantId} that the source has not, such as ${JSON.stringify(point?.payload?.record_id)}; ` +
        'nothing of the table was copied. To have them deleted, ask for a mirror.',
      { code: 'unsupported_operation', collection: scope.collection },
    );
  }
}

/** Every tenant's tables, the tenants of shared collections included. */
async function tablesOf(
  connection: QdrantConnection,
  { signal, onForeign }: CopyVectorStoreOptions,
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
    if (tenantIds === undefined) onForeign?.(name);
    for (const tenantId of tenantIds ?? []) tables.set(collectionName(tenantId, tableName), { tenantId, tableName });
  }
  return [...tables.values()];
}

/** Whose points a shared collection holds; undefined for a collection of that name that is not ours. */
async function tenantsOf(
  connection: QdrantConnection,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<number[] | undefined> {
  const shared = await new CollectionCatalog(connection).findInMode(anyTenant, tableName, 'shared', signal);
  if (shared === undefined) return undefined;
  await requireNoStrays(connection, shared, signal);
  return [...(await countByTenant(connection, shared.scope.collection, signal)).keys()].toSorted((a, b) => a - b);
}
