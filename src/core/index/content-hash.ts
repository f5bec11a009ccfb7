import { createHash } from 'node:crypto';
import type { JsonValue } from '../ports/vector-store.js';

/** Goes into every hash: a later form of the hash must not equal one of this form. */
const formVersion = '1';
/** 128 bits: two texts of one hash are not met by chance, and a payload holds it many million times. */
const hashBytes = 16;

/** What a record's vector depends on. */
export interface RecordContent {
  readonly text: string;
  /** The id of the embedding space of its vector. */
  readonly embeddingSpace: string;
  /** What else the vector depends on, such as the version of the rules that cut texts into pieces. */
  readonly contentVersion: string;
  readonly metadata: Readonly<Record<string, JsonValue>>;
  /** How many pieces the record has, if this is the first of several. @default 1 */
  readonly pieceCount?: number | undefined;
}

/** How a record differs from what is stored. */
export type RecordChange = 'none' | 'metadata' | 'content';

/**
 * What a record's vector and payload were made from, as `<hash of the content>.<hash of the metadata>`, and of the
 * first of several pieces with `.<their number>` at the end. It is stored in the same write as the vector, and never
 * without it.
 */
export function contentHashOf(content: RecordContent): string {
  const { text, embeddingSpace, contentVersion, metadata, pieceCount = 1 } = content;
  const parts = [formVersion, embeddingSpace, contentVersion, text];
  const hash = `${digest(parts.map((part) => `${part.length}:${part}`).join(''))}.${digest(canonicalJson(metadata))}`;
  return pieceCount > 1 ? `${hash}.${pieceCount}` : hash;
}

export function changeBetween(stored: string | undefined, current: string): RecordChange {
  if (stored === current) return 'none';
  return stored !== undefined && contentPart(stored) === contentPart(current) ? 'metadata' : 'content';
}

/** How many pieces a stored record has, by the hash of its first one. */
export function pieceCountOf(hash: string | undefined): number {
  return Number(hash?.split('.')[2] ?? 1);
}

/** Tells whether a text is the one that was met before, without keeping it. */
export function textHashOf(text: string): string {
  return digest(text);
}

function contentPart(hash: string): string {
  return hash.slice(0, hash.indexOf('.') + 1);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest().subarray(0, hashBytes).toString('base64url');
}

/** JSON in which the order of an object's keys makes no difference. */
function canonicalJson(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, entry]) => `${JSON.stringify(key)}:${canonicalJson(entry)}`).join(',')}}`;
}
