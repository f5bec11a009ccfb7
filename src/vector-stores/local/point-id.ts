import { formatError } from './qdrant-api-error.js';

/** An unsigned integer, or a UUID in its canonical form (lower case, with hyphens). */
export type PointId = number | string;

const hyphenated = '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}';
const uuidForm = new RegExp(`^(?:[0-9a-fA-F]{32}|${hyphenated}|\\{${hyphenated}\\}|urn:uuid:${hyphenated})$`);

/** A UUID in its canonical form; undefined if the text is not one. The spellings are those of Rust's crate `uuid`. */
export function parseUuid(text: string): string | undefined {
  if (text.length > 45 || !uuidForm.test(text)) return undefined;
  const digits = text
    .slice(text.startsWith('urn:') ? 9 : 0)
    .replace(/[-{}]/g, '')
    .toLowerCase();
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-',
  );
}

/** @throws a 400 if the value is neither an unsigned integer nor a UUID. */
export function parsePointId(value: unknown): PointId {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const uuid = typeof value === 'string' ? parseUuid(value) : undefined;
  if (uuid !== undefined) return uuid;
  throw formatError('a point id must be an unsigned integer or a UUID');
}

/** Qdrant's order: integers by value, then UUIDs by their bytes (their canonical text sorts alike). */
export function comparePointIds(left: PointId, right: PointId): number {
  if (typeof left === 'number') return typeof right === 'number' ? left - right : -1;
  if (typeof right === 'number') return 1;
  return left < right ? -1 : left > right ? 1 : 0;
}
