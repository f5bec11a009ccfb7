import { defineKey, isObject, type JsonObject, ownValue } from '../json.js';
import { formatError } from '../qdrant-api-error.js';

/** `[]`: every element of an array. */
export const everyElement: unique symbol = Symbol('[]');

/** A key of an object, an index of an array, or every element of one. */
export type PathStep = string | number | typeof everyElement;

const step = /(?<dot>\.?)(?:(?<key>[\p{Alphabetic}\p{N}_-]+)|"(?<quoted>[^\\"]*)")|\[(?<index>\d*)\]/uy;

/**
 * Parses a payload key such as `a.b`, `a[].b`, `a[0]` or `"a.b"`. Grammar: Qdrant 1.19, lib/segment/src/json_path.
 *
 * @throws a 400 if the text is not a key.
 */
export function parsePath(text: unknown): PathStep[] {
  if (typeof text !== 'string') throw formatError('a payload key must be a string');
  const path: PathStep[] = [];
  step.lastIndex = 0;
  while (step.lastIndex < text.length || path.length === 0) {
    const groups = step.exec(text)?.groups;
    const isFirst = path.length === 0;
    const key = groups?.key ?? groups?.quoted;
    if (key !== undefined && (groups?.dot === '') === isFirst) path.push(key);
    else if (groups?.index !== undefined && !isFirst) {
      path.push(groups.index === '' ? everyElement : Number(groups.index));
    } else throw formatError('a payload key is not a valid path');
  }
  return path;
}

const plainKey = /^[A-Za-z0-9_-]+$/;

/** A path as text, the same for every way to write it: `"a"` and `a` are one field. */
export function formatPath(path: readonly PathStep[]): string {
  return path
    .map((item, index) => {
      if (typeof item === 'number') return `[${item}]`;
      if (item === everyElement) return '[]';
      return `${index === 0 ? '' : '.'}${plainKey.test(item) ? item : `"${item}"`}`;
    })
    .join('');
}

/** The values at a path, none if it leads nowhere. Arrays are entered only if the path says so. */
export function valuesAt(payload: JsonObject, path: readonly PathStep[]): unknown[] {
  const found: unknown[] = [];
  collect(payload, path, 0, found);
  return found;
}

function collect(value: unknown, path: readonly PathStep[], depth: number, found: unknown[]): void {
  const next = path[depth];
  if (next === undefined) {
    if (value !== undefined) found.push(value);
  } else if (typeof next === 'string') {
    if (isObject(value)) collect(ownValue(value, next), path, depth + 1, found);
  } else if (Array.isArray(value)) {
    if (typeof next === 'number') collect(value[next], path, depth + 1, found);
    else for (const element of value) collect(element, path, depth + 1, found);
  }
}

/** Copies the part of a payload whose paths `keep` accepts; a refused path is left out with everything below it. */
export function filterPayload(payload: JsonObject, keep: (path: readonly PathStep[]) => boolean): JsonObject {
  return copyKept(payload, [], keep) as JsonObject;
}

function copyKept(value: unknown, path: PathStep[], keep: (path: readonly PathStep[]) => boolean): unknown {
  if (Array.isArray(value)) {
    const below: PathStep[] = [...path, everyElement];
    return keep(below) ? value.map((element) => copyKept(element, below, keep)) : [];
  }
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, child] of Object.entries(value)) {
    const below = [...path, key];
    if (keep(below)) defineKey(copy, key, copyKept(child, below, keep));
  }
  return copy;
}

/** Whether `path` begins with `prefix`. */
export function startsWith(path: readonly PathStep[], prefix: readonly PathStep[]): boolean {
  return prefix.length <= path.length && prefix.every((item, index) => item === path[index]);
}
