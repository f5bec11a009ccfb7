import { formatError } from './qdrant-api-error.js';

/** An unsigned integer, or a UUID in its canonical form (lower case, with hyphens). */
export type PointId = number | string;

const uuidForm = /^(?:urn:uuid:)?\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;

/** @throws a 400 where the value is neither an unsigned integer nor a UUID. */
export function parsePointId(value: unknown): PointId {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const uuid = typeof value === 'string' ? uuidForm.exec(value) : null;
  if (uuid) return uuid.slice(1).join('-').toLowerCase();
  throw formatError('a point id must be an unsigned integer or a UUID');
}

/** Qdrant's order: integers by value, then UUIDs by their bytes (their canonical text sorts alike). */
export function comparePointIds(left: PointId, right: PointId): number {
  if (typeof left === 'number') return typeof right === 'number' ? left - right : -1;
  if (typeof right === 'number') return 1;
  return left < right ? -1 : left > right ? 1 : 0;
}
