import type { Collection } from '../collection.js';
import { type Filter, parseFilter } from '../filter/filter.js';
import { isObject, type JsonObject } from '../json.js';
import { formatError, validationError } from '../qdrant-api-error.js';

export function requireObject(request: unknown): JsonObject {
  if (!isObject(request)) throw formatError('a request must be an object');
  return request;
}

export function parseOptionalFilter(filter: unknown, collection: Collection): Filter | undefined {
  if (filter === undefined || filter === null) return undefined;
  return parseFilter(filter, (path) => collection.indexOf(path));
}

/** An unsigned integer of a request. */
export function readCount(request: JsonObject, name: string, fallback: number, least: number): number {
  const value = request[name] ?? fallback;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw formatError(`\`${name}\` must be an unsigned integer`);
  }
  if (value < least) throw validationError(`${name}: value ${value} invalid, must be ${least} or larger`);
  return value;
}
