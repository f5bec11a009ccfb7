import type { JsonObject } from '../json.js';
import { parseUuid } from '../point-id.js';
import { badInput, formatError } from '../qdrant-api-error.js';
import { microsOf, parseDatetime } from './datetime.js';
import { isPlace } from './geo.js';

/**
 * An index of a payload key, as it was declared: `{ type: 'keyword', … }`. Here it makes nothing faster. It changes
 * what conditions mean, as it does in Qdrant, which asks the index first and the payload only for what no index serves
 * (`field_condition_checker` in lib/segment/src/index/struct_payload_index, 1.19): an index holds only the values of
 * its type, in one spelling.
 */
export type PayloadIndex = JsonObject;

const indexTypes = ['keyword', 'integer', 'float', 'bool', 'geo', 'datetime', 'text', 'uuid'];

/** Settings of a text index that change which words are found, and that only Qdrant has. */
const foreignTextSettings = ['stopwords', 'stemmer', 'ascii_folding'];

/** @throws a 400 if there is no such index, or the local engine does not have it. */
export function parsePayloadIndex(given: unknown): PayloadIndex {
  const schema = typeof given === 'object' && given !== null ? (given as JsonObject) : { type: given ?? 'keyword' };
  if (!indexTypes.includes(schema.type as string)) {
    throw formatError(`the type of a payload index must be one of ${indexTypes.join(', ')}`);
  }
  if (schema.type === 'text') {
    if (!['word', 'whitespace', undefined, null].includes(schema.tokenizer as string)) {
      throw badInput('the local engine has text indexes with the tokenizers `word` and `whitespace`');
    }
    const foreign = foreignTextSettings.find((name) => schema[name]);
    if (foreign !== undefined) throw badInput(`the local engine has no text indexes with \`${foreign}\``);
  }
  return schema;
}

/** A 64-bit integer, as Qdrant keeps them. */
export const isInteger = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= -(2 ** 63) && value <= 2 ** 63;

/** What an index holds of one value at its field; undefined for what it leaves out. */
export type HeldValue = (value: unknown) => string | number | boolean | undefined;

const held: Readonly<Record<string, HeldValue>> = {
  keyword: (value) => (typeof value === 'string' ? value : undefined),
  integer: (value) => (isInteger(value) ? value : undefined),
  bool: (value) => (typeof value === 'boolean' ? value : undefined),
  uuid: (value) => (typeof value === 'string' ? parseUuid(value) : undefined),
};

/** What an index holds of a value, if it is one of those whose values can be matched and counted. */
export function heldBy(index: PayloadIndex | undefined): HeldValue | undefined {
  if (index?.type === 'integer' && index.lookup === false) return undefined;
  return held[String(index?.type)];
}

/** A bound of a range, as a number, or as a moment (see {@link parseDatetime}). */
export type Bounds = Partial<Record<'gt' | 'gte' | 'lt' | 'lte', number | bigint>>;

export type ValueCheck = (value: unknown) => boolean;

/** The test of one value that an index makes of a range; undefined if it serves none. */
export function rangeOfIndex(index: PayloadIndex, bounds: Bounds): ValueCheck | undefined {
  switch (index.type) {
    case 'integer': {
      if (index.range === false) return undefined;
      const check = isWithin(mapBounds(bounds, toInteger));
      return (value) => isInteger(value) && check(value);
    }
    case 'float': {
      const check = isWithin(mapBounds(bounds, toFloat));
      return (value) => typeof value === 'number' && check(value);
    }
    case 'datetime': {
      const check = isWithin(mapBounds(bounds, toInteger));
      return (value) => {
        const time = typeof value === 'string' ? parseDatetime(value) : undefined;
        return time !== undefined && check(microsOf(time));
      };
    }
    default:
      return undefined;
  }
}

/** An index of places looks only at places on Earth. */
export function placeOfIndex(index: PayloadIndex, check: ValueCheck): ValueCheck {
  return index.type === 'geo' ? (value) => isPlace(value) && check(value) : check;
}

export function isWithin({ gt, gte, lt, lte }: Bounds): (value: number | bigint) => boolean {
  return (value) =>
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte) &&
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte);
}

function mapBounds(bounds: Bounds, map: (name: string, bound: number | bigint) => number | bigint): Bounds {
  return Object.fromEntries(Object.entries(bounds).map(([name, bound]) => [name, map(name, bound)]));
}

/** Rounded away from what matches, so that a fraction as a bound keeps its meaning; a moment in microseconds. */
function toInteger(name: string, bound: number | bigint): number | bigint {
  if (typeof bound === 'bigint') return microsOf(bound);
  return name === 'lt' || name === 'gte' ? Math.ceil(bound) : Math.floor(bound);
}

/** As Qdrant converts it: by way of an unsigned number, so that a moment before 1970 is a very large one. */
function toFloat(_: string, bound: number | bigint): number {
  return typeof bound === 'bigint' ? Number(BigInt.asUintN(128, microsOf(bound))) : bound;
}
