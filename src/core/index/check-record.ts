import { InvalidInputError } from '../../errors.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { JsonValue } from '../ports/vector-store.js';

/**
 * Set by the store on every point; a caller's metadata may not hold them. They are stored next to the metadata, as the
 * platform does.
 */
export const reservedKeys = ['client_id', 'table_name', 'record_id', 'pulse_content_hash'] as const;

/** Copies that {@link requireMetadata} made. They are frozen, so that what was checked once needs no second check. */
const checkedCopies = new WeakSet<object>();

/** Qdrant's JSON parser ends at 128 levels. */
const maxDepth = 64;

/** @throws {@link InvalidInputError} unless `value` is a non-empty string or a safe integer. */
export function requireRecordId(value: unknown, position: number): string | number {
  if (typeof value === 'string' && value !== '' && isWellFormed(value)) return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  throw new InvalidInputError(
    `Expected the record id at position ${position} to be a non-empty string or a safe integer, got ${describeValue(value)}.`,
    { position },
  );
}

/** A record that was checked, with a copy of its metadata. */
export interface CheckedIndexRecord {
  readonly recordId: string | number;
  readonly text: string;
  readonly metadata: Readonly<Record<string, JsonValue>>;
}

/**
 * @throws {@link InvalidInputError} with the position of a record without a text or a record id, or with unusable
 *   metadata.
 */
export function checkIndexRecord(record: unknown, position: number): CheckedIndexRecord {
  if (!isRecord(record)) {
    throw new InvalidInputError(
      `Expected \`records[${position}]\` to be an object with a \`recordId\` and a \`text\`, got ${describeValue(record)}.`,
      { position },
    );
  }
  if (record.sparseVector !== undefined) {
    throw new InvalidInputError(
      `Expected \`records[${position}]\` to have no \`sparseVector\`: an index stores the vector of the text only. Use the store directly.`,
      { position },
    );
  }
  return {
    text: requireTextOfRecord(record.text, position),
    recordId: requireRecordId(record.recordId, position),
    metadata: requireMetadata(record.metadata, position),
  };
}

function requireTextOfRecord(text: unknown, position: number): string {
  if (typeof text === 'string' && text !== '') return text;
  throw new InvalidInputError(
    `Expected \`records[${position}].text\` to be a non-empty string, got ${describeValue(text)}.`,
    { position },
  );
}

/**
 * @param offset - How many records came before these.
 * @throws {@link InvalidInputError} with the position of a record whose id another one has: only one of the two could
 *   be stored.
 */
export function requireUniqueIds(records: readonly CheckedIndexRecord[], offset: number): void {
  const positions = new Map<string | number, number>();
  records.forEach(({ recordId }, index) => {
    const position = offset + index;
    const first = positions.get(recordId);
    if (first !== undefined) {
      throw new InvalidInputError(`The records at positions ${first} and ${position} have the same record id.`, {
        position,
      });
    }
    positions.set(recordId, position);
  });
}

/**
 * A lone surrogate, such as half of an emoji that was cut, has no UTF-8 form: a server refuses the whole request, and
 * two ids would become one.
 */
export function isWellFormed(value: string): boolean {
  // ES2024, which Node 20 has and the ES2023 types have not; an expression takes six times as long.
  return (value as string & { isWellFormed(): boolean }).isWellFormed();
}

/**
 * A frozen copy of a record's metadata that holds JSON and nothing else: no `toJSON`, getter or prototype can put
 * another tenant's id on the wire. Properties that are undefined are left out, as JSON does; everything else that JSON
 * would change or drop is refused. A copy that this function made before is returned as it is.
 *
 * @throws {@link InvalidInputError} with the record's position.
 */
export function requireMetadata(value: unknown, position: number): Record<string, JsonValue> {
  if (value === undefined) return {};
  if (checkedCopies.has(value as object)) return value as Record<string, JsonValue>;
  const metadata = copyObject(value, 'metadata', position, 0);
  for (const key of reservedKeys) {
    if (Object.hasOwn(metadata, key)) {
      throw new InvalidInputError(
        `Expected the metadata at position ${position} to leave out \`${key}\`, which the store sets.`,
        { position },
      );
    }
  }
  checkedCopies.add(metadata);
  return metadata;
}

/** @param path - Of the keys that lead to the value, such as `metadata.tags[2]`. */
function copyJson(value: unknown, path: string, position: number, depth: number): JsonValue {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'string') {
    requireWellFormed(value, path, position);
    return value;
  }
  if (typeof value === 'number' && Number.isFinite(value)) {
    requireExact(value, path, position);
    return value;
  }
  if (Array.isArray(value)) {
    requireDepth(depth, position);
    return Object.freeze(
      Array.from(value, (entry: unknown, i) => copyJson(entry, `${path}[${i}]`, position, depth + 1)),
    );
  }
  return copyObject(value, path, position, depth);
}

function copyObject(value: unknown, path: string, position: number, depth: number): Record<string, JsonValue> {
  if (!isPlainObject(value)) {
    throw new InvalidInputError(
      `Expected \`${path}\` of the record at position ${position} to be a JSON value, got ${describeValue(value)}.${value instanceof Date ? ' Store its `toISOString()`: filters know dates in that form.' : ''}`,
      { position },
    );
  }
  requireDepth(depth, position);
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  for (const [key] of entries) requireWellFormed(key, `a key of ${path}`, position);
  // fromEntries defines properties: assigning a key `__proto__` would change the copy's prototype instead.
  return Object.freeze(
    Object.fromEntries(entries.map(([key, entry]) => [key, copyJson(entry, `${path}.${key}`, position, depth + 1)])),
  );
}

/**
 * Between 2^53 and 10^21 JSON has all digits of an integer and JavaScript has not: a server would store, and index,
 * another one.
 */
function requireExact(value: number, path: string, position: number): void {
  if (!Number.isInteger(value) || Number.isSafeInteger(value) || Math.abs(value) >= 1e21) return;
  throw new InvalidInputError(
    `Expected \`${path}\` of the record at position ${position} to be an integer below 2^53, got ${value}, which would change on its way to a server. Store it as a string.`,
    { position },
  );
}

function requireWellFormed(value: string, path: string, position: number): void {
  if (isWellFormed(value)) return;
  throw new InvalidInputError(
    `Expected \`${path}\` of the record at position ${position} to be well-formed text, got half of a surrogate pair: was it cut?`,
    { position },
  );
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Also a plain object of another realm (a vm context, a test runner).
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function requireDepth(depth: number, position: number): void {
  if (depth <= maxDepth) return;
  throw new InvalidInputError(
    `Expected \`metadata\` of the record at position ${position} to be nested at most ${maxDepth} levels deep.`,
    { position },
  );
}
