import { createHash } from 'node:crypto';
import { InvalidInputError } from '../../../errors.js';
import { describeValue, requireTenantId } from '../../../internal/validate.js';

/** The longest name that a Qdrant server takes. */
const maxCollectionNameLength = 255;
/** Room for what comes after a name: `@12`, `@live`. */
const suffixLength = 8;
/** The UUID namespace of our point ids; a new one would store every record a second time. */
const pointNamespace = Buffer.from('6f1c1f0e2b6b5d0f9a3e7c5d41b8a2e7', 'hex');
const tablePattern = /^[a-z][a-z0-9_]*$/;

/** @throws {@link InvalidInputError} unless `value` matches `[a-z][a-z0-9_]*`. */
function requireTableName(value: unknown): string {
  if (typeof value === 'string' && tablePattern.test(value)) return value;
  throw new InvalidInputError(`Expected \`tableName\` to match [a-z][a-z0-9_]*, got ${describeValue(value)}.`);
}

/**
 * `collection`: a collection for each tenant and table, as the platform has it. `shared`: one for each table, for all
 * tenants, since a server does not scale past a few hundred collections.
 */
export type CollectionMode = 'collection' | 'shared';

/**
 * The collection of a tenant's table: `client_{id}_{table}`, or `shared_{table}`. No two of them have one name, since a
 * table's name starts with a letter: `client_1_2_x` could only be asked for as tenant 1 and table `2_x`, which is
 * refused.
 *
 * @throws {@link InvalidInputError} for an invalid tenant or table, or a name that is too long for the server (255
 *   characters).
 */
export function collectionName(tenantId: number, tableName: string, mode: CollectionMode = 'collection'): string {
  requireTenantId(tenantId);
  const owner = mode === 'shared' ? 'shared' : `client_${tenantId}`;
  return requireNameLength(`${owner}_${requireTableName(tableName)}`);
}

/** Which build of its table a collection is: 1 for `client_1_docs`, 2 for `client_1_docs@2`. */
export function generationOf(collection: string): number {
  return Number(collection.split('@')[1] ?? 1);
}

/**
 * Which tenant and table a collection or an alias is of, or undefined for a name that is not ours; a `shared` one has
 * no tenant. `@live` leads to a table's build for a moment, when nothing else has its name.
 */
export function parseCollectionName(
  name: string,
): { readonly tenantId?: number; readonly tableName: string } | undefined {
  const [, tenant, dedicated, shared] =
    /^(?:client_([1-9][0-9]{0,15})_([a-z][a-z0-9_]*)|shared_([a-z][a-z0-9_]*))(?:@live)?$/.exec(name) ?? [];
  if (shared !== undefined) return { tableName: shared };
  if (dedicated === undefined || !Number.isSafeInteger(Number(tenant))) return undefined;
  return { tenantId: Number(tenant), tableName: dedicated };
}

function requireNameLength(name: string): string {
  const longest = maxCollectionNameLength - suffixLength;
  if (name.length <= longest) return name;
  throw new InvalidInputError(
    `Expected \`tableName\` to make a collection name of at most ${longest} characters, got ${name.length}.`,
  );
}

/**
 * The id of a record's point: UUIDv5 (RFC 9562) over tenant, table, record and vector type, so that storing a record
 * again replaces it. Each part is prefixed with its length, so that no two keys give the same text; the number 1 and
 * the string '1' are two records.
 *
 * @param vectorType - Which of a record's vectors, if it has several.
 */
export function pointId(tenantId: number, tableName: string, recordId: string | number, vectorType = ''): string {
  const record = `${typeof recordId === 'number' ? 'n' : 's'}${recordId}`;
  const parts = [String(tenantId), tableName, record, vectorType];
  const name = parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('');
  const bytes = createHash('sha1').update(pointNamespace).update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
