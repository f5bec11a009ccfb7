import type { QdrantRequest } from '../../qdrant-api.js';
import type { Collection } from '../collections/collection.js';
import { filteredKeys } from '../tenancy/filter-groups.js';
import type { QdrantConnection } from '../wire/connection.js';
import type { CheckedSearch } from './search-options.js';

/** How many candidates the graph search keeps: the platform's choice. */
const plainEf = 128;
/**
 * The same under a filter: with 128, a filter that leaves 10 % finds 0.87 of the ten best, with 512 all of them
 * (bench/README.md).
 */
const filteredEf = 512;

/**
 * How a server is to search. A filter on a field without a payload index would lose hits in silence (0.36 to 0.50 of
 * the ten best at 10 %), since the server cannot tell how much the filter leaves: such a search is exact, which is
 * slow, and the log says once what fixes it.
 */
export function searchParams(
  connection: QdrantConnection,
  collection: Collection,
  { exact, filter }: Pick<CheckedSearch, 'exact' | 'filter'>,
): QdrantRequest {
  const unindexed = filter === undefined ? undefined : unindexedKey(collection, filter);
  if (unindexed !== undefined)
    connection.warnOnce(
      `unindexed ${collection.scope.collection} ${unindexed}`,
      {
        collection: collection.scope.collection,
        field: unindexed,
      },
      `Searches that filter on ${unindexed} compare every vector, since the field has no payload index. Make one: createCollection(tenantId, '${collection.scope.tableName}', { payloadIndexes: { '${unindexed}': 'keyword' } }), with the type of its values.`,
    );
  return {
    hnsw_ef: filter === undefined ? plainEf : filteredEf,
    ...(exact || unindexed !== undefined ? { exact: true } : {}),
    ...quantizationParams(collection),
  };
}

function unindexedKey({ response }: Collection, filter: Readonly<Record<string, unknown>>): string | undefined {
  const indexed = Object.keys(response.payload_schema ?? {}).map(plainKey);
  return filteredKeys(filter).find((key) => !indexed.includes(plainKey(key)));
}

/** A path as a server compares it: `"a"` is `a`, and `a[]` is indexed by an index of `a`. */
function plainKey(path: string): string {
  return path.replaceAll('"', '').replaceAll('[]', '');
}

/**
 * How many times more candidates than hits a quantised search rescores with the original vectors. An int8 copy is
 * nearly exact; a bit a dimension says little of a short vector: at 384 dimensions 32 times find all, 16 times 0.98 and
 * twice 0.31 of the ten best (a real server, 40,000 vectors).
 */
function quantizationParams({ response, vectorSize }: Collection): QdrantRequest {
  const { quantization_config: config } = response.config ?? {};
  if (!config) return {};
  const oversampling = config.binary ? Math.min(64, Math.max(4, Math.ceil((32 * 384) / vectorSize))) : 2;
  return { quantization: { rescore: true, oversampling } };
}
